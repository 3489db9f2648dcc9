"""A study as the report takes it: a design, its manifest, votes of simulated raters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sreval.files import sha256_bytes
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
