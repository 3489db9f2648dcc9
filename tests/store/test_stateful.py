"""A study under anything that raters and operators can do to it, against a model in memory."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from sreval.store import frames, raters
from sreval.store.database import Store
from sreval.store.errors import StateError, TokenError, VoteError
from sreval.store.models import Session, StudyState, Vote
from sreval.store.overview import Overview
from sreval.store.sessions import RaterSession, Receipt
from sreval.store.studies import Studies
from tests.store.conftest import Study, design

TOTAL, SITTING, EVERY = 12, 6, 3
_numbers = itertools.count()
ANSWERS = st.integers(0, 4)
"""Which of a task's answers, counted round."""


@dataclass
class Model:
    """What a session must be: the votes acknowledged, in order, and how it stands."""

    token: str
    session: str
    votes: list[tuple[float, str, dt.datetime]] = field(default_factory=list)
    waits_until: dt.datetime | None = None
    outcome: str | None = None
    deleted: bool = False

    @property
    def refusal(self) -> str | None:
        if self.deleted:
            return "session"
        if self.outcome:
            return "ended"
        return None

    def acknowledged(
        self, receipt: Receipt, key: str, rest: dt.timedelta, pause: dt.timedelta
    ) -> None:
        self.votes.append((receipt.score, key, receipt.stored_at))
        done = len(self.votes)
        if done == TOTAL:
            self.outcome = "complete"
        elif done % SITTING == 0:
            self.waits_until = receipt.stored_at + rest
        elif done % EVERY == 0:
            self.waits_until = receipt.stored_at + pause


class Sessions(RuleBasedStateMachine):
    """Two raters and an operator, in any order."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.state = "open"
        self.keys = itertools.count()

    @initialize(task=st.sampled_from(["acr", "dcr", "pair"]))
    def ask(self, task: str) -> None:
        """Every third study is one of pairs."""
        name = f"study-{next(_numbers)}"
        self.study = Study(self.store, design(name=name, questions=[], task={"kind": task}))
        self.models = [self.begin(), self.begin()]

    def begin(self) -> Model:
        token = self.study.token()
        return Model(token, self.study.rating(self.study.enrol(token)))

    def expected_refusal(self, model: Model) -> str | None:
        return model.refusal or {"open": None, "paused": "paused", "closed": "closed"}[self.state]

    @rule(who=st.integers(0, 1), score=ANSWERS, count=st.integers(1, 4))
    def vote(self, who: int, score: int, count: int) -> None:
        model, score = self.models[who], self.study.answer(score)
        for _ in range(count):
            position, key = len(model.votes) + 1, f"the-key-{next(self.keys)}"
            refusal = self.expected_refusal(model)
            if not refusal and model.waits_until:
                refusal = "rest" if self.study.clock.now < model.waits_until else "position"
            if refusal:
                with pytest.raises(VoteError) as refused:
                    self.study.vote(model.session, position, score, key=key)
                assert refused.value.why == refusal
                return
            receipt = self.study.vote(model.session, position, score, key=key)
            assert (receipt.position, receipt.score, receipt.repeated) == (position, score, False)
            sittings = self.study.design.sittings
            model.acknowledged(
                receipt,
                key,
                dt.timedelta(minutes=sittings.rest_minutes),
                dt.timedelta(seconds=sittings.break_seconds),
            )

    @rule(who=st.integers(0, 1), score=ANSWERS, which=st.integers(0, TOTAL), same_key=st.booleans())
    def vote_again(self, who: int, score: int, which: int, same_key: bool) -> None:
        """A retry, a double click, a second tab."""
        model, score = self.models[who], self.study.answer(score)
        if not model.votes:
            return
        index = which % len(model.votes)
        first, key, stored_at = model.votes[index]
        key = key if same_key else f"the-key-{next(self.keys)}"
        if model.deleted:
            with pytest.raises(VoteError):
                self.study.vote(model.session, index + 1, score, key=key)
            return
        receipt = self.study.vote(model.session, index + 1, score, key=key)
        assert receipt.repeated
        assert (receipt.position, receipt.score, receipt.stored_at) == (index + 1, first, stored_at)

    @rule(who=st.integers(0, 1), jump=st.integers(2, TOTAL + 3))
    def vote_out_of_order(self, who: int, jump: int) -> None:
        model = self.models[who]
        with pytest.raises(VoteError):
            self.study.vote(
                model.session,
                len(model.votes) + jump,
                self.study.answer(1),
                key=f"the-key-{next(self.keys)}",
            )

    @rule(who=st.integers(0, 1))
    def open_the_link_again(self, who: int) -> None:
        model = self.models[who]
        if model.deleted:
            with pytest.raises(TokenError):
                self.study.enrol(model.token)
        else:
            assert self.study.enrol(model.token) == model.session

    @rule(who=st.integers(0, 1))
    def go_on(self, who: int) -> None:
        model = self.models[who]
        refusal = self.expected_refusal(model)
        if not refusal and model.waits_until and self.study.clock.now < model.waits_until:
            refusal = "rest"
        if refusal:
            with pytest.raises(VoteError) as refused:
                RaterSession(self.store, model.session).resume()
            assert refused.value.why == refusal
        else:
            RaterSession(self.store, model.session).resume()
            model.waits_until = None

    @rule(minutes=st.sampled_from([1, 31]))
    def wait(self, minutes: int) -> None:
        self.study.clock.wait(minutes=minutes)

    @precondition(lambda self: any(not model.deleted for model in self.models))
    @rule(who=st.integers(0, 1), delete=st.booleans(), sure=st.integers(0, 3))
    def withdraw(self, who: int, delete: bool, sure: int) -> None:
        model = self.models[who]
        if sure or model.deleted:
            return
        raters.withdraw(self.store, model.session, delete=delete)
        model.outcome, model.waits_until, model.deleted = "withdrew", None, delete
        if delete:
            model.votes = []

    @rule(wanted=st.sampled_from(["open", "paused", "open", "closed"]), sure=st.integers(0, 2))
    def set_state(self, wanted: StudyState, sure: int) -> None:
        if wanted == "closed" and sure:
            return
        if self.state == "closed" and wanted != "closed":
            with pytest.raises(StateError):
                Studies(self.store).set_state(self.study.name, wanted)
            return
        Studies(self.store).set_state(self.study.name, wanted)
        self.state = wanted

    @invariant()
    def what_was_acknowledged_is_stored_once_and_nothing_else(self) -> None:
        for model in self.models:
            with self.store.read() as tx:
                query = select(Vote.position, Vote.score, Vote.key, Vote.stored_at)
                of_one = query.where(Vote.session_id == model.session).order_by(Vote.position)
                stored = [tuple(row) for row in tx.execute(of_one)]
            assert stored == [(i, *vote) for i, vote in enumerate(model.votes, 1)]

    @invariant()
    def current_item_is_the_lowest_position_without_a_vote(self) -> None:
        for model in self.models:
            if model.deleted:
                continue
            current = RaterSession(self.store, model.session).state()
            assert current.done == len(model.votes)
            assert current.outcome == model.outcome
            going = not model.outcome and not model.waits_until
            assert current.position == (len(model.votes) + 1 if going else None)
            shown = [item.position for item in current.items]
            assert shown[:1] == ([len(model.votes) + 1] if going and self.state == "open" else [])

    def teardown(self) -> None:
        deleted = sum(model.deleted for model in self.models)
        assert Overview.of(self.store, self.study.name).deleted == deleted
        assert len(frames.tables(self.store, self.study.name)["votes"]) == sum(
            len(model.votes) for model in self.models
        )
        with self.store.read() as tx:
            held = select(Session.outcome).where(Session.holds_slot)
            assert set(tx.scalars(held)) <= {None, "complete"}


@pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.evidence)]
)
def test_nothing_acknowledged_is_lost_and_no_position_has_two_votes(store: Store) -> None:
    class Bound(Sessions):
        def __init__(self) -> None:
            super().__init__(store)

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
