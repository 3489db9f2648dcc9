"""What a request is answered from: the site, the rater's session, the present item."""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from flask import current_app, request, session, url_for
from flask_babel import get_locale, refresh
from markupsafe import Markup

from sreval.errors import StoreError
from sreval.files import sha256_bytes
from sreval.hashes import State, is_settled, state_in
from sreval.site.config import SiteConfig
from sreval.site.errors import PageError, StimulusError
from sreval.site.identity import REMEMBERED, session_id
from sreval.store.database import Store
from sreval.store.sessions import Picture, PlanItemRow, RaterSession, SessionState
from sreval.study.design import StudyDesign
from sreval.study.manifest import STIMULI, Manifest
from sreval.study.questions import Comment, Question
from sreval.study.task import GAP, LEFT, RIGHT, TIE, Choice, Place, Scale, Task

_TOO_MANY_OPEN = (errno.EMFILE, errno.ENFILE)
_REMEDY = "It isn't shown any more. Put the frozen file back from a backup; no restart is needed."

_FEW, _MANY = 5, 10
"""The most categories of a layout, see `StudyView.controls`."""
_HEADINGS = {"calibration": "examples", "warm-up": "practice"}


@dataclass(frozen=True)
class StudyView:
    """What pages may know of a study, in the language of ``language``."""

    title: str
    instructions: str
    language: str
    task: Task
    answers: Scale | Choice
    comment: Comment | None
    asked: Mapping[str, Question]
    """The questions by their keys, to be read; answers are sent in the design's own language."""

    @classmethod
    def of(cls, design: StudyDesign) -> StudyView:
        """What pages may know of a design, in the language that it is in."""
        return cls(
            title=design.title,
            instructions=design.instructions,
            language=design.language,
            task=design.task,
            answers=design.answers,
            comment=design.comment,
            asked={question.key: question for question in design.questions},
        )

    @property
    def controls(self) -> str:
        """What the page's layout must have room for: rater.css has the rules for each."""
        if self.task.pair:
            return "pair"
        if self.answers.line:
            return "line"
        points = len(self.answers.categories)
        return "few" if points <= _FEW else "many" if points <= _MANY else "most"

    @property
    def last_digit(self) -> int:
        """The highest score that is given by the digit of its number."""
        return max(n for n, key in self._scale.keys.items() if key == str(n))

    @property
    def special_keys(self) -> dict[int, str]:
        """The scores that aren't given by the digit of their number, and the key of each."""
        return {n: key.upper() for n, key in self._scale.keys.items() if key != str(n)}

    @property
    def _scale(self) -> Scale:
        assert isinstance(self.answers, Scale)
        return self.answers

    @property
    def captions(self) -> bool:
        """Whether pictures have their names above them."""
        return self.task.shows_reference or self.task.toggled

    @property
    def layout(self) -> dict[str, Any]:
        """What the page's script must know to place the pictures."""
        own = {"toggled": self.task.toggled, "gap": GAP, "switch_ms": self.task.switch_ms}
        return own | {"keys": self.switch_keys}

    @property
    def switch_keys(self) -> dict[Place, str]:
        """The keys of toggled pictures. Where digits are scores, the space bar alone exchanges."""
        keys: dict[Place, str] = {"left": "1", "right": "2", "reference": "0"}
        return {at: keys[at] for at in self.task.places} if self.task.pair else {}

    @property
    def answer_keys(self) -> dict[int, tuple[str, ...]]:
        """The keys of the answers to a pair, the first of them told."""
        letters = {LEFT: ("a",), RIGHT: ("b",)} if self.task.toggled else {}
        arrows = {LEFT: "ArrowLeft", TIE: "ArrowDown", RIGHT: "ArrowRight"}
        return {n: (arrows[n], *letters.get(n, ())) for n, _ in self.answers.categories}

    @property
    def marks(self) -> Markup:
        """The attributes of an element that holds a text of the study.

        No browser translates it: raters would answer in other words than the study's.
        """
        return Markup('lang="{}" dir="auto" translate="no"').format(self.language)


class Stimuli:
    """A study's stimuli by SHA-256; a name that the manifest lacks never becomes a path."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._paths = {s.sha256: folder / STIMULI / f"{s.sha256}.png" for s in manifest.stimuli}
        self.sizes = {s.sha256: (s.width, s.height) for s in manifest.stimuli}
        self.refused: set[str] = set()
        self._known: dict[str, State] = {}

    def missing(self) -> list[str]:
        """The SHA-256 of every stimulus whose file is absent."""
        return [sha for sha, path in self._paths.items() if not path.is_file()]

    def open(self, sha256: str) -> BinaryIO:
        """The PNG, open at its first byte.

        It is held against its hash whenever its file isn't the one that was looked at before, by
        number, size and times. Raises StimulusError when the file is gone or its bytes have
        changed, StoreError when it can't be read just now, KeyError for a hash that is not the
        study's.
        """
        path = self._paths[sha256]
        try:
            with ExitStack() as undo:
                file = undo.enter_context(path.open("rb"))
                now, state = time.time_ns(), state_in(os.fstat(file.fileno()))
                known = state is not None and state == self._known.get(sha256)
                same = known or self._is_whole(file, sha256)
                if same:
                    undo.pop_all()
        except OSError as error:
            if error.errno in _TOO_MANY_OPEN:
                raise StoreError(
                    f"Can't read {path}: {error.strerror}.", "Allow more open files: ulimit -n."
                ) from None
            self.refused.add(sha256)
            raise StimulusError(f"Can't read {path}: {error.strerror}.", _REMEDY) from None
        if not same:
            self.refused.add(sha256)
            raise StimulusError(f"{path} has changed since it was frozen.", _REMEDY)
        if state and is_settled(state, now):
            self._known[sha256] = state
        self.refused.discard(sha256)
        return file

    @staticmethod
    def _is_whole(file: BinaryIO, sha256: str) -> bool:
        whole = sha256_bytes(file.read()) == sha256
        file.seek(0)
        return whole

    def recheck(self, sha256: str) -> None:
        """Raise StimulusError for a stimulus that was refused and still must be."""
        if sha256 in self.refused:
            self.open(sha256).close()


@dataclass(frozen=True)
class Site:
    """What every request needs and none changes."""

    config: SiteConfig
    store: Store
    design: StudyDesign
    manifest: Manifest
    stimuli: Stimuli
    languages: dict[str, str]
    """What raters may choose: the languages that the study and the pages have, by code to name."""

    @property
    def room(self) -> tuple[int, int]:
        """Width and height of the largest item, in device pixels: what a window must hold."""
        return self.design.task.room(*self.manifest.largest)

    def session(self, key: str) -> RaterSession:
        """A rater's session by its id."""
        return RaterSession(self.store, key)


def site() -> Site:
    """The site that answers the present request."""
    found: Site = current_app.extensions["sreval"]
    return found


def design_as_read() -> StudyDesign:
    """The design in the language of the present request, or in its own."""
    design, language = site().design, str(get_locale())
    return design.in_language(language) if language in design.languages else design


def rater_session() -> RaterSession:
    """The session that the page names and the cookie authorises.

    Raises PageError (401) when there is none.
    """
    return site().session(session_id())


def open_state() -> SessionState:
    """Where the rater's session stands, with the items that may be shown.

    Raises PageError: 401 without a session; 503 while the study is paused and 410 when it is
    closed, unless the session had come to its end before.
    """
    state = rater_session().state()
    refuse_unless_open(state)
    asked = request.args.get("lang")
    if asked in site().languages and state.language not in (None, asked) and not state.done:
        state = rater_session().read_in(asked) if state.outcome is None else state
    keep_language(state)
    return state


def keep_language(state: SessionState) -> None:
    """Let this request's page be in the language of the session, whatever the browser asks for."""
    if state.language in site().languages and session.get("lang") != state.language:
        session["lang"] = state.language
        refresh()


def refuse_unless_open(state: SessionState) -> None:
    """Raise PageError when the study takes nothing from this session now."""
    if state.outcome is None and state.study_state != "open":
        raise PageError(state.study_state)


def own(endpoint: str, **more: Any) -> str:
    """The address of one of the pages of the place that this browser is authorised for."""
    return url_for(endpoint, study=site().design.name, place=session["place"], **more)


def minutes_left(state: SessionState) -> int:
    """Whole minutes, rounded up, that the rest of this sitting is expected to take."""
    design = site().design
    items = max(0, state.of_in_sitting - state.done_in_sitting)
    seconds = items * design.viewing.seconds_an_item
    if every := design.sittings.break_every:
        breaks = (state.of_in_sitting - 1) // every - state.done_in_sitting // every
        seconds += max(0, breaks) * design.sittings.break_seconds
    return math.ceil(seconds / 60)


def as_told(state: SessionState) -> dict[str, Any]:
    """The present item as the browser may know it: never a name, a method, a kind or a hash.

    Raises StimulusError when its image must not be shown.
    """
    told: dict[str, Any] = {
        "stage": state.stage,
        "position": state.position,
        "done": state.done,
        "of": state.of,
        "minutes_left": minutes_left(state),
    }
    if state.stage != "rating":
        return told
    here = site()
    address = _images_at(request.script_root, here.design.name, session["place"])
    present, *following = state.items
    for picture in present.pictures:
        here.stimuli.recheck(picture.sha256)
    return told | {
        "intended": present.intended if present.kind == "calibration" else None,
        **_item(here, address, present),
        "next": [_item(here, address, item) for item in following],
        "least_ms": here.design.viewing.least_ms,
        "grey_ms": here.design.viewing.grey_ms,
    }


@lru_cache(maxsize=REMEMBERED)
def _images_at(root: str, study: str, place: str) -> str:
    """How the addresses of a place's pictures begin, where the site lies at the path ``root``."""
    return url_for("api.image", study=study, place=place, address="-").removesuffix("-")


def _item(here: Site, address: str, item: PlanItemRow) -> dict[str, Any]:
    """The heading of an item, whether its vote is answered by what was meant, and its pictures in
    the order of the task's places; ``address`` is how the addresses of all begin."""
    places = here.design.task.places
    pictures = sorted(item.pictures, key=lambda picture: places.index(picture.place))
    return {
        "heading": _HEADINGS.get(item.kind, "rating"),
        "feedback": item.meant is not None,
        "pictures": [_picture(here, address, picture) for picture in pictures],
    }


def _picture(here: Site, address: str, picture: Picture) -> dict[str, Any]:
    width, height = here.stimuli.sizes[picture.sha256]
    url = address + picture.address  # its letters need no quoting
    return {"place": picture.place, "url": url, "width": width, "height": height}
