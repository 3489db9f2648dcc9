"""A rehearsal goes the whole way, marks its data, and is the same for the same seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from sreval.store import enrolment
from sreval.store.database import open_store
from sreval.store.frames import study_data, tables
from sreval.store.invitations import Links
from sreval.store.models import PlanItem, Rater, Session, Vote
from sreval.store.rehearsal import rehearse
from sreval.store.studies import Studies
from sreval.study.design import load_design
from sreval.study.freeze import freeze
from sreval.study.manifest import load_manifest
from tests.study.frozen import ITEMS, QUALITIES

GERMAN = """
[texts.de]
title = "Klein"
instructions = "Bewerten."
consent = "Ja"
words = ["schlecht", "dürftig", "ordentlich", "gut", "ausgezeichnet"]
questions.sight = { text = "Augen?", options = ["schlecht", "gut"] }
questions.age.text = "Alter?"
questions.remarks.text = "Anmerkungen?"
"""


@pytest.fixture(autouse=True)
def plain_plans() -> None:
    """The planner's own plans, not the plain ones of the other tests of the store."""


@pytest.mark.slow
def test_the_command_brings_raters_to_the_end_and_marks_their_data(
    frozen_study: Path, sreval: Callable[..., Any]
) -> None:
    (frozen_study.parents[1] / "q.csv").write_text(
        "method,quality\nnearest,1.3\nbicubic,2.6\nhr,4.4\n"
    )
    ran = sreval("study", "simulate", "small", "--raters", "4", "--qualities", "q.csv", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert (summary["complete"], summary["votes"]) == (4, 4 * ITEMS)
    store = open_store(str(frozen_study / "votes.sqlite"))
    with store.read() as tx:
        assert all(tx.scalars(select(Rater.simulated)))
        assert set(tx.scalars(select(Session.outcome))) == {"complete"}
        counts = Counter(tx.scalars(select(Vote.session_id)))
        assert set(counts.values()) == {ITEMS}
        rows = tx.execute(
            select(PlanItem.method, PlanItem.kind, PlanItem.intended, Vote.score).join(
                Vote,
                (Vote.session_id == PlanItem.session_id) & (Vote.position == PlanItem.position),
            )
        ).all()
    store.dispose()
    by_method: dict[str, list[float]] = {}
    for method, kind, intended, score in rows:
        if kind == "calibration":
            assert score == intended
        else:
            by_method.setdefault(method, []).append(score)
    means = {method: np.mean(scores) for method, scores in by_method.items()}
    assert means["nearest"] < means["bicubic"] < means["hr"]


def test_a_study_with_real_raters_is_refused(
    frozen_study: Path, sreval: Callable[..., Any]
) -> None:
    manifest = load_manifest(frozen_study)
    store = open_store(str(frozen_study / "votes.sqlite"), create=True)
    Studies(store).register(load_design(frozen_study), manifest)
    _, token = Links(store, "small").create("personal")
    enrolment.enrol(store, token, manifest)
    store.dispose()
    ran = sreval("study", "simulate", "small", "--raters", "1")
    assert ran.code == 1
    assert "Real raters have begun" in ran.err


def test_the_same_seed_gives_the_same_votes_however_many_raters_follow(frozen_study: Path) -> None:
    def votes(raters: int, seed: int, name: str) -> list[dict[int, float]]:
        made = rehearse(frozen_study, str(frozen_study / name), raters, QUALITIES, seed=seed)
        assert made.failures == []
        return [visit.votes for visit in made.visits]

    three = votes(3, 5, "three.sqlite")
    assert votes(1, 5, "one.sqlite") == three[:1]
    assert votes(3, 6, "other.sqlite") != three


def test_raters_take_turns_with_a_study_s_languages(frozen_study: Path) -> None:
    file = frozen_study / "study.toml"
    file.write_text(file.read_text() + GERMAN, encoding="utf-8")
    made = rehearse(frozen_study, str(frozen_study / "v.sqlite"), 3, QUALITIES)
    assert made.failures == []
    with open_store(str(frozen_study / "v.sqlite")) as store:
        sessions = tables(store, "small")["sessions"]
    assert list(sessions["language"]) == ["en", "de", "en"]


def test_a_lost_stimulus_ends_the_raters_who_meet_it_and_keeps_their_votes(
    frozen_study: Path,
) -> None:
    stimulus = load_manifest(frozen_study).by_key["photos", "bee", "bicubic"]
    (frozen_study / "stimuli" / f"{stimulus.sha256}.png").unlink()
    told: list[tuple[int, int]] = []
    made = rehearse(
        frozen_study,
        str(frozen_study / "votes.sqlite"),
        2,
        QUALITIES,
        told=lambda *at: told.append(at),
    )
    assert made.complete == 0
    assert [str(error).partition(":")[0][:10] for error in made.failures] == ["Can't read"] * 2
    assert told[-1] == (made.votes, 2 * ITEMS)
    store = open_store(str(frozen_study / "votes.sqlite"))
    with store.read() as tx:
        kept = Counter(tx.scalars(select(Vote.session_id)))
    store.dispose()
    assert [kept[visit.session] for visit in made.visits] == [len(v.votes) for v in made.visits]


def test_an_interrupted_rehearsal_leaves_no_unused_link(frozen_study: Path) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    database = str(frozen_study / "votes.sqlite")
    with pytest.raises(KeyboardInterrupt):
        rehearse(frozen_study, database, 3, QUALITIES, told=interrupted)
    store = open_store(database)
    (link,) = Links(store, "small").listing()
    store.dispose()
    assert link.rater is not None


OF_PAIRS = """
subset = 6
[task]
kind = "pair"
third = "not sure"
layout = "toggle"
reference = true
question = "closer"
[pairs]
plan = "active"
[[gold]]
dataset = "photos"
method = "hr"
against = "nearest"
images = 2
[[same]]
dataset = "photos"
method = "bicubic"
images = 1
[[acceptance]]
kind = "gold"
limit = 0.5
reason = "gold"
"""
OF_DCR = """
[task]
kind = "dcr"
[scale]
words = ["very annoying", "annoying", "slightly annoying", "not annoying", "imperceptible"]
"""
JODS = {("", "nearest"): -3.0, ("", "bicubic"): 0.0, ("", "hr"): 3.0}


def frozen_as(folder: Path, text: str) -> Path:
    """The frozen study with another task, frozen again: no calibration, no repeats of scores."""
    content = (folder / "study.toml").read_text()
    head, rest = content.split("[calibration]")[0], content[content.index("[order]") :]
    top, images = head.split("[images]")
    first, *tables = text.partition("[task]")
    (folder / "study.toml").write_text(f"{top}{first}[images]{images}{''.join(tables)}{rest}")
    freeze(folder, load_design(folder), [], again=True)
    return folder


def test_simulated_raters_of_pairs_get_active_plans_and_come_to_the_end(
    frozen_study: Path, sreval: Callable[..., Any]
) -> None:
    folder = frozen_as(frozen_study, OF_PAIRS)
    printed = sreval("study", "plan", "small")
    assert "as if nobody had judged before" in printed.err
    assert printed.out.count("judged 0 times so far") == 6
    design, manifest = load_design(folder), load_manifest(folder)
    made = rehearse(folder, str(folder / "votes.sqlite"), 3, JODS)
    assert (made.complete, made.failures) == (3, [])
    with open_store(str(folder / "votes.sqlite")) as store:
        data = study_data(store, design.name, manifest)
        plan = tables(store, design.name)["plan"]
    real = data.votes[data.votes["kind"] == "vote"]
    assert set(real.groupby("session").size()) == {6}
    for _, own in real.groupby(["session", "image"]):
        assert len({*own["left"], *own["right"]}) == 3  # a tree
    reasons = plan.loc[plan["kind"] == "vote", "reason"]
    counts = [int(reason.split("judged ")[1].split()[0]) for reason in reasons]
    assert set(counts[:6]) == {0}
    assert min(counts[-6:]) >= 1
    chosen = np.where(data.votes["score"] < 0, data.votes["left"], data.votes["right"])
    easy = (data.votes["left"] != data.votes["right"]) & (data.votes["score"] != 0)
    assert "hr" in set(chosen[easy])
    assert (data.votes["switches"] >= 2).all()
    looks = data.votes[["left_ms", "right_ms", "reference_ms"]].sum(axis=1)
    assert (looks == data.votes["response_ms"]).all()
    gold = data.votes[data.votes["kind"] == "gold"]
    assert (gold["choice"] == gold["correct"]).mean() > 0.5


def test_simulated_raters_of_dcr_come_to_the_end(frozen_study: Path) -> None:
    folder = frozen_as(frozen_study, OF_DCR)
    made = rehearse(folder, str(folder / "votes.sqlite"), 2, QUALITIES)
    assert (made.complete, made.failures) == (2, [])
    with open_store(str(folder / "votes.sqlite")) as store:
        data = study_data(store, "small", load_manifest(folder))
    means = data.votes.groupby("method")["score"].mean()
    assert means["nearest"] < means["bicubic"] < means["hr"]
