"""A study from Python, from its design to its report; and what importing it costs."""

from __future__ import annotations

import datetime as dt
import doctest
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sreval
from sreval import api
from sreval.api.studies import _paper_qualities
from sreval.errors import DataError, StatisticsError, UsageError
from sreval.store.errors import StateError
from sreval.study.task import Scale
from tests.site.conftest import freeze

Sreval = Callable[..., Any]

QUALITIES = {"bicubic": 2.0, "srresnet": 3.5, "hr": 4.6}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("SREVAL_HOME", "SREVAL_DATABASE", "SREVAL_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def small(here: Path) -> api.Study:
    """A frozen study of nine stimuli, in ./studies/small."""
    freeze(here / "studies" / "small")
    return api.Study("small")


# The design


def test_a_copy_is_found_by_name_and_by_path(here: Path) -> None:
    made = api.Study.new("mine", "quick")
    assert made.folder == here / "studies" / "mine"
    assert made.name == made.design.name == "mine"
    assert tomllib.loads((made.folder / "study.toml").read_text())["name"] == "mine"
    for study in ("mine", "studies/mine", Path("studies/mine"), made.folder):
        assert api.Study(study).folder.resolve() == made.folder
    (here / "quick").mkdir()
    assert api.Study(Path("quick")).folder.resolve() == here / "quick"
    assert api.Study("quick").folder != here / "quick"
    with pytest.raises(UsageError, match="There is a study 'mine' already"):
        api.Study.new("mine")
    with pytest.raises(ValueError, match="Did you mean 'mine'"):
        api.Study("mime")


def test_a_study_says_what_it_is_and_how_far(small: api.Study) -> None:
    facts = "small: A small study; frozen, 9 stimuli; 4 raters planned; no votes yet"
    assert repr(small) == f"<Study {facts}>"
    assert "<b>small: A small study</b>" in small._repr_html_()
    small.invite()
    assert "; open; 0 of 4 places filled; 0 raters came to the end; 0 items rated" in repr(small)
    (small.folder / "study.toml").write_text("name = 3")
    assert "small; " in repr(small)
    small._repr_html_()


def test_a_check_prints_what_the_command_prints(sreval: Sreval, small: api.Study) -> None:
    found = small.check()
    assert f"{found}\n" == found.text + "\n" == sreval("study", "check", "small").out
    assert found.feasible
    assert found.counts["vote"] == 9
    told = json.loads(sreval("study", "check", "small", "--json").out)
    assert told["feasible"] is True
    assert "text" not in told
    assert told["minutes"] == round(found.minutes, 1)
    with pytest.raises(UsageError, match="is frozen"):
        small.check("results")


def test_a_plan_is_a_tidy_frame(sreval: Sreval, small: api.Study) -> None:
    plan = small.plan(1)
    assert plan["position"].tolist() == list(range(1, len(plan) + 1))
    rated = plan[plan["kind"] == "vote"]
    assert len(rated.drop_duplicates(["dataset", "image", "method"])) == len(rated) == 9
    assert json.loads(sreval("study", "plan", "small", "--rater", 1, "--json").out) == json.loads(
        json.dumps(plan.to_dict("records"))
    )
    assert not plan.equals(small.plan(2))
    with pytest.raises(ValueError, match="count from 0"):
        small.plan(-1)


def test_what_was_frozen_stays(sreval: Sreval, here: Path, small: api.Study) -> None:
    with pytest.raises(DataError, match="frozen already"):
        small.freeze()
    with pytest.raises(UsageError, match="Copy it first: sreval study new mine --from quick"):
        api.Study("quick").freeze()


def test_computed_methods_are_frozen_without_results(here: Path) -> None:
    study = api.Study.new("mine")
    path = study.folder / "study.toml"
    design = study.design
    text = path.read_text()
    kept = [m for m in design.images.methods if m in ("nearest", "bicubic", "lanczos", "hr")]
    assert kept
    told: list[tuple[int, int]] = []
    frozen = study.freeze(stand_ins=True, progress=lambda *at: told.append(at))
    assert study.manifest == frozen.manifest
    assert told[-1] == (len(frozen.manifest.stimuli),) * 2
    files = list((study.folder / "stimuli").iterdir())
    assert frozen.bytes == sum(file.stat().st_size for file in files)
    assert set(frozen.manifest.stand_ins) == set(design.images.methods) - set(kept)
    assert path.read_text() == text


# Raters


@pytest.mark.usefixtures("no_latex")
def test_from_rehearsal_to_report(sreval: Sreval, here: Path, small: api.Study) -> None:
    told: list[tuple[int, int]] = []
    crowd = small.rehearse(raters=3, qualities=QUALITIES, progress=lambda *at: told.append(at))
    assert (crowd.complete, crowd.failures) == (3, [])
    assert told[-1] == (crowd.votes, crowd.votes)

    votes = small.votes()
    assert votes.frame["simulated"].all()
    assert repr(votes).endswith("SIMULATED>")
    assert len(votes) == crowd.votes
    cast = votes.frame[votes.frame["kind"] == "vote"]
    assert cast.groupby("rater").size().tolist() == [9, 9, 9]
    found = sreval_mos(votes)
    assert found.loc["bicubic"] < found.loc["srresnet"] < found.loc["hr"]
    assert found["hr"] == pytest.approx(cast.loc[cast["method"] == "hr", "score"].mean())

    made = small.report("out")
    assert Path(made) == Path("out/index.html")
    page = Path(made).read_text()
    assert "SIMULATED" in page
    assert "Results on Set5" in page
    assert "means of methods are hidden" not in page
    assert {"index.html", "tables.tex"} <= set(made.files)
    # the command asks before it shows a study that isn't closed, whoever rated it
    assert sreval("report", "small").code == 2

    status = small.status()
    assert status.overview.filled == 3
    assert f"{status}\n" == sreval("study", "status", "small").out
    exported = small.export("small.zip")
    other = api.Study("small", here / "other.sqlite")
    assert other.import_(exported).sessions == 3
    toml = small.folder / "study.toml"
    text = toml.read_text()
    toml.write_text(f"{text}\n[scale]\nwords = {list('abcde')}\n")
    changed = small.status()
    assert changed.overview == status.overview
    assert f"{toml} isn't what raters began with (" in changed.text
    assert "UTC): scale. Their votes are of the old design, and the site won't" in changed.text
    assert changed.records()["design_changes"] == changed.changes
    with pytest.raises(StateError, match=r"another design than its .* here: scale"):
        api.Study("small", here / "fourth.sqlite").import_(exported)
    toml.write_text(f"unheard_of = 1\n{text}")
    assert "UTC): " in small.status().changes
    assert "unheard_of" in small.status().changes
    toml.write_text(text)
    assert small.status() == status
    pd.testing.assert_frame_equal(other.votes().frame, votes.frame)
    copy = small.backup("copy.sqlite")
    folder = small.export("small")
    private = [exported, copy, *folder.iterdir(), *Path(made).parent.rglob("*.*")]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder, Path(made).parent)} == {0o700}
    third = api.Study("small", "third.sqlite")
    third.restore(copy)
    assert third.status() == status
    assert third.upgrade()[1] == []

    gone = cast["rater"].iloc[0]
    third.delete_rater(gone)
    assert gone not in set(third.votes().frame["rater"])
    with pytest.raises(StateError, match="its stimuli stay"):
        small.freeze(again=True)


def sreval_mos(votes: api.Votes) -> pd.Series[float]:
    return api.mos(votes).set_index("method")["mos"]


def test_real_raters_are_not_looked_at_before_the_end(small: api.Study) -> None:
    small.invite()
    with pytest.raises(UsageError, match="Study small is open"):
        small.votes()
    with pytest.raises(StatisticsError, match="has no votes"):
        small.votes(allow_open=True)
    small.close()
    with pytest.raises(StatisticsError, match="has no votes"):
        small.votes()
    with pytest.raises(StateError):
        small.resume()


def test_links_are_made_extended_and_revoked(small: api.Study) -> None:
    first, second = small.invite(2, label="lab", base_url="https://rate.example.org/")
    assert (first.label, second.label) == ("lab 1", "lab 2")
    assert first.address.startswith("https://rate.example.org/r/")
    (everybody,) = small.invite(kind="open", quota=3)
    small.extend(everybody.id, quota=5, expires=dt.datetime(2999, 1, 1))
    row = {link.id: link for link in small.status().links}[everybody.id]
    assert (row.quota, row.expires_at) == (5, dt.datetime(2999, 1, 1, tzinfo=dt.UTC))
    small.revoke(everybody.id)
    assert {link.id: link for link in small.status().links}[everybody.id].revoked_at
    for refused in (
        lambda: small.revoke(99),
        lambda: small.invite(0),
        lambda: small.invite(2, kind="open"),
        lambda: small.invite(quota=3),
        lambda: small.invite(expires=dt.datetime(2001, 1, 1)),
        lambda: small.rehearse(0),
    ):
        with pytest.raises(UsageError):
            refused()


def test_states_change_and_are_told(small: api.Study) -> None:
    small.invite()
    for change, state in ((small.pause, "paused"), (small.resume, "open"), (small.close, "closed")):
        change()
        assert small.status().overview.state == state
    assert small.release() == []


def test_a_database_alone_knows_its_study(here: Path, small: api.Study) -> None:
    small.invite()
    database = (small.folder / "votes.sqlite").rename(here / "kept.sqlite")
    (small.folder / "study.toml").unlink()
    (small.folder.rename(here / "gone"))
    left = api.Study("small", database)
    assert left.status().overview.study == "small"
    with pytest.raises(UsageError):
        _ = left.folder


def test_the_site_is_checked_without_serving(small: api.Study) -> None:
    found = {check.name: check.ok for check in small.check_site()}
    assert found["study"]
    assert found["stimuli"]


def test_operators_come_and_go(small: api.Study, here: Path) -> None:
    small.add_operator("ada", "owner", "correct horse battery")
    small.add_operator("bob", "viewer", "correct horse battery")
    assert [(row.name, row.role) for row in small.operators()] == [
        ("ada", "owner"),
        ("bob", "viewer"),
    ]
    with pytest.raises(UsageError, match="12 to 1000 characters, not 5"):
        small.set_password("bob", "short")
    small.set_password("bob", "another good password")
    small.remove_operator("ada")
    assert [row.name for row in small.operators()] == ["bob"]
    with pytest.raises(ValueError, match="There is an operator 'bob' already"):
        small.add_operator("bob", "owner", "correct horse battery")


# The documentation, and what it costs


def test_the_documentation_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sreval, "__all__", [*sreval.__all__, *api.__all__])
    tests = [
        test
        for test in doctest.DocTestFinder().find(api.Study, "Study", module=api)
        if test.examples
    ]
    assert tests
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0


def loaded(code: str, *names: str, cwd: Path) -> list[str]:
    """Which of the modules are loaded once ``code`` ran in a process of its own."""
    told = f"{code}\nimport sys\nprint('\\n', *(n for n in {names!r} if n in sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=cwd
    )
    return ran.stdout.splitlines()[-1].split()


HEAVY = ("torch", "pandas", "scipy", "matplotlib", "flask", "sqlalchemy")


def test_a_check_loads_neither_flask_nor_a_database(here: Path, small: api.Study) -> None:
    code = "from sreval.api import Study; s = Study('small'); s.check(); repr(s); s.plan(0)"
    assert loaded(code, "flask", "sqlalchemy", cwd=here) == []


@pytest.mark.parametrize("command", [["opinions"], ["report"], ["serve"], ["study", "check"]])
def test_help_loads_nothing_heavy(here: Path, command: list[str]) -> None:
    code = (
        f"from sreval.cli import main\ntry: main({[*command, '--help']!r})\nexcept SystemExit: pass"
    )
    assert loaded(code, *HEAVY, cwd=here) == []


def test_a_status_needs_its_database_alone(here: Path, small: api.Study) -> None:
    small.invite()
    code = "from sreval.api import Study; print(Study('small').status())"
    assert loaded(code, "torch", "pandas", "scipy", "matplotlib", "flask", cwd=here) == []


def test_the_papers_scores_are_taken_to_the_studys_scale() -> None:
    line, five = Scale(line=True), Scale()
    known, own = _paper_qualities(line), _paper_qualities(five)
    assert known.keys() == own.keys()
    for key, score in own.items():
        assert known[key] == pytest.approx(100 * (score - 1) / 4)


def test_a_study_of_pairs_is_rehearsed_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = api.Study.new("trial", "pairs")
    study.freeze()
    made = study.rehearse(2)
    assert (made.complete, made.failures) == (2, [])
