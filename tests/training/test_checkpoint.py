"""Checkpoints: complete, exact, refused where they don't belong; the light form is light."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sreval.errors import DataError, TrainingError, WeightsError
from sreval.networks.weights import read_tensors
from sreval.training.checkpoint import (
    Progress,
    _state,
    light_path,
    list_checkpoints,
    load_checkpoint,
    load_light,
    save_checkpoint,
    save_light,
)
from sreval.training.learner import Learner
from sreval.training.recipe import Recipe

CPU = torch.device("cpu")
MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def gan(make_recipe: MakeRecipe) -> Recipe:
    options = {"updates": 6, "learning_rate": 1e-3, "ema": 0.9}
    return make_recipe(loss={"mse": 1.0, "adversarial": 1e-3}, optimisation=options)


def batches(random: torch.Generator, count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=random)

    return [(draw(3, 3, 8, 8), 2 * draw(3, 3, 32, 32) - 1) for _ in range(count)]


def same(a: Learner, b: Learner) -> bool:
    x, y = _state(a), _state(b)
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


def test_a_run_goes_on_bit_for_bit(gan: Recipe, tmp_path: Path) -> None:
    learner, random = Learner(gan, CPU), torch.Generator().manual_seed(1)
    for batch in batches(random, 2):
        learner.update(*batch)
    progress = Progress(step=2, total=6, vgg_factor=0.25, notes=["a note"])
    path = save_checkpoint(tmp_path, learner, random, progress, "data")
    for batch in batches(random, 2):
        learner.update(*batch)

    other, other_random = Learner(gan, CPU), torch.Generator()
    assert load_checkpoint(path, other, other_random, "data") == progress
    for batch in batches(other_random, 2):
        other.update(*batch)
    assert same(learner, other)
    moments = next(iter(other.optimiser.state.values()))["exp_avg"]
    assert moments.stride() == next(other.generator.parameters()).stride()


@pytest.mark.parametrize(
    ("section", "keys", "value"),
    [
        ("data", ("window", "crops_per_photograph", "degrade"), 1.0),
        ("optimisation", ("accumulate", "batch_norm"), 3),
    ],
)
def test_a_checkpoint_from_before_a_key_came_goes_on(
    make_recipe: MakeRecipe, tmp_path: Path, section: str, keys: tuple[str, ...], value: float
) -> None:
    plain = make_recipe()
    learner, random = Learner(plain, CPU), torch.Generator().manual_seed(1)
    learner.update(*batches(random, 1)[0])
    path = save_checkpoint(tmp_path, learner, random, Progress(step=1), "data")
    tensors, metadata = read_tensors(path)
    recipe = json.loads(metadata["recipe"])
    default = recipe[section][keys[0]]
    for key in keys:
        del recipe[section][key]
    save_file(tensors, path, {**metadata, "recipe": json.dumps(recipe)})
    assert load_checkpoint(path, Learner(plain, CPU), torch.Generator(), "data").step == 1
    changed = getattr(plain, section).model_copy(update={keys[0]: value})
    other = plain.model_copy(update={section: changed})
    with pytest.raises(TrainingError, match=rf"{section}\.{keys[0]} = {default} and {value}"):
        load_checkpoint(path, Learner(other, CPU), torch.Generator(), "data")


def test_soap_goes_on_bit_for_bit(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(optimisation={"updates": 40, "learning_rate": 1e-3, "optimiser": "soap"})
    learner, random = Learner(recipe, CPU), torch.Generator().manual_seed(1)
    for batch in batches(random, 13):
        learner.update(*batch)
    path = save_checkpoint(tmp_path, learner, random, Progress(step=13), "data")
    other, other_random = Learner(recipe, CPU), torch.Generator()
    load_checkpoint(path, other, other_random, "data")
    for who, draws in ((learner, random), (other, other_random)):
        for batch in batches(draws, 10):
            who.update(*batch)
    assert same(learner, other)


def test_only_the_last_and_the_named_are_kept(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(run={"keep": 2, "keep_at": [1, 3]})
    learner = Learner(recipe, CPU)
    for step in range(1, 7):
        save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=step), "data")
    assert [step for step, _ in list_checkpoints(tmp_path)] == [1, 3, 5, 6]


def test_another_recipe_or_other_data_are_refused_by_field(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    path = save_checkpoint(
        tmp_path, Learner(make_recipe(), CPU), torch.Generator(), Progress(step=1), "data"
    )
    other = Learner(make_recipe(data={"crop": 32, "batch": 2}), CPU)
    with pytest.raises(TrainingError, match=r"data\.batch = 3 and 2"):
        load_checkpoint(path, other, torch.Generator(), "data")
    with pytest.raises(TrainingError, match="other data"):
        load_checkpoint(path, Learner(make_recipe(), CPU), torch.Generator(), "else")
    longer = make_recipe(optimisation={"updates": 60, "learning_rate": 1e-3})
    assert load_checkpoint(path, Learner(longer, CPU), torch.Generator(), "data").step == 1


def test_a_damaged_checkpoint_is_named(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    learner = Learner(make_recipe(), CPU)
    path = save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="step-00000001"):
        load_checkpoint(path, learner, torch.Generator(), "data")


def test_weights_that_are_not_finite_never_reach_a_checkpoint(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    learner = Learner(make_recipe(), CPU)
    learner.generator.output.weight.data[0] = float("nan")  # type: ignore[union-attr,operator]
    with pytest.raises(TrainingError, match=r"generator\.output\.weight"):
        save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")
    assert list_checkpoints(tmp_path) == []


def test_a_full_disk_leaves_the_checkpoint_before(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(make_recipe(run={"keep": 1}), CPU)
    first = save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=2), "data")
    assert list_checkpoints(tmp_path) == [(1, first)]
    assert [entry.name for entry in first.parent.iterdir()] == [first.name]
    load_checkpoint(first, learner, torch.Generator(), "data")


def test_light_form_of_the_full_networks_stays_under_16_mb(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(
        network={"name": "srresnet"},
        loss={"mse": 1.0, "adversarial": 1e-3},
        data={"crop": 96, "batch": 1},
    )
    learner = Learner(recipe, CPU)
    learner.update(torch.rand(1, 3, 24, 24), 2 * torch.rand(1, 3, 96, 96) - 1)
    paths = save_light(tmp_path / "light", learner, Progress(step=1), "data")
    assert max(path.stat().st_size for path in paths) < 16e6

    other = Learner(recipe.model_copy(update={"name": "tiny"}), CPU)
    progress = load_light(tmp_path / "light", other, "data")
    assert "light form after 1 updates" in progress.notes[0]
    assert progress.generator_waits_until == 0
    assert "other photographs" not in progress.notes[0]
    assert "other photographs" in load_light(tmp_path / "light", other, "others").notes[0]
    a, b = _state(learner), _state(other)
    for name, tensor in a.items():
        if name.startswith("discriminator."):
            assert torch.equal(tensor.bfloat16().to(tensor.dtype), b[name])
        elif not name.startswith("discriminator_optimiser."):
            assert torch.equal(tensor, b[name]), name


def test_light_form_without_its_discriminator_lets_it_warm_up(
    make_recipe: MakeRecipe, gan: Recipe, tmp_path: Path
) -> None:
    plain = make_recipe(optimisation={"updates": 6, "learning_rate": 1e-3, "ema": 0.9})
    for path in save_light(tmp_path / "light", Learner(gan, CPU), Progress(step=40), "data"):
        if path.name.startswith("discriminator"):
            path.unlink()
    progress = load_light(tmp_path / "light", Learner(gan, CPU), "data", warmup=70)
    assert progress.generator_waits_until == 110
    assert "alone for 70 updates" in progress.notes[0]
    with pytest.raises(TrainingError, match=r"loss\.adversarial"):
        load_light(tmp_path / "light", Learner(plain, CPU), "data")


def test_a_part_of_the_light_form_is_not_enough(
    gan: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.training.checkpoint.LIGHT_BYTES", 500_000)
    learner = Learner(gan, CPU)
    earlier = save_light(tmp_path / "a" / "light", learner, Progress(step=1), "data")
    later = save_light(tmp_path / "b" / "light", learner, Progress(step=2), "data")
    assert len(later) > 1
    assert later[0].name.startswith("discriminator-01-of-")
    earlier[0].replace(later[0])
    with pytest.raises(TrainingError, match="another update"):
        load_light(later[0].parent, Learner(gan, CPU), "data")
    later[0].unlink()
    with pytest.raises(TrainingError, match="whole folder"):
        load_light(later[0].parent, Learner(gan, CPU), "data")


def test_only_the_newest_light_form_is_kept(gan: Recipe, tmp_path: Path) -> None:
    (tmp_path / "light/.step-00000003.part").mkdir(parents=True)  # left by a kill
    for step in (5, 12, 9):
        save_light(light_path(tmp_path, step), Learner(gan, CPU), Progress(step=step), "data")
    assert [folder.name for folder in (tmp_path / "light").iterdir()] == ["step-00000009"]


def test_a_flipped_bit_is_seen_in_a_checkpoint_and_in_its_light_form(
    gan: Recipe, tmp_path: Path
) -> None:
    learner = Learner(gan, CPU)
    path = save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")

    def go_on(file: Path) -> Progress:
        if file == path:
            return load_checkpoint(file, learner, torch.Generator(), "data")
        return load_light(file.parent, learner, "data")

    light = save_light(light_path(tmp_path, 1), learner, Progress(step=1), "data")
    for file in (path, *light):
        data = bytearray(file.read_bytes())
        data[-5] ^= 1
        file.write_bytes(data)
        with pytest.raises(WeightsError, match=rf"{file.name} is damaged"):
            read_tensors(file)
        with pytest.raises(WeightsError, match="is damaged"):
            go_on(file)
        data[-5] ^= 1
        file.write_bytes(data)
        assert go_on(file).step == 1


def test_a_checkpoint_of_a_version_without_checksums_loads(gan: Recipe, tmp_path: Path) -> None:
    learner = Learner(gan, CPU)
    path = save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")
    tensors, metadata = read_tensors(path)
    save_file(tensors, path, metadata)
    assert load_checkpoint(path, learner, torch.Generator(), "data").step == 1


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("progress", "{"),
        ("progress", "[" * 5000),
        ("progress", '{"step": null}'),
        ("progress", '{"stages": [3]}'),
        ("progress", '{"stepp": 3}'),
        ("recipe", "[]"),
        ("recipe", '{"optimisation": null}'),
        ("data_sha256", None),
    ],
)
def test_a_checkpoint_that_was_changed_is_refused_in_one_sentence(
    make_recipe: MakeRecipe, tmp_path: Path, field: str, text: str | None
) -> None:
    learner = Learner(make_recipe(), CPU)
    path = save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")
    tensors, metadata = read_tensors(path)
    changed = metadata | {field: text} if text is not None else {**metadata}
    if text is None:
        del changed[field]
    save_file(tensors, path, changed)  # without the seal, which would tell
    with pytest.raises(WeightsError, match="is damaged"):
        load_checkpoint(path, learner, torch.Generator(), "data")


def test_a_checkpoint_without_its_random_state_is_refused(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    learner = Learner(make_recipe(), CPU)
    path = save_checkpoint(tmp_path, learner, torch.Generator(), Progress(step=1), "data")
    tensors, metadata = read_tensors(path)
    for state in (None, torch.zeros(3), torch.zeros(3, dtype=torch.uint8)):
        kept = {name: t for name, t in tensors.items() if name != "random.sampler"}
        save_file(kept if state is None else kept | {"random.sampler": state}, path, metadata)
        with pytest.raises(WeightsError, match="its random state"):
            load_checkpoint(path, learner, torch.Generator(), "data")
