"""From a run to a model's folder and its card; what may not be published; what verify finds."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sreval import content
from sreval.errors import DataError, TrainingError, UsageError, WeightsError
from sreval.files import sha256_file
from sreval.images.datasets import open_dataset
from sreval.images.degradations import open_degradation
from sreval.images.degrade import degrade
from sreval.images.io import read_image
from sreval.images.resize import crop_to_multiple, downscale
from sreval.methods import make_upscaler
from sreval.metrics.protocol import get_protocol
from sreval.metrics.scorer import Reference
from sreval.networks.inference import Inference
from sreval.networks.weights import (
    Stage,
    load_network,
    read_provenance,
    read_tensors,
    serialise,
    write_weights,
)
from sreval.training import cards
from sreval.training.cards import Findings, Scored, planned_card
from sreval.training.licences import count_licences, non_commercial
from sreval.training.models import (
    Model,
    list_models,
    publish,
    read_run,
    score,
)
from sreval.training.recipe import KEPT_ASIDE, load_recipe
from sreval.training.run import Request, train
from sreval.training.validation import Flat

RECIPE = """
name = "tiny-espcn"
about = "ESPCN, for a test"
choices = ["Everything is small."]
network.name = "espcn"
loss.mse = 1.0
data = { crop = 32, batch = 3 }
run = { log_every = 50, dataset = "DATASET", validate_every = 50 }
[profiles.paper.optimisation]
updates = 150
learning_rate = 3e-3
[profiles.smoke.optimisation]
updates = 2
"""


@pytest.fixture
def home(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own home with one recipe, and a working folder without models/."""
    folder = tmp_path / "home/models/tiny-espcn"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE.replace("DATASET", str(photographs)))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("SREVAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def trained(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, which tests copy."""
    base = tmp_path_factory.mktemp("trained")
    (base / "tiny-espcn").mkdir()
    recipe = RECIPE.replace("DATASET", str(photographs))
    (base / "tiny-espcn/recipe.toml").write_text(recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SREVAL_DATA", str(base / "no-data"))
        patch.setenv("SREVAL_CACHE", str(base / "cache"))
        train(Request(str(base / "tiny-espcn"), [photographs], base / "run", device="cpu"))
    return base / "run"


@pytest.fixture
def finished(home: Path, trained: Path, tmp_path: Path) -> Path:
    """A finished run of the user's own recipe."""
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    facts = json.loads((out / "run.json").read_text())
    facts["folder"] = str(home / "models/tiny-espcn")
    (out / "run.json").write_text(json.dumps(facts))
    return out


def test_a_published_model_is_listed_and_verified(home: Path, finished: Path) -> None:
    folder = publish(finished)
    assert folder == home / "models/tiny-espcn"
    model = Model.find("tiny-espcn")
    model.verify()
    assert model.provenance is not None
    assert model.provenance.step == 150
    assert model.parameters == 1_600 + 64 + 18_432 + 32 + 4_608 + 16
    listed = {m.name: m for m in list_models()[0]}
    assert listed["tiny-espcn"].sha256 == model.sha256
    assert {"srresnet-mse", "srgan-vgg54"} <= set(listed)
    assert listed["srresnet-mse"].parameters == 1_549_462
    card = (folder / "card.md").read_text()
    for part in (
        "after 150 updates",
        "| Loss | mse 1 |",
        "| Optimiser | adam, learning rate 0.003, steps, fp32 |",
        "| 1 | tiny-espcn | scratch |",
        "6 photographs",
        "not stated",
        "Everything is small.",
    ):
        assert part in card
    assert model.sha256 in card
    assert "non-commercial" not in card
    network, _ = load_network(folder / "weights.safetensors")
    whole, _ = load_network(finished / "weights.safetensors")
    for a, b in zip(network.parameters(), whole.parameters(), strict=True):
        assert (a == (b.half().float() if b.ndim > 1 else b)).all()


def test_the_card_names_the_weights_that_a_run_and_those_before_it_began_with(
    finished: Path, photographs: Path, tmp_path: Path
) -> None:
    start = finished / "weights.safetensors"
    second = Request("tiny-espcn", [photographs], tmp_path / "second", steps=2, start=start)
    train(second)
    card = (publish(tmp_path / "second") / "card.md").read_text()
    digest = sha256_file(start)[:12]
    assert f"\n| 2 | tiny-espcn | stage 1, weights {digest} |" in card

    start = tmp_path / "second/weights.safetensors"
    train(Request("tiny-espcn", [photographs], tmp_path / "third", steps=3, start=start))
    card = (publish(tmp_path / "third", replace=True) / "card.md").read_text()
    last = sha256_file(start)[:12]
    assert "\n| 1 | tiny-espcn | scratch |" in card
    assert f"\n| 2 | tiny-espcn | stage 1, weights {digest} |" in card
    assert f"\n| 3 | tiny-espcn | stage 2, weights {last} |" in card


def test_a_card_is_written_anew_from_its_own_run_alone(
    finished: Path, photographs: Path, tmp_path: Path
) -> None:
    folder = publish(finished)
    card = (folder / "card.md").read_text()
    (folder / "card.md").unlink()
    Model.find("tiny-espcn").renew_card(read_run(finished))
    assert (folder / "card.md").read_text() == card
    train(Request("tiny-espcn", [photographs], tmp_path / "other", steps=2, device="cpu"))
    with pytest.raises(UsageError, match="not the run that made the weights"):
        Model.find("tiny-espcn").renew_card(read_run(tmp_path / "other"))
    assert (folder / "card.md").read_text() == card


def test_weights_lost_between_checkpoint_and_export_come_back(
    finished: Path, photographs: Path
) -> None:
    weights = finished / "weights.safetensors"
    before, _ = load_network(weights)
    weights.unlink()
    train(Request("tiny-espcn", [photographs], finished, device="cpu", resume=True))
    after, _ = load_network(weights)
    for a, b in zip(before.parameters(), after.parameters(), strict=True):
        assert (a == b).all()


def test_a_finished_run_resumed_writes_the_same_bytes(finished: Path, photographs: Path) -> None:
    before = (finished / "weights.safetensors").read_bytes()
    train(Request("tiny-espcn", [photographs], finished, device="cpu", resume=True))
    assert (finished / "weights.safetensors").read_bytes() == before


def test_a_card_says_what_was_compared_by_hash_alone(finished: Path) -> None:
    card = (publish(finished) / "card.md").read_text()
    assert (
        "compared with Set5, Set14, BSD100, Urban100 by file hash alone, not compared with "
        "DIV2K-valid, Manga109, RealSR."
    ) in card


def test_the_best_weights_by_the_validation_are_published(home: Path, finished: Path) -> None:
    network, provenance = load_network(finished / "weights.safetensors")
    with torch.no_grad():
        next(network.parameters()).mul_(0.5)
    best = finished / "best.safetensors"
    write_weights(best, network, provenance.model_copy(update={"step": 100}))
    folder = publish(finished)
    published, made = load_network(folder / "weights.safetensors")
    assert made.step == 100
    assert torch.equal(next(published.parameters()), next(network.parameters()).half().float())
    card = (folder / "card.md").read_text()
    assert "after 100 of 150 updates, the best of the validation, batch 3" in card
    (folder / "card.md").unlink()
    Model.find("tiny-espcn").renew_card(read_run(finished))
    assert (folder / "card.md").read_text() == card
    best.unlink()
    with pytest.raises(UsageError, match="not the run that made the weights"):
        Model.find("tiny-espcn").renew_card(read_run(finished))


def give_stages(run: Path, *stages: Stage) -> None:
    """Make a run's weights say which runs led to them."""
    for path in run.glob("*.safetensors"):
        network, provenance = load_network(path)
        write_weights(path, network, provenance.model_copy(update={"stages": stages}))


def own_stage(**changed: Any) -> Stage:
    recipe = load_recipe("tiny-espcn")
    facts = {"model": "tiny-espcn", "updates": 150, "batch": 3, "profile": "paper"}
    return Stage.model_validate(facts | {"recipe_sha256": recipe.sha256} | changed)


def test_verify_says_when_the_recipe_has_changed(
    home: Path, finished: Path, sreval: Callable[..., Any]
) -> None:
    folder = publish(finished)
    verified = sreval("models", "verify", "tiny-espcn")
    give_stages(finished, own_stage())
    publish(finished, replace=True)
    verified = sreval("models", "verify", "tiny-espcn")
    assert verified.code == 0
    assert "not recorded" not in verified.out
    recipe = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(recipe.replace("batch = 3", "batch = 4"))
    made, now = own_stage().recipe_sha256, load_recipe("tiny-espcn").sha256
    with pytest.raises(WeightsError) as error:
        Model.find("tiny-espcn").verify()
    before = Model.find("tiny-espcn").provenance
    assert before is not None
    assert before.recipe_sha256[:16] in str(error.value)
    assert now[:16] in str(error.value)
    assert made == now
    (folder / "recipe.toml").write_text(recipe)
    Model.find("tiny-espcn").verify()


def test_verify_counts_what_was_changed_in_the_profile(
    home: Path, photographs: Path, tmp_path: Path
) -> None:
    changes = {"optimisation.updates": 3, "optimisation.learning_rate": 0.002}
    train(Request("tiny-espcn", [photographs], tmp_path / "run", steps=3, changes=changes))
    give_stages(tmp_path / "run", own_stage(changes=changes))
    publish(tmp_path / "run")
    Model.find("tiny-espcn").verify()


def test_old_weights_are_in_order_and_their_recipe_is_said_to_be_unknown(
    home: Path, finished: Path, sreval: Callable[..., Any]
) -> None:
    give_stages(finished)
    publish(finished)
    verified = sreval("models", "verify", "tiny-espcn")
    assert verified.code == 0
    assert "in order" in verified.out
    assert "its recipe was not recorded" in verified.out


def test_all_cards_are_made_again_without_their_runs(
    home: Path, finished: Path, sreval: Callable[..., Any]
) -> None:
    folder = publish(finished)
    card = (folder / "card.md").read_text()
    planned = home / "models/planned"
    planned.mkdir()
    (planned / "recipe.toml").write_text(
        (folder / "recipe.toml").read_text().replace("tiny-espcn", "planned")
    )
    # a card of before, without what is measured and recorded by now
    old = re.sub(r"## (How it came about|What to know)\n.*?(?=## )", "", card, flags=re.DOTALL)
    old = old.replace("6 photographs", "66 photographs")
    (folder / "card.md").write_text(old)
    shutil.rmtree(finished)
    ran = sreval("models", "card", "--all")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [str(planned / "card.md"), str(folder / "card.md")]
    assert (folder / "card.md").read_text() == card.replace("6 photographs", "66 photographs")
    assert (planned / "card.md").read_text() == sreval("models", "card", "planned").out
    assert sreval("models", "card", "--all").code == 0
    assert (folder / "card.md").read_text() == card.replace("6 photographs", "66 photographs")


def test_a_card_of_other_weights_is_no_source(
    home: Path, finished: Path, sreval: Callable[..., Any]
) -> None:
    folder = publish(finished)
    model = Model.find("tiny-espcn")
    card = (folder / "card.md").read_text()
    (folder / "card.md").write_text(card.replace(model.sha256, "0" * 64))
    model.renew_card()
    renewed = (folder / "card.md").read_text()
    assert model.sha256 in renewed
    assert "6 photographs" not in renewed
    assert "## What to know" in renewed


def test_scores_stay_where_the_data_sets_are_not_at_hand(home: Path, finished: Path) -> None:
    folder = publish(finished)
    card = (folder / "card.md").read_text()
    scores = "## Scores\n\n| Set5 (5) | matlab | 31.11 |\n\n"
    grid = "## What to know\n\n- Grid peak on Set5: 3.3 (median)."
    card = card.replace("## What to know\n\n", f"{scores}{grid}\n")
    (folder / "card.md").write_text(card)
    Model.find("tiny-espcn").renew_card()
    assert (folder / "card.md").read_text() == card


def test_the_card_command_wants_one_name_or_all(sreval: Callable[..., Any]) -> None:
    for arguments in ((), ("espcn", "--all"), ("--all", "--run", "runs/x")):
        ran = sreval("models", "card", *arguments)
        assert (ran.code, "Name one model, or give --all alone" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("peak", "flat", "warnings"),
    [
        (2.3, Flat(0.1, 0.5), []),
        (6.1, Flat(0.1, 0.5), ["More than theirs: look for a fine grid in smooth places."]),
        (2.3, Flat(1.1, 0.5), ["More than 1: look for a texture in flat areas."]),
        (2.3, Flat(0.1, 2.1), ["More than 2: look for a tint."]),
    ],
)
def test_what_to_know_warns_where_it_is_due(
    finished: Path, peak: float, flat: Flat, warnings: list[str]
) -> None:
    scores = (Scored("Set5", "matlab", 5, 30.0, 0.9, None, peak),)
    recipe = load_recipe("tiny-espcn")
    text = cards.card(recipe, finished / "weights.safetensors", Findings(scores, flat))
    know = text.split("## What to know")[1].split("## ")[0]
    assert f"Grid peak on Set5: {peak:.1f}" in know
    assert f"{flat.pattern:.2f} levels" in know
    assert f"{flat.offset:.2f} levels" in know
    possible = (
        "More than theirs: look for a fine grid in smooth places.",
        "More than 1: look for a texture in flat areas.",
        "More than 2: look for a tint.",
    )
    assert [warning for warning in possible if warning in know] == warnings
    text = cards.card(recipe, finished / "weights.safetensors", Findings((), flat))
    assert "Grid peak" not in text
    assert f"{flat.offset:.2f} levels" in text


def test_a_card_names_the_photographs_it_was_validated_on(finished: Path) -> None:
    run = read_run(finished)
    watched = run.recipe.run.model_copy(update={"dataset": KEPT_ASIDE})
    run.facts["photographs"] = 854
    again = replace(run, recipe=run.recipe.model_copy(update={"run": watched}))
    findings = Findings((), Flat(0.1, 0.1))
    text = cards.card(run.recipe, finished / "weights.safetensors", findings, again)
    assert "\nThe 10 photographs kept aside under `matlab`:\n" in text
    millions = run.facts["megapixels"]
    assert 0 < millions < 10
    assert (
        f"854 photographs, {millions:.2g} megapixels, of which 10 kept aside and never trained on;"
        in text
    )


def test_a_card_says_how_lr_images_were_made(finished: Path) -> None:
    run = read_run(finished)
    for spec, drawn in (("bd:sigma=2", False), ("dn", True)):
        degradation = open_degradation(spec)
        data = run.recipe.data.model_copy(update={"degrade": degradation})
        recipe = run.recipe.model_copy(update={"data": data})
        findings = Findings((), Flat(0.1, 0.1))
        again = replace(run, recipe=recipe)
        text = cards.card(recipe, finished / "weights.safetensors", findings, again)
        row = next(line for line in text.splitlines() if line.startswith("| LR images |"))
        assert f"`{spec}`, recipe SHA-256 {degradation.sha256[:16]}" in row
        assert ("drawn anew" in row) is drawn
        assert f", LR images by `{spec}`, under `matlab`:" in text
        assert row in planned_card(recipe, ("paper",), 5)
    assert "LR images" not in cards.card(
        run.recipe, finished / "weights.safetensors", Findings((), Flat(0.1, 0.1)), run
    )


def test_a_degradation_from_a_file_is_not_published_for_nobody_else_has_it(
    home: Path, finished: Path
) -> None:
    lens = 'name = "lens", steps = [{ step = "bicubic" }, { step = "jpeg", quality = 50 }]'
    recipe = home / "models/tiny-espcn/recipe.toml"
    (recipe.parent / "lens.toml").write_text(lens.replace(", steps", "\nsteps"))
    text = recipe.read_text()
    recipe.write_text(text.replace("batch = 3 }", 'batch = 3, degrade = "lens.toml" }'))
    with pytest.raises(UsageError, match=r"lens\.toml, which a published recipe can't") as raised:
        publish(finished)
    assert "[data.degrade]" in raised.value.remedy
    recipe.write_text(text.replace("batch = 3 }", f"batch = 3, degrade = {{ {lens} }} }}"))
    degradation = load_recipe("tiny-espcn").data.degrade
    assert degradation is not None
    assert degradation.name == "lens"
    publish(finished)


@pytest.mark.data
def test_a_network_for_degraded_images_is_scored_on_both_kinds(
    finished: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_DATA", str(shared_data))
    monkeypatch.setenv("SREVAL_WEIGHTS", str(finished))  # which holds no LPIPS
    monkeypatch.setattr("sreval.training.models.PROTOCOLS", ("matlab",))
    recipe = load_recipe("tiny-espcn", changes={"data.degrade": "bd"})
    weights = finished / "weights.safetensors"
    found = {s.dataset: s.psnr for s in score(recipe, weights, ["Set5"]).scores}
    network, _ = load_network(weights)
    inference = Inference.of(network, recipe.network)
    protocol = get_protocol("matlab")
    psnr = dict.fromkeys(("Set5", "Set5-bd"), 0.0)
    for item in open_dataset("Set5", 4).items:
        high = crop_to_multiple(read_image(item.file).pixels, 4)
        blurred, _ = degrade(high, open_degradation("bd"), 4)
        for name, low in (("Set5", downscale(high, 4)), ("Set5-bd", blurred)):
            image = inference.upscale([low])[0]
            (one,) = Reference(high, 4).score(image, [protocol], ["psnr"])
            psnr[name] += one.value / 5
    assert found == pytest.approx(psnr, abs=5e-3)  # published LR images differ in a level or two


@pytest.mark.parametrize(
    ("model", "said"), [("srgan-vgg54", True), ("srgan-mse", False), ("espcn", False)]
)
def test_a_card_says_what_calibration_makes_equal(model: str, said: bool) -> None:
    found = Model.find(model)
    text = planned_card(found.recipe, found.profiles, found.parameters)
    assert ("makes the values of the VGG loss and of the MSE equal" in text) == said


def test_a_run_is_published_from_anywhere(
    home: Path, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(Request("tiny-espcn", [photographs], tmp_path / "run", steps=3))
    monkeypatch.delenv("SREVAL_HOME")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    assert publish(tmp_path / "run") == tmp_path / "models/tiny-espcn"
    assert load_recipe("tiny-espcn").about == load_recipe(str(home / "models/tiny-espcn")).about


@pytest.mark.parametrize("own_home", [False, True])
def test_a_run_of_a_packaged_model_is_published_where_there_is_no_folder_yet(
    own_home: bool,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sreval: Callable[..., Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_HOME", raising=False)
    models = tmp_path / "models"
    if own_home:
        monkeypatch.setenv("SREVAL_HOME", str(tmp_path / "own"))
        models = tmp_path / "own/models"
    quick = {"run.dataset": str(photographs), "data.batch": 2}
    train(Request("espcn", [photographs], tmp_path / "runs/mine", steps=2, changes=quick))
    packaged = (content.packaged("models") / "espcn/recipe.toml").read_bytes()

    # what an older version left when it failed here
    (models / "espcn").mkdir(parents=True)
    assert "espcn" in {model.name for model in list_models()[0]}
    (models / "espcn").rmdir()
    models.rmdir()

    first = sreval("models", "publish", "runs/mine")
    assert first.code == 0, first.err
    assert Path(first.out.strip()).resolve() == models / "espcn"
    assert sorted(path.name for path in (models / "espcn").iterdir()) == [
        "card.md",
        "recipe.toml",
        "weights.safetensors",
    ]
    assert (models / "espcn/recipe.toml").read_bytes() == packaged
    again = sreval("models", "publish", "runs/mine")
    assert (again.code, "--replace" in again.err) == (2, True)
    assert sreval("models", "publish", "runs/mine", "--replace").code == 0
    assert Model.find("espcn").folder.resolve() == models / "espcn"
    Model.find("espcn").verify()
    assert Model.find("espcn").sha256 == sha256_file(models / "espcn/weights.safetensors")


def test_publishing_that_fails_leaves_nothing(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_HOME", raising=False)
    quick = {"run.dataset": str(photographs), "data.batch": 2}
    train(Request("espcn", [photographs], tmp_path / "run", steps=2, changes=quick))
    before = sorted(tmp_path.rglob("*"))

    def fails(*_: object) -> None:
        raise DataError("The disk is full.")

    monkeypatch.setattr("sreval.training.models.score", fails)
    with pytest.raises(DataError, match="full"):
        publish(tmp_path / "run")
    assert sorted(tmp_path.rglob("*")) == before
    assert Model.find("espcn").folder == content.packaged("models") / "espcn"


def test_weights_put_under_another_s_card_are_refused(home: Path, finished: Path) -> None:
    folder = publish(finished)
    make_upscaler("tiny-espcn")
    weights = folder / "weights.safetensors"
    data = weights.read_bytes()
    shutil.copyfile(finished / "weights.safetensors", weights)
    with pytest.raises(WeightsError, match=r"card\.md beside it"):
        make_upscaler("tiny-espcn")
    with pytest.raises(WeightsError, match=r"card\.md beside it"):
        train(Request("tiny-espcn", [finished.parent], finished.parent / "b", start=folder))
    weights.write_bytes(data)
    make_upscaler("tiny-espcn")


@pytest.mark.parametrize("name", ["espcn", "srcnn"])
def test_packaged_weights_with_a_flipped_bit_are_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(content.packaged("models") / name, folder)
    make_upscaler(str(folder))
    weights = folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=rf"{name}/weights\.safetensors has the SHA-256"):
        make_upscaler(str(folder))


def test_a_run_s_weights_with_a_flipped_bit_are_refused(finished: Path) -> None:
    for name in ("weights.safetensors", "best.safetensors"):
        data = bytearray((finished / name).read_bytes())
        data[-3] ^= 1
        (finished / name).write_bytes(data)
        with pytest.raises(WeightsError, match=rf"{name} is damaged"):
            make_upscaler(str(finished / name))
    with pytest.raises(WeightsError, match="is damaged"):
        publish(finished)


def test_a_run_whose_model_s_folder_is_gone_is_found_by_name(
    home: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.rename(home.with_name("moved"))
    monkeypatch.setenv("SREVAL_HOME", str(home.with_name("moved")))
    folder = publish(finished)
    assert folder == home.with_name("moved") / "models/tiny-espcn"
    assert "after 150 updates" in (folder / "card.md").read_text()


def test_weights_and_card_appear_together(
    home: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish(finished)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sreval.training.models.score", interrupted)
    (finished / "weights.safetensors").write_bytes(before["weights.safetensors"])
    with pytest.raises(KeyboardInterrupt):
        publish(finished, replace=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["tiny-espcn"]


def test_a_run_from_before_the_hashes_were_noted_is_published(finished: Path) -> None:
    facts = json.loads((finished / "run.json").read_text())
    del facts["by_hash_alone"], facts["folder"]
    (finished / "run.json").write_text(json.dumps(facts))
    assert "by file hash alone" not in (publish(finished) / "card.md").read_text()


def test_a_linked_model_bears_the_link_s_name(home: Path, finished: Path) -> None:
    folder = publish(finished)
    folder.rename(home / "elsewhere")
    folder.symlink_to(home / "elsewhere")
    assert "tiny-espcn" in {model.name for model in list_models()[0]}
    Model.find("tiny-espcn").verify()
    assert Model.find("tiny-espcn").name == "tiny-espcn"


def test_what_is_no_run_s_facts_is_said(finished: Path) -> None:
    (finished / "run.json").write_text('{"model": "tiny-espcn"}')
    with pytest.raises(TrainingError, match=r"run\.json"):
        publish(finished)


def test_a_broken_model_hides_no_other(
    home: Path, finished: Path, sreval: Callable[..., Any]
) -> None:
    publish(finished)
    for name, text in (
        ("empty", 'name = "empty"'),
        ("odd", "name = "),
        ("number", "profiles = 3"),
        ("numbers", "profiles.paper = 3"),
    ):
        (home / "models" / name).mkdir()
        (home / "models" / name / "recipe.toml").write_text(text)
    listed = sreval("models", "list", "--json")
    assert listed.code == 3
    assert "tiny-espcn" in {row["name"] for row in json.loads(listed.out)}
    assert "empty/recipe.toml has no profiles" in listed.err
    assert all(f"{name}/recipe.toml" in listed.err for name in ("odd", "number", "numbers"))
    verified = sreval("models", "verify")
    assert verified.code == 1
    assert "tiny-espcn: in order" in verified.out
    assert "empty/recipe.toml has no profiles" in verified.err


def test_weights_are_not_replaced_unasked(finished: Path) -> None:
    publish(finished)
    with pytest.raises(UsageError, match="replace=True"):
        publish(finished)
    publish(finished, replace=True)


def test_a_smoke_run_and_no_run_are_not_published(
    home: Path, photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "smoke"
    train(Request("tiny-espcn", [photographs], out, "smoke", device="cpu"))
    with pytest.raises(UsageError, match="smoke"):
        publish(out)
    with pytest.raises(TrainingError, match="no run"):
        publish(tmp_path)
    assert not (home / "models/tiny-espcn/weights.safetensors").exists()


def test_a_network_that_no_profile_names_is_not_published(
    home: Path, photographs: Path, tmp_path: Path
) -> None:
    changes = {"network.scale": 2}
    train(Request("tiny-espcn", [photographs], tmp_path / "run", steps=2, changes=changes))
    with pytest.raises(UsageError, match="another network than profile 'paper' of tiny-espcn"):
        publish(tmp_path / "run")
    assert not (home / "models/tiny-espcn/weights.safetensors").exists()


@pytest.mark.data
def test_a_card_has_lpips_where_its_weights_are_at_hand(
    finished: Path,
    shared_weights: Path,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sreval.metrics.lpips import lpips

    monkeypatch.setattr("sreval.training.models.SETS", ("Set5",))
    monkeypatch.setenv("SREVAL_DATA", str(shared_data))
    card = (publish(finished) / "card.md").read_text()
    row = next(line for line in card.splitlines() if line.startswith("| Set5 (5) | matlab |"))
    network, _ = load_network(finished.parent / "home/models/tiny-espcn/weights.safetensors")
    images = [(item, read_image(item.file).pixels) for item in open_dataset("Set5", 4).items]
    inference = Inference.of(network, Model.find("tiny-espcn").recipe.network)
    low = [downscale(crop_to_multiple(high, 4), 4) for _, high in images]
    found = [
        lpips(crop_to_multiple(high, 4)[4:-4, 4:-4], image[4:-4, 4:-4])
        for (_, high), image in zip(images, inference.upscale(low), strict=True)
    ]
    assert float(row.split("|")[-2]) == pytest.approx(sum(found) / 5, abs=6e-4)


def test_verify_finds_what_is_wrong(home: Path, finished: Path) -> None:
    with pytest.raises(WeightsError, match="has no weights"):
        Model.find("tiny-espcn").verify()
    folder = publish(finished)
    weights, card = folder / "weights.safetensors", folder / "card.md"
    good, text = weights.read_bytes(), card.read_text()

    card.write_text(text.replace(Model.find("tiny-espcn").sha256, "0" * 64))
    with pytest.raises(WeightsError, match="SHA-256"):
        Model.find("tiny-espcn").verify()

    tensors, metadata = read_tensors(weights)
    tensors["conv3.bias"] += 5
    weights.write_bytes(serialise(tensors, metadata))
    with pytest.raises(WeightsError, match="mid-grey"):
        Model.find("tiny-espcn").verify()

    weights.write_bytes(good)
    recipe = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(recipe.replace('name = "espcn"', 'name = "srcnn"'))
    with pytest.raises(WeightsError, match="'architecture'"):
        Model.find("tiny-espcn").verify()


def test_a_run_s_facts(finished: Path) -> None:
    run = read_run(finished)
    assert (run.updates, run.vgg_factor, run.facts["profile"]) == (150, 1.0, "paper")
    (stage,) = read_provenance(finished / "weights.safetensors").stages
    assert stage.seconds > 0
    assert "threads" in stage.hardware


def test_licences_come_from_the_list_beside_or_inside(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    (tmp_path / "open.csv").write_text("file,licence\na.png,CC0\nb.png,CC0\n")
    (folder / "more.csv").write_text("file,licence\nc.png,non-commercial research\n")
    (folder / "other.csv").write_text("x,y\n1,2\n")
    counts = count_licences([folder], ["a.png", "b.png", "c.png", "d.png"])
    assert counts == {"CC0": 2, "non-commercial research": 1, "not stated": 1}
    assert non_commercial(counts)
    assert not non_commercial(["CC0"])


def test_a_copy_in_another_format_stands_under_its_original_s_licence(tmp_path: Path) -> None:
    rows = "file,licence\nsky_1.04__a.jpg,CC0\nb.jpg,CC0\nb.png,CC BY\nc.jpg,CC BY\nc.png,CC BY\n"
    (tmp_path / "open.csv").write_text(rows)
    counts = count_licences([tmp_path], ["sky_1.04__a.webp", "c.webp", "sky_1.webp"])
    assert counts == {"CC0": 1, "CC BY": 1, "not stated": 1}
    # two originals of one name under two licences: which of them was copied isn't known
    assert count_licences([tmp_path], ["b.webp", "b.png"]) == {"not stated": 1, "CC BY": 1}
