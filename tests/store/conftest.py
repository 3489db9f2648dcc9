"""A small study, and plans that need no planner: what the store's tests stand on."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import update

from sreval.store import enrolment, invitations
from sreval.store.database import Store, open_store
from sreval.store.invitations import Links
from sreval.store.models import PlanItem
from sreval.store.sessions import RaterSession, Receipt
from sreval.store.studies import Studies
from sreval.study.design import ItemKind, StudyDesign
from sreval.study.manifest import Manifest, Stimulus
from sreval.study.plan import Item
from tests.study.frozen import frozen_study

__all__ = ["frozen_study"]

METHODS = ("bicubic", "srresnet", "hr")
IMAGES = ("a", "b", "c", "d")
START = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC)


def design(**changes: Any) -> StudyDesign:
    """Twelve items in two sittings of six, a break after every three."""
    content: dict[str, Any] = {
        "name": "small",
        "title": "A small study",
        "instructions": "Look, then say.",
        "raters": 3,
        "seed": 7,
        "images": {"methods": METHODS, "datasets": [{"name": "Set5", "images": IMAGES}]},
        "sittings": {"items": 6, "break_every": 3, "break_seconds": 60, "rest_minutes": 30},
        "consent": {"version": "1", "text": "I agree."},
        "questions": [
            {
                "key": "sight",
                "text": "Sight?",
                "options": ["good", "poor"],
                "screens_out": ["poor"],
            },
            {
                "key": "age",
                "text": "Age?",
                "kind": "number",
                "low": 18,
                "high": 99,
                "required": False,
            },
            {"key": "remarks", "when": "after", "text": "?", "kind": "text", "required": False},
        ],
    }
    return StudyDesign.model_validate({**content, **changes})


def manifest() -> Manifest:
    """One stimulus a version and image."""
    return Manifest(
        tuple(
            Stimulus("Set5", image, image, method, f"{i:02x}" * 32, f"{i:02x}" * 32, 64, 48)
            for i, (image, method) in enumerate((i, m) for i in IMAGES for m in METHODS)
        )
    )


@dataclass
class Clock:
    """A clock that a test sets; it moves by a millisecond whenever it is looked at."""

    now: dt.datetime = START

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(milliseconds=1)
        return self.now

    def wait(self, **duration: float) -> None:
        self.now += dt.timedelta(**duration)


@dataclass
class Study:
    """A study in a database, and short ways to do what raters do."""

    store: Store
    design: StudyDesign = field(default_factory=design)
    manifest: Manifest = field(default_factory=manifest)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store.clock = self.clock
        Studies(self.store).register(self.design, self.manifest)

    @property
    def name(self) -> str:
        return self.design.name

    def token(self, kind: invitations.InvitationKind = "personal", **options: Any) -> str:
        return Links(self.store, self.name).create(kind, **options)[1]

    def enrol(self, token: str | None = None) -> str:
        token = self.token() if token is None else token
        return enrolment.enrol(self.store, token, self.manifest).session_id

    def rating(self, session: str | None = None) -> str:
        """A session at its first item, whose images were all sent."""
        session = session or self.enrol()
        RaterSession(self.store, session).agree(self.design.consent.version)
        RaterSession(self.store, session).device({"ratio": 1.5}, True)
        if any(question.when == "before" for question in self.design.questions):
            RaterSession(self.store, session).answer("before", {"sight": "good"})
        RaterSession(self.store, session).start()
        self.mark_sent(session, self.clock())
        return session

    def mark_sent(self, session: str, at: dt.datetime | None) -> None:
        """As if the site had sent all pictures of a session then, or none."""
        own = update(PlanItem).where(PlanItem.session_id == session)
        columns = {"left": "sent_at", "right": "right_sent_at", "reference": "reference_sent_at"}
        with self.store.begin() as tx:
            tx.execute(own.values({columns[place]: at for place in self.design.task.places}))

    def vote(self, session: str, position: int, score: float = 3, **options: Any) -> Receipt:
        standard = {
            "key": f"{session}-{position}",
            "response_ms": 1500.0,
            "shown_at": self.clock.now,
            "device": "",
        }
        return RaterSession(self.store, session).vote(position, score, **{**standard, **options})

    def answer(self, position: int) -> int:
        """An answer that differs from position to position."""
        answers = [number for number, _ in self.design.answers.categories]
        return answers[position % len(answers)]

    def vote_all(self, session: str, upto: int | None = None) -> None:
        """Vote to the end, or up to a position, and wait where a wait is due."""
        while True:
            state = RaterSession(self.store, session).state()
            if state.stage in ("break", "rest"):
                self.clock.wait(hours=1)
                RaterSession(self.store, session).resume()
            elif state.position is None or state.done == upto:
                return
            else:
                self.vote(session, state.position, self.answer(state.position))


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open database with tables, of each kind in turn."""
    opened = open_store(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def study(store: Store) -> Study:
    """The small study in an open database, of each kind in turn."""
    return Study(store)


@pytest.fixture(autouse=True)
def plain_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve items, rotated by the rater's index, six a sitting."""
    monkeypatch.setattr("sreval.study.plan.make_plan", plain_plan)


def plain_plan(
    design: StudyDesign, manifest: Manifest, slot: int, rater: int, judged: object = None
) -> tuple[Item, ...]:
    items = _pairs(manifest, rater) if design.task.pair else _each(manifest)
    originals = {s.image: s.sha256 for s in manifest.stimuli if s.method == "hr"}
    in_view = "reference" in design.task.places
    a_sitting = design.sittings.items or len(items)
    turned = items[rater % 12 :] + items[: rater % 12]
    return tuple(
        replace(
            item,
            position=i + 1,
            sitting=i // a_sitting + 1,
            reference_sha256=originals[item.image] if in_view else None,
        )
        for i, item in enumerate(turned)
    )


def _each(manifest: Manifest) -> list[Item]:
    """Every stimulus once."""
    return [_item(s, "vote", "every stimulus once") for s in manifest.stimuli]


def _pairs(manifest: Manifest, rater: int) -> list[Item]:
    """Every pair once on three images, then a repeat, a check, and a picture against itself.

    The sides of every other rater are exchanged.
    """
    of = {(s.image, s.method): s for s in manifest.stimuli}
    *rated, last = IMAGES
    rows: list[tuple[str, str, str, ItemKind]] = [
        (image, *pair, "vote") for image in rated for pair in itertools.combinations(METHODS, 2)
    ]
    rows += [
        (rated[0], METHODS[1], METHODS[0], "repeat"),
        (last, "hr", "bicubic", "gold"),
        (last, "bicubic", "bicubic", "same"),
    ]
    made = []
    for image, left, right, kind in rows:
        if rater % 2:
            left, right = right, left
        correct = (-1 if left == "hr" else 1) if kind == "gold" else None
        beside = of[image, right]
        made.append(
            replace(
                _item(of[image, left], kind, "every pair once"),
                right_method=right,
                right_sha256=beside.sha256,
                low=correct,
                high=correct,
            )
        )
    return made


def _item(stimulus: Stimulus, kind: ItemKind, reason: str) -> Item:
    return Item(
        position=0,
        sitting=0,
        kind=kind,
        dataset=stimulus.dataset,
        image=stimulus.image,
        scene=stimulus.scene,
        method=stimulus.method,
        stimulus_sha256=stimulus.sha256,
        reason=reason,
    )


Race = Callable[[Callable[[int], Any], int], list[Any]]


@pytest.fixture
def race() -> Race:
    """Runs a function in several threads at once; gives results and exceptions, by number."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    def run(work: Callable[[int], Any], count: int) -> list[Any]:
        gate = threading.Barrier(count)

        def one(number: int) -> Any:
            gate.wait()
            try:
                return work(number)
            except Exception as error:
                return error

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run
