"""Rehearsing a study: raters of the rater model take every step that the rating site takes.

They enrol, agree, answer, rate, rest and finish by the transactions that the site calls, one rater
after the other and without HTTP. Nobody waits: the store's clock is put forward by what a break or
a look would take, so that the site's own times are those of people.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sreval.errors import DataError, SrevalError, StoreError, option
from sreval.store.database import Store, open_store
from sreval.store.enrolment import enrol
from sreval.store.invitations import Links
from sreval.store.sessions import RaterSession, SessionState
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import STIMULI, Manifest, load_manifest
from sreval.study.questions import When
from sreval.study.respondent import Qualities, Respondent, quality_notes, respondents
from sreval.study.viewing import SECONDS, plate_gaps, simulated

_MARGIN_PIXELS = 400
"""By how much a simulated rater's window is larger than the largest image."""


@dataclass
class Visit:
    """One rater's way: the votes that were stored, by position, of so many that are planned."""

    session: str = ""
    votes: dict[int, float] = field(default_factory=dict)
    of: int = 0

    @property
    def complete(self) -> bool:
        """Whether the last position has a vote."""
        return self.of in self.votes


@dataclass
class Rehearsal:
    """What came of a rehearsal: a visit each rater, and what kept raters from their end."""

    visits: list[Visit] = field(default_factory=list)
    failures: list[SrevalError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """On the qualities."""

    @property
    def complete(self) -> int:
        """How many raters came to the end."""
        return sum(visit.complete for visit in self.visits)

    @property
    def votes(self) -> int:
        """How many votes were stored."""
        return sum(len(visit.votes) for visit in self.visits)

    def __repr__(self) -> str:
        return (
            f"<{len(self.visits)} simulated raters, {self.complete} to the end; {self.votes} votes>"
        )


def rehearse(
    folder: Path,
    database: str,
    count: int,
    qualities: Qualities,
    *,
    seed: int = 0,
    told: Callable[[int, int], object] = lambda done, total: None,
) -> Rehearsal:
    """Let ``count`` simulated raters go through the study in ``folder``, each to the end.

    They take turns with its languages.

    ``told`` is told how many votes of how many are stored. Raises StoreError where real raters
    have begun, DataError for a study that isn't frozen or a method without a quality. A vote that
    was stored stays, whatever ends the rehearsal.
    """
    design, manifest = load_design(folder), load_manifest(folder)
    raters = respondents(count, design, manifest, qualities, seed=seed)
    with open_store(database, create=True) as store:
        links = _links(store, design, manifest)
        made = Rehearsal(notes=quality_notes(qualities, design.answers))
        for number, rater in enumerate(raters):
            # One by one, so that an interrupted rehearsal leaves no unused links.
            _, token = links.create(label="simulated", simulated=True)
            visit = Visit()
            made.visits.append(visit)
            language = design.languages[number % len(design.languages)]
            way = _Way(store, folder / STIMULI, design, manifest, rater, visit, language)
            try:
                way.go(token, lambda: told(made.votes, count * visit.of))  # noqa: B023
            except SrevalError as error:
                made.failures.append(error)
        return made


def _links(store: Store, design: StudyDesign, manifest: Manifest) -> Links:
    """The links of the registered study. Raises StoreError where real raters have begun."""
    Studies(store).register(design, manifest)
    links = Links(store, design.name)
    if any(link.rater and not link.simulated for link in links.listing()):
        raise StoreError(
            f"Real raters have begun study {design.name!r} in {store.name}.",
            f"Name another place with {option('--database')}, to keep simulated votes apart.",
        )
    return links


@dataclass
class _Way:
    """One rater's way through the study."""

    store: Store
    stimuli: Path
    design: StudyDesign
    manifest: Manifest
    rater: Respondent
    visit: Visit
    language: str
    ahead: dt.timedelta = dt.timedelta()
    """How far the store's clock is put forward."""

    def go(self, token: str, voted: Callable[[], object]) -> None:
        """From the link to the end; ``voted`` is called after every vote."""
        store = self.store
        store.clock = lambda: dt.datetime.now(dt.UTC) + self.ahead
        enrolled = enrol(store, token, self.manifest, design=self.design)
        self.visit.session = enrolled.session_id
        session = RaterSession(store, enrolled.session_id)
        state = session.state()
        self.visit.of = state.of
        while state.stage != "done":
            match state.stage:
                case "consent":
                    state = session.agree(self.design.consent.version, self.language)
                case "device":
                    state = session.device(self._device(), fits=True)
                case "checks":
                    state = self._check(session, state)
                case "questions":
                    state = session.answer("before", self._answers(session, "before"))
                case "instructions":
                    state = session.start()
                case "rating":
                    state = self._rate(session, state, voted)
                case "closing":
                    state = session.answer("after", self._answers(session, "after"))
                case _:
                    until = state.break_until or state.rest_until
                    self.ahead += (until - store.clock()) if until else dt.timedelta()
                    state = session.resume()

    def _device(self) -> Mapping[str, object]:
        """What a browser would report of a window in which the largest item fits."""
        room = self.design.task.room(*self.manifest.largest)
        window = [pixels + _MARGIN_PIXELS for pixels in room]
        facts = {"window": window, "screen": window, "ratio": 1.0, "magnified": 1, "touch": False}
        return {**facts, "browser": "other"}

    def _check(self, session: RaterSession, state: SessionState) -> SessionState:
        """Make the next viewing check, in the time that is expected of it."""
        kind = state.check
        assert kind is not None
        self.ahead += dt.timedelta(seconds=SECONDS[kind])
        return session.check(kind, simulated(kind, state.checks, plate_gaps(state.plates)))

    def _answers(self, session: RaterSession, when: When) -> dict[str, str]:
        """Answers to the questions that are asked of who gave those before."""
        earlier, given = session.answers(), dict[str, str]()
        for question in self.design.questions:
            if question.when == when and question.applies({**earlier, **given}):
                given |= self.rater.answer(question)
        return given

    def _rate(
        self, session: RaterSession, state: SessionState, voted: Callable[[], object]
    ) -> SessionState:
        """Vote on item after item until another stage begins."""
        while state.stage == "rating":
            item = state.items[0]
            shown = {picture.place: self._png(picture.sha256) for picture in item.pictures}
            response = self.rater.respond(shown, item.intended)
            for picture in item.pictures:
                session.sent(picture)
            took = dt.timedelta(milliseconds=response.response_ms)
            self.ahead += took
            state = session.vote(
                item.position,
                response.score,
                key=secrets.token_hex(16),
                response_ms=response.response_ms,
                shown_at=self.store.clock() - took,
                device=json.dumps({"ratio": 1}),
                **response.looks,
                comment=response.comment,
            ).state
            self.visit.votes[item.position] = response.score
            voted()
        return state

    def _png(self, sha256: str) -> bytes:
        path = self.stimuli / f"{sha256}.png"
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(
                f"Can't read {path}: {error.strerror}.", "Freeze the study again."
            ) from None
