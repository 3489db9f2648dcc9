"""A study as the report takes it: a design, its manifest, votes of simulated raters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sreval.files import sha256_bytes
from sreval.statistics.votes import check_votes
from sreval.study.data import StudyData
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest, Stimulus
from sreval.study.simulate import RaterModel, make_stimuli, simulate_votes

QUALITIES = {"nearest": 1.5, "bicubic": 2.4, "srresnet-mse": 3.2, "hr": 4.4}
START = pd.Timestamp("2026-03-01T09:00:00Z")


def make_design(images: Mapping[str, Any], raters: int, **changes: Any) -> StudyDesign:
    content: dict[str, Any] = {
        "name": "small",
        "title": "A small study",
        "instructions": "Rate the quality of the picture.",
        "raters": raters,
        "seed": 7,
        "images": images,
        "consent": {"version": "1", "text": "I take part of my own will."},
    }
    return StudyDesign.model_validate(content | changes)


def make_study(
    images: Mapping[str, int] | None = None,
    qualities: Mapping[str, float] = QUALITIES,
    raters: int = 6,
    *,
    without: Mapping[str, tuple[str, ...]] | None = None,
    simulated: bool = True,
    stand_ins: tuple[str, ...] = (),
    model: RaterModel | None = None,
    seed: int = 0,
    **changes: Any,
) -> StudyData:
    """A closed study in which every rater rated every stimulus; two methods' repeats and gold."""
    images = images or {"Set5": 5, "Set14": 6}
    without = without or {}
    parts = [{"name": name, "without": without.get(name, ())} for name in images]
    methods = tuple(qualities)
    design = make_design({"methods": methods, "datasets": parts}, raters, **changes)
    stimuli = pd.concat(
        [
            make_stimuli(
                {m: q for m, q in qualities.items() if m in design.images.methods_of(name)},
                count,
                dataset=name,
                seed=seed + place,
            )
            for place, (name, count) in enumerate(images.items())
        ],
        ignore_index=True,
    )
    manifest = Manifest(
        tuple(
            Stimulus(
                row["dataset"],
                row["image"],
                row["scene"],
                row["method"],
                sha256_bytes(f"shown {row['dataset']} {row['image']} {row['method']}".encode()),
                sha256_bytes(f"{row['dataset']} {row['image']} {row['method']}".encode()),
                320,
                240,
                row["method"] in stand_ins,
            )
            for row in stimuli.to_dict("records")
        ),
        "1.0",
    )
    votes = simulate_votes(stimuli, model or RaterModel(), raters, seed)
    repeats = votes[votes["method"] == methods[-1]].groupby("rater").head(3).assign(kind="repeat")
    gold = votes[votes["method"] == methods[0]].groupby("rater").head(2).assign(kind="gold")
    votes = pd.concat([votes, repeats, gold], ignore_index=True)
    hashes = {s.key: s.sha256 for s in manifest.stimuli}
    votes = votes.assign(
        study=design.name,
        session="s-" + votes["rater"],
        simulated=simulated,
        stimulus_sha256=[
            hashes[key]
            for key in zip(votes["dataset"], votes["image"], votes["method"], strict=True)
        ],
        reason=None,
    )
    names = sorted(votes["rater"].unique())
    sessions = pd.DataFrame(
        {
            "session": [f"s-{name}" for name in names],
            "rater": names,
            "slot": range(len(names)),
            "stage": "done",
            "outcome": "complete",
            "votes": [int((votes["rater"] == name).sum()) for name in names],
            "accepted": True,
            "reason": "",
            "paid": True,
            "started_at": [START + pd.Timedelta(hours=i) for i in range(len(names))],
            "ended_at": [START + pd.Timedelta(hours=i, minutes=40) for i in range(len(names))],
            "sittings": 1,
            "simulated": simulated,
            "language": "en",
        }
    )
    return StudyData(design, design.sha256, manifest, check_votes(votes), sessions)


def full_size(seed: int = 0) -> StudyData:
    """29,328 votes: the paper's test by simulated raters whose truth is the paper's MOS."""
    from sreval.report import paper

    methods = [m for m in paper.METHOD_ORDER if ("Set5", m, "mos") in paper.figures()]
    qualities = {m: paper.figures()["Set14", m, "mos"] for m in methods}
    left = ("srresnet-vgg22", "srgan-mse", "srgan-vgg22")
    return make_study(
        {"Set5": 5, "Set14": 14, "BSD100": 100},
        qualities,
        26,
        without={"BSD100": left},
        seed=seed,
        name="ledig2017",
        title="The opinion test of Ledig et al. 2017",
        repeats=[{"dataset": "BSD100", "method": "hr", "images": 3}],
        gold=[{"dataset": "BSD100", "method": "nearest", "images": 2, "low": 1, "high": 2}],
    )
