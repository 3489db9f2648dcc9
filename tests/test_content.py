"""Where models/ and studies/ are looked up: path, working folder, SREVAL_HOME, package."""

from __future__ import annotations

from pathlib import Path

import pytest

from sreval import content
from sreval.errors import UsageError


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """One model in each place, all of one name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SREVAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(content, "_PACKAGE", tmp_path / "package" / "sreval")
    found = {
        "here": tmp_path / "models" / "net",
        "home": tmp_path / "home" / "models" / "net",
        "package": tmp_path / "package" / "models" / "net",
    }
    for path in found.values():
        path.mkdir(parents=True)
    return found


def test_the_nearest_place_wins(places: dict[str, Path]) -> None:
    for name in ("here", "home", "package"):
        assert content.find("models", "net") == places[name]
        places[name].rmdir()
    with pytest.raises(UsageError, match="Unknown model 'net'"):
        content.find("models", "net")


def test_a_folder_without_a_recipe_hides_none_that_has_one(places: dict[str, Path]) -> None:
    (places["package"] / "recipe.toml").write_text("")
    assert content.find("models", "net") == places["package"]
    (places["home"] / "recipe.toml").write_text("")
    assert content.find("models", "net") == places["home"]
    studies = [path.parents[1] / "studies" / "net" for path in places.values()]
    for study in studies:
        study.mkdir(parents=True)
    (studies[1] / "study.toml").write_text("")
    assert content.find("studies", "net") == studies[1]


def test_a_path_is_taken_as_it_is(places: dict[str, Path]) -> None:
    assert content.find("models", str(places["package"])) == places["package"]
    assert content.find("models", "./models/net") == Path("models/net")
    Path("models/file").touch()
    with pytest.raises(UsageError, match=r"\./models/file is a file, not a model"):
        content.find("models", "./models/file")
    with pytest.raises(UsageError, match=r"No such folder: \./models/nut"):
        content.find("models", "./models/nut")


def test_a_wheels_own_content_goes_before_the_checkouts(places: dict[str, Path]) -> None:
    inside = content._PACKAGE / "_content" / "models" / "other"
    inside.mkdir(parents=True)
    assert content.packaged("models") == inside.parent
    assert content.names("models") == ["net", "other"]


def test_commands_write_only_to_a_users_own_folders(
    places: dict[str, Path], tmp_path: Path
) -> None:
    assert content.own_folders("studies") == [tmp_path / "studies", tmp_path / "home" / "studies"]


def test_a_misspelt_name_suggests_the_nearest(places: dict[str, Path]) -> None:
    (places["here"].parent / "srgan-vgg54").mkdir()
    with pytest.raises(UsageError, match="Did you mean 'srgan-vgg54'"):
        content.find("models", "srgan-vgg45")
    with pytest.raises(UsageError, match="Unknown study 'nothing'"):
        content.find("studies", "nothing")


def test_a_folder_here_is_named_by_its_path(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "led").mkdir()
    with pytest.raises(UsageError) as refused:
        content.find("studies", "led")
    assert "./led" not in str(refused.value)
    (tmp_path / "led" / "study.toml").touch()
    with pytest.raises(UsageError, match=r"For the folder here write ./led\.$"):
        content.find("studies", "led")
    assert content.find("studies", "./led") == Path("led")
