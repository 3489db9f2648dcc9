"""Every page of a design without a database: the site's own pages, made of sessions made up.

Templates and views are those of the site; only the rater's session is another. Nothing that is
sent is kept, and every step leads to the next page. The pages follow from the design and from the
stages, outcomes and messages that there are.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSession, SessionInterface
from flask_babel import get_locale
from markupsafe import Markup
from PIL import Image, ImageDraw
from werkzeug.wrappers import Response as Answer

from sreval.errors import attempted
from sreval.files import sha256_bytes
from sreval.images.io import encode_png
from sreval.site.app import HEADERS, all_catalogues, application, offered, raters_pages
from sreval.site.config import SiteConfig, body_limit
from sreval.site.current import Site, Stimuli, site
from sreval.site.errors import MESSAGES, PageError, respond
from sreval.store.answers import LONGEST, check_answers, score_on, screened_out
from sreval.store.database import Store
from sreval.store.errors import CheckError, VoteError
from sreval.store.models import OUTCOMES, STAGES
from sreval.store.sessions import Picture, PlanItemRow, RaterSession, Receipt, SessionState
from sreval.study import viewing
from sreval.study.design import ItemKind, StudyDesign, load_design
from sreval.study.manifest import MANIFEST, Manifest, Stimulus, load_manifest
from sreval.study.panel import CODE
from sreval.study.plan import Item, make_plan
from sreval.study.questions import Answers, When
from sreval.study.task import LEFT
from sreval.study.viewing import Check

preview = Blueprint("preview", __name__)

SIZE = (480, 320)
"""Width and height of a stand-in, in pixels."""

_ITEMS = 3
"""So many items of a kind are shown at most."""

_PLATES = "preview"
"""What the plates are drawn by."""

_STAGES_OF_FORMS: dict[str, When] = {"questions": "before", "closing": "after"}
_LEFT = ("declined", "deleted")
"""How a visit ends of which nothing is kept."""


@dataclass(frozen=True)
class Stop:
    """A page that has a place in the order of a rater's way: its name in the address, what it is
    in words, and the session that it is made of."""

    key: str
    title: str
    stage: str
    kind: ItemKind | None = None
    check: Check | None = None
    outcome: str | None = None
    group: str = ""


def stops(design: StudyDesign) -> list[Stop]:
    """The pages that raters of a design can come to, in the order of their way."""
    found: list[Stop] = []
    for stage in STAGES:
        if stage == "rating":
            found += _rating(design)
        elif stage == "checks":
            found += [
                Stop(f"check-{kind}", f"viewing check: {kind}", stage, check=kind)
                for kind in design.viewing.checks.kinds
            ]
        elif stage == "done":
            ends = [*OUTCOMES, *_LEFT, *(["closed"] if design.outcomes.ended else [])]
            found += [
                Stop(f"done-{end}", f"the end: {end.replace('_', ' ')}", stage, outcome=end)
                for end in ends
            ]
        elif _has(design, stage):
            found.append(Stop(stage, stage, stage))
            if stage == "instructions":
                found += [
                    Stop(
                        f"{stage}-{one.name}", f"{stage} of group {one.name}", stage, group=one.name
                    )
                    for one in design.groups
                    if one.instructions
                ]
    return found


def _has(design: StudyDesign, stage: str) -> bool:
    """Whether raters of a design come to a stage; to one that isn't known here they do."""
    if stage in _STAGES_OF_FORMS:
        return any(question.when == _STAGES_OF_FORMS[stage] for question in design.questions)
    return {
        "break": design.sittings.break_every > 0,
        "rest": design.sittings.items > 0,
    }.get(stage, True)


def _rating(design: StudyDesign) -> list[Stop]:
    kinds: list[tuple[bool, ItemKind, str]] = [
        (design.calibration is not None, "calibration", "an example"),
        (design.warm_up is not None, "warm-up", "practice"),
        (True, "vote", "rating"),
    ]
    return [Stop(f"rating-{kind}", title, "rating", kind) for has, kind, title in kinds if has]


@dataclass(frozen=True)
class _Preview(Site):
    """A site whose sessions are made up. ``items`` are what is rated, by the key of the page;
    ``rated`` the places whose last item was just rated."""

    stops: list[Stop] = field(default_factory=list)
    items: Mapping[str, tuple[PlanItemRow, ...]] = field(default_factory=dict)
    rated: set[str] = field(default_factory=set)
    frozen: bool = False

    def session(self, key: str) -> RaterSession:
        """The session of a page."""
        return _Session(self, key)

    def stop(self, place: str) -> Stop:
        """The page of a place. Raises PageError for one that isn't there."""
        language, _, key = place.partition(".")
        found = [stop for stop in self.stops if stop.key == key]
        if not found or language not in self.languages:
            raise PageError("404")
        return found[0]

    def after(self, place: str) -> str:
        """The place of the next page; of the last one itself."""
        at = self.stops.index(self.stop(place))
        following = self.stops[min(at + 1, len(self.stops) - 1)]
        return self.at(place, following.key)

    def at(self, place: str, key: str) -> str:
        """The place of another page in the same language."""
        return f"{place.partition('.')[0]}.{key}"


class _Session(RaterSession):
    """The session of a page. It keeps nothing; a step leads to the next page."""

    def __init__(self, here: _Preview, place: str) -> None:
        super().__init__(here.store, place)
        self._here, self._stop = here, here.stop(place)

    def state(self, position: int = 1) -> SessionState:
        """Where the session stands."""
        stop, sittings = self._stop, self._here.design.sittings
        items = self._here.items.get(stop.key, ()) or next(iter(self._here.items.values()))
        rating, now = stop.stage == "rating", self.store.clock()
        done = position - 1 if rating else len(items)
        rest = dt.timedelta(minutes=sittings.rest_minutes)
        pause = dt.timedelta(seconds=sittings.break_seconds)
        return SessionState(
            session_id=self.id,
            study=self._here.design.name,
            group=stop.group,
            stage=stop.stage,
            position=position if rating else None,
            done=done,
            of=len(items),
            done_in_sitting=done,
            of_in_sitting=len(items),
            sitting=1,
            sittings=2 if sittings.items else 1,
            break_until=now + pause if stop.stage == "break" else None,
            rest_until=now + rest if stop.stage == "rest" else None,
            consent_version=self._here.design.consent.version,
            language=None,
            outcome=stop.outcome,
            simulated=False,
            study_state="open",
            items=items[position - 1 :] if rating else (),
            checks=_simulated_checks(stop.check),
            check=stop.check,
            plates=_PLATES,
        )

    def answers(self) -> dict[str, str]:
        """None: every question is shown."""
        return {}

    def placeholder_values(self) -> dict[str, str]:
        """Every placeholder as it is written."""
        design = self._here.design
        named = design.panel.parameters if design.panel else ()
        return {name: name for name in (*named, CODE)}

    def check(self, kind: Check, observed: str | None) -> SessionState:
        """Judge what a check's page observed as the site would. Raises CheckError."""
        if observed is not None:
            try:
                right = viewing.plate_gaps(_PLATES)
                viewing.measured(kind, observed, _simulated_checks(kind), right)
            except ValueError as error:
                raise CheckError(f"The check {kind!r} can't be used: {error}.") from None
        return self._on()

    def image(self, address: str) -> Picture | None:
        """The picture under an address, of any item of the page."""
        items = self._here.items.get(self._stop.key, ())
        pictures = (picture for item in items for picture in item.pictures)
        return next((picture for picture in pictures if picture.address == address), None)

    def sent(self, picture: Picture) -> None:
        """Nothing: it isn't kept."""

    def note(self, kind: str, **facts: Any) -> None:
        """Nothing: it isn't kept."""

    def vote(self, position: int, score: float, **told: Any) -> Receipt:
        """Take a vote as the site would, and forget it."""
        score = score_on(self._here.design.answers, score)
        items = self._here.items.get(self._stop.key, ())
        if not 1 <= position <= len(items):
            raise VoteError("position", "There is no such item.", "Reload the page.")
        state = self.state(position + 1)
        if position == len(items):
            self._here.rated.add(self.id)
            # not at rating: the browser then asks for its page anew, and is led to the next one
            state = replace(state, stage="instructions", position=None, items=())
        meant = items[position - 1].meant
        return Receipt(
            position, score, self.store.clock(), repeated=False, state=state, meant=meant
        )

    def device(self, facts: Mapping[str, Any], fits: bool) -> SessionState:
        """Go on where the window fits."""
        return self._on() if self._stop.stage == "device" and fits else self.state()

    def answer(self, when: When, answers: Answers) -> SessionState:
        """Judge answers as the site would. Raises AnswerError."""
        given = check_answers(self._here.design, when, answers, {})
        out = when == "before" and screened_out(self._here.design, given)
        return self._on("done-screened_out" if out else None)

    def agree(self, version: str, language: str | None = None) -> SessionState:
        """Go on."""
        return self._on()

    def start(self) -> SessionState:
        """Go on."""
        return self._on()

    def resume(self) -> SessionState:
        """Go on, however long the break would last."""
        return self._on()

    def _on(self, key: str | None = None) -> SessionState:
        here = self._here
        session["place"] = here.at(self.id, key) if key else here.after(self.id)
        return self.state()


def _simulated_checks(until: Check | None) -> dict[Check, dict[str, Any]]:
    """The facts of the viewing checks before one, as of a simulated rater."""
    facts: dict[Check, dict[str, Any]] = {}
    right = viewing.plate_gaps(_PLATES)
    for kind in viewing.CHECKS[: viewing.CHECKS.index(until)] if until else ():
        observed = viewing.simulated(kind, facts, right)
        facts[kind] = viewing.measured(kind, observed, facts, right)
    return facts


class _Forgetful(SessionInterface):
    """No cookie: the address says all."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        """An empty one."""
        return SecureCookieSession()

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        """Nothing: it isn't kept."""


def create_preview(folder: Path) -> Flask:
    """The preview of the study in ``folder``, with its stimuli where it is frozen.

    Raises UsageError for a faulty design, DataError for stimuli that are damaged.
    """
    design = load_design(folder)
    frozen = (folder / MANIFEST).is_file()
    manifest, stimuli = _frozen(folder) if frozen else _stand_ins(design)
    app = application()
    app.config["MAX_CONTENT_LENGTH"] = body_limit(design.questions)
    app.session_interface = _Forgetful()
    app.jinja_env.globals["csrf_token"] = lambda: ""
    app.before_request(_enter)
    found = all_catalogues()
    here = _Preview(
        SiteConfig(study=folder, database="none", rates=None),
        Store("sqlite:///none"),  # never opened; only its clock is asked
        design,
        manifest,
        stimuli,
        offered(design, found),
        stops(design),
        _items(design, manifest, frozen),
        frozen=frozen,
    )
    raters_pages(app, here, found)
    app.register_blueprint(preview)
    app.after_request(_mark)
    return app


def _here() -> _Preview:
    here = site()
    assert isinstance(here, _Preview)
    return here


def _enter() -> Answer | None:
    """Take from the address who is there; what would need a database leads elsewhere."""
    here, named = _here(), request.view_args or {}
    if "place" not in named:
        if request.endpoint in ("rater.link", "rater.next_rater", "rater.back"):
            return redirect(url_for("preview.contents"), 303)
        return None
    place = named["place"]
    if named["study"] != here.design.name:
        raise PageError("other-study")
    stop = here.stop(place)
    wanted = request.args.get("lang")
    if wanted in here.languages:
        return redirect(_address(f"{wanted}.{stop.key}"), 303)
    session.update(place=place, lang=place.partition(".")[0])
    if here.design.panel:
        session["arrival"] = ["preview", {}]
    if stop.outcome in _LEFT:
        session["left"] = stop.outcome
    if request.endpoint in ("rater.withdraw", "rater.decline"):
        deletes = request.form.get("delete") == "yes"
        left = "declined" if request.endpoint == "rater.decline" else "withdrew"
        return redirect(_address(here.at(place, f"done-{'deleted' if deletes else left}")), 303)
    if request.endpoint == "rater.study" and place in here.rated:
        here.rated.discard(place)
        return redirect(_address(here.after(place)), 303)
    return None


def _address(place: str) -> str:
    return url_for("rater.study", study=site().design.name, place=place)


@preview.get("/")
def contents() -> str:
    """All pages, in one language."""
    here = _here()
    language = str(get_locale())
    session["lang"] = language
    way = [(stop.title, _address(f"{language}.{stop.key}")) for stop in here.stops]
    more = [(title, url_for("preview.further", language=language, key=key))
            for key, title in _further(here.design).items()]  # fmt: skip
    rating = f"{language}.{next(iter(here.items))}"
    again = url_for("rater.instructions", study=here.design.name, place=rating)
    more.insert(0, ("instructions, once more while rating", again))
    told = [(f"{message.title} ({kind})", url_for("preview.message", language=language, kind=kind))
            for kind, message in MESSAGES.items()]  # fmt: skip
    return render_template(
        "preview/contents.html", way=way, more=more, told=told, frozen=here.frozen, size=SIZE,
        chosen=language,
    )  # fmt: skip


def _further(design: StudyDesign) -> dict[str, str]:
    """Pages that have no place in the order of a rater's way, by the key in the address."""
    faulty = {f"{stage}-refused": f"{stage}, with answers that don't fit"
              for stage in _STAGES_OF_FORMS if _has(design, stage)}  # fmt: skip
    return faulty | {
        "kiosk": "a laboratory's machine, before each rater",
        "kiosk-under-way": "the same, while somebody has begun",
    }


@preview.route("/further/<language>/<key>", methods=["GET", "POST"])
def further(language: str, key: str) -> str | Answer:
    """One of `_further`."""
    here = _here()
    if language not in here.languages or key not in _further(here.design):
        raise PageError("404")
    first = f"{language}.{here.stops[0].key}"
    session.update(place=first, lang=language)
    if key.startswith("kiosk"):
        if request.method == "POST":
            return redirect(_address(first), 303)
        under_way = key == "kiosk-under-way"
        return render_template("rater/kiosk.html", state=None, kiosk=True, under_way=under_way)
    stage = key.removesuffix("-refused")
    # sent as a rater's browser would send it; no answer may be so long, and no option is
    faulty = {question.key: "x" * (LONGEST + 1) for question in here.design.questions}
    answered = current_app.test_client().post(
        f"{_address(f'{language}.{stage}')}/{stage}", data=faulty
    )
    return Response(answered.data, answered.status_code, mimetype="text/html")


@preview.get("/message/<language>/<kind>")
def message(language: str, kind: str) -> Response:
    """What a rater is told in the place of a page."""
    if language not in _here().languages or kind not in MESSAGES:
        raise PageError("404")
    session["lang"] = language
    return respond(kind)


_BAR = Markup(
    '<nav class="preview" aria-label="Preview" lang="en" dir="ltr"><span>Preview: nothing is '
    'stored.</span> <a href="{all}">All pages</a>{next}</nav>'
)
_NEXT = Markup(' <a href="{}">Next page</a>')


def _mark(response: Response) -> Response:
    """Say on every page that it is a preview; no page leads away by itself."""
    response.headers.update(HEADERS)
    response.headers.pop("Refresh", None)
    response.headers["Cache-Control"] = "no-store"
    if response.mimetype != "text/html" or request.endpoint == "preview.contents":
        return response
    text = response.get_data(as_text=True)
    if 'class="preview"' in text:
        return response
    place = (request.view_args or {}).get("place", "")
    known, _ = attempted(lambda: _here().after(place)) if place else (None, "")
    following = _NEXT.format(_address(known)) if known and known != place else ""
    language = session.get("lang", "")
    to = url_for("preview.contents", lang=language or None)
    head, body, rest = text.partition("<body")
    tag, _, content = rest.partition(">")
    sheet = f'<link rel="stylesheet" href="{url_for("static", filename="preview.css")}">'
    head = head.replace("</head>", f"  {sheet}\n</head>")
    bar = _BAR.format(all=to, next=following)
    response.set_data(f"{head}{body}{tag}>\n{bar}{content}" if body else text)
    return response


def _frozen(folder: Path) -> tuple[Manifest, Stimuli]:
    manifest = load_manifest(folder)
    return manifest, Stimuli(folder, manifest)


class _StandIns(Stimuli):
    """Pictures that stand for those of a study that isn't frozen."""

    def __init__(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        super().__init__(Path(), manifest)
        self._files = files

    def open(self, sha256: str) -> BinaryIO:
        """The PNG. Raises KeyError for a hash that is not one of them."""
        return io.BytesIO(self._files[sha256])


def _stand_ins(design: StudyDesign) -> tuple[Manifest, Stimuli]:
    """A picture for each place of the task, and the manifest of them."""
    files, found = {}, []
    for place in design.task.places:
        data = encode_png(_drawn(place))
        sha256 = sha256_bytes(data)
        files[sha256] = data
        found.append(Stimulus("preview", place, place, place, sha256, sha256, *SIZE))
    manifest = Manifest(tuple(found))
    return manifest, _StandIns(manifest, files)


def _drawn(place: str) -> Any:
    """Grey with lines, so that nobody takes it for a picture of the study."""
    picture = Image.new("RGB", SIZE, (150, 150, 150))
    pen = ImageDraw.Draw(picture)
    (width, height), ink = SIZE, (60, 60, 60)
    for at in range(0, width, 40):
        pen.line([(at, 0), (at, height)], fill=(135, 135, 135))
    for at in range(0, height, 40):
        pen.line([(0, at), (width, at)], fill=(135, 135, 135))
    pen.rectangle([0, 0, width - 1, height - 1], outline=ink)
    pen.text((16, 16), f"PREVIEW, {place}: {width} x {height} pixels", fill=ink)
    return np.asarray(picture)


def _items(
    design: StudyDesign, manifest: Manifest, frozen: bool
) -> dict[str, tuple[PlanItemRow, ...]]:
    """What is rated on each page of rating: the first items of the first rater's plan, else
    stand-ins."""
    if not frozen:
        alike = {stimulus.image: stimulus.sha256 for stimulus in manifest.stimuli}
        anchors = design.calibration.anchors if design.calibration else ()
        meant = {"calibration": [anchor.score for anchor in anchors], "warm-up": [LEFT] * _ITEMS}
        return {
            stop.key: _rows(
                stop,
                design,
                [(alike, one) for one in meant.get(stop.kind or "", [None] * _ITEMS)],
            )
            for stop in _rating(design)
        }
    plan = make_plan(design, manifest, 0, 0)
    return {
        stop.key: _rows(
            stop,
            design,
            [
                (_pictures(item), item.intended if stop.kind == "calibration" else item.low)
                for item in plan
                if item.kind == stop.kind
            ],
        )
        for stop in _rating(design)
    }


def _pictures(item: Item) -> dict[str, str]:
    """The stimuli of an item, by place."""
    own = {
        "left": item.stimulus_sha256,
        "right": item.right_sha256,
        "reference": item.reference_sha256,
    }
    return {place: sha256 for place, sha256 in own.items() if sha256 is not None}


def _rows(
    stop: Stop, design: StudyDesign, shown: Sequence[tuple[Mapping[str, str], int | None]]
) -> tuple[PlanItemRow, ...]:
    """The first items of a page: the pictures of each by place, and the answer that is meant."""
    part = {"calibration": design.calibration, "warm-up": design.warm_up}.get(stop.kind or "")
    after = part is not None and part.feedback
    return tuple(
        PlanItemRow(
            position=at,
            sitting=1,
            kind=stop.kind or "vote",
            intended=None if after else meant,
            meant=meant if after else None,
            pictures=tuple(
                Picture(at, place, own[place], f"{at}-{place}", None)
                for place in design.task.places
            ),
        )
        for at, (own, meant) in enumerate(shown[:_ITEMS], 1)
    )
