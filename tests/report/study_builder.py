"""A study as the report takes it: a design, its manifest, votes of simulated raters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sreval.files import sha256_bytes
from sreval.opinions.pairs.simulation import PairModel, plan_pairs
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.opinions.votes import check_votes
from sreval.study.data import StudyData
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest, Stimulus

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
    of_dataset: Mapping[str, Mapping[str, float]] | None = None,
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
                {m: own.get(m, qualities[m]) for m in design.images.methods_of(name)},
                count,
                dataset=name,
                seed=seed + place,
            )
            for place, (name, count) in enumerate(images.items())
            for own in ((of_dataset or {}).get(name, {}),)
        ],
        ignore_index=True,
    )
    manifest = Manifest(
        tuple(
            replace(
                _stimulus(row["dataset"], row["image"], row["method"], row["method"] in stand_ins),
                scene=row["scene"],
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
        task=design.task.kind,
    )
    sessions = sessions_of(votes)
    return StudyData(design, design.sha256, manifest, check_votes(votes), sessions)


def sessions_of(votes: pd.DataFrame) -> pd.DataFrame:
    """A session of each rater of the votes, all of whom went to the end."""
    names = sorted(votes["rater"].unique())
    return pd.DataFrame(
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
            "simulated": bool(votes["simulated"].any()),
            "language": "en",
        }
    )


THETA = {"nearest": -1.2, "bicubic": -0.2, "srresnet-mse": 0.3, "srgan": 0.6}


def make_pair_study(
    images: Mapping[str, int] | None = None,
    theta: Mapping[str, float] = THETA,
    raters: int = 6,
    *,
    model: PairModel | None = None,
    task: Mapping[str, Any] | None = None,
    simulated: bool = True,
    stand_ins: tuple[str, ...] = (),
    seed: int = 0,
    **changes: Any,
) -> StudyData:
    """A closed study in which every rater judged every pair; repeats, gold and identical pictures.

    Each rater judged two pairs again with sides exchanged, all correctly one gold pair of the best
    against the worst method, and chose the left of one identical pair, the right of another.
    """
    images = images or {"Set5": 5, "Set14": 6}
    methods = tuple(theta)
    third = "no difference" if model and model.model != "bradley-terry" else ""
    design = make_design(
        {"methods": methods, "datasets": [{"name": name} for name in images]},
        raters,
        **{"task": {"kind": "pair", "third": third, **(task or {})}, **changes},
    )
    shown = [*methods, *({"hr"} - set(methods) if design.task.shows_reference else ())]
    manifest = Manifest(
        tuple(
            _stimulus(name, f"img_{number + 1:03}", method, method in stand_ins)
            for name, count in images.items()
            for number in range(count)
            for method in shown
        ),
        "1.0",
    )
    parts = []
    for place, (name, count) in enumerate(images.items()):
        drawn = (model or PairModel()).draw(
            np.array(list(theta.values())), raters, count, np.random.default_rng(seed + place)
        )
        found = drawn.answers(plan_pairs(raters, count, len(methods), seed=seed + place))
        parts.append(
            pd.DataFrame(
                {
                    "dataset": name,
                    "image": [f"img_{code + 1:03}" for code in found.image],
                    "rater": [f"rater_{code + 1:03}" for code in found.rater],
                    "left": np.array(methods, dtype=object)[found.left],
                    "right": np.array(methods, dtype=object)[found.right],
                    "score": -found.outcome,
                    "kind": "vote",
                    "correct": None,
                }
            )
        )
    votes = pd.concat(parts, ignore_index=True)
    if design.task.question == "photograph":
        votes = votes[(votes["left"] == "hr") | (votes["right"] == "hr")]
    by_rater = votes.groupby("rater")
    again = by_rater.head(2).rename(columns={"left": "right", "right": "left"})
    again = again.assign(kind="repeat", score=-again["score"])
    best, worst = max(theta, key=lambda m: theta[m]), min(theta, key=lambda m: theta[m])
    gold = by_rater.head(1).assign(left=best, right=worst, kind="gold", score=-1, correct="left")
    same = [
        by_rater.nth(turn).assign(left=worst, right=worst, kind="same", score=score)
        for turn, score in ((0, -1), (1, 1))
    ]
    votes = pd.concat([votes, again, gold, *same], ignore_index=True)
    votes = votes.assign(
        study=design.name,
        scene=votes["image"],
        session="s-" + votes["rater"],
        choice=votes["score"].map({-1: "left", 0: "tie", 1: "right"}),
        response_ms=np.random.default_rng(seed).uniform(1000, 9000, len(votes)).round(),
        accepted=True,
        reason=None,
        simulated=simulated,
        position=votes.groupby("rater").cumcount() + 1,
        task="pair",
    )
    if design.task.layout == "toggle":
        votes = votes.assign(switches=3, left_ms=1500.0, right_ms=2500.0)
    return StudyData(design, design.sha256, manifest, votes, sessions_of(votes))


def _stimulus(dataset: str, image: str, method: str, stand_in: bool) -> Stimulus:
    key = f"{dataset} {image} {method}"
    shown, scored = sha256_bytes(f"shown {key}".encode()), sha256_bytes(key.encode())
    return Stimulus(dataset, image, image, method, shown, scored, 320, 240, stand_in)


def departures(data: StudyData) -> list[str]:
    """How the report says that the study departed from its plan."""
    from sreval.report.study_report import study_report

    parts = {part.title: part for part in study_report(data).parts}
    return parts["Departures from the plan"].sentences


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
        of_dataset={
            name: {m: q for (d, m, k), q in paper.figures().items() if (d, k) == (name, "mos")}
            for name in paper.DATASET_ORDER
        },
        seed=seed,
        name="ledig2017",
        title="The opinion test of Ledig et al. 2017",
        repeats=[{"dataset": "BSD100", "method": "hr", "images": 3}],
        gold=[{"dataset": "BSD100", "method": "nearest", "images": 2, "low": 1, "high": 2}],
    )


def into_store(data: StudyData, folder: Path, state: str = "closed") -> None:
    """Write a study's folder and its database, as if the raters had been there."""
    from sreval.store import models
    from sreval.store.database import open_store
    from sreval.store.studies import Studies

    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(to_toml(data.design), encoding="utf-8")
    (folder / "manifest.json").write_text(data.manifest.as_json(), encoding="utf-8")
    store = open_store(f"sqlite:///{folder / 'votes.sqlite'}", create=True)
    study = Studies(store).register(data.design, data.manifest)
    now = START.to_pydatetime()
    with store.begin() as tx:
        for number, (name, own) in enumerate(data.votes.groupby("rater")):
            own = own.reset_index(drop=True)
            rater = models.Rater(
                study_id=study, number=number, pseudonym=str(name), created_at=now,
                simulated=bool(own["simulated"].iloc[0]),
            )  # fmt: skip
            tx.add(rater)
            tx.flush()
            session = models.Session(
                id=f"s-{name}", study_id=study, rater_id=rater.id, slot=number, algorithm=1,
                stage="done", outcome="complete", done=len(own), total=len(own),
                sitting_ends=str(len(own)), created_at=now, seen_at=now, ended_at=now,
            )  # fmt: skip
            tx.add(session)
            tx.flush()
            for place, row in enumerate(own.to_dict("records"), 1):
                tx.add(
                    models.PlanItem(
                        session_id=session.id, position=place, sitting=1, address=f"{name}{place}",
                        reason="all", **{k: row[k] for k in _OF_ITEM},
                    )
                )  # fmt: skip
                tx.add(
                    models.Vote(
                        session_id=session.id, position=place, score=int(row["score"]),
                        key=str(place), response_ms=float(row["response_ms"]), shown_at=now,
                        stored_at=now, device="",
                    )
                )  # fmt: skip
    if state != "open":
        Studies(store).set_state(data.design.name, state)  # type: ignore[arg-type]
    store.dispose()


_OF_ITEM = ("kind", "dataset", "image", "scene", "method", "stimulus_sha256")


def to_toml(design: StudyDesign) -> str:
    """The design as TOML: JSON's strings, numbers and lists are TOML's as well."""
    content = design.model_dump(mode="json", exclude_none=True)
    return "".join(f"{key} = {_toml(value)}\n" for key, value in content.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def of_results(frame: pd.DataFrame, **options: Any) -> StudyData:
    """A study of the very images that benchmark rows are of."""
    rows = frame.drop_duplicates(["dataset", "image", "method"])
    methods = tuple(sorted(rows["method"].unique()))
    (dataset,) = rows["dataset"].unique()
    qualities = {m: QUALITIES.get(m, 2.0) for m in methods}
    data = make_study({dataset: rows["image"].nunique()}, qualities, **options)
    names = sorted(rows["image"].unique())
    renamed = {f"img_{i + 1:03}": name for i, name in enumerate(names)}
    hashes = {(row["image"], row["method"]): row["sr_sha256"] for row in rows.to_dict("records")}
    stimuli = tuple(
        replace(
            s, image=renamed[s.image], scene=renamed[s.image],
            image_sha256=hashes[renamed[s.image], s.method],
        )
        for s in data.manifest.stimuli
    )  # fmt: skip
    votes = data.votes.replace({"image": renamed, "scene": renamed})
    return replace(data, manifest=Manifest(stimuli, "1.0"), votes=votes)
