"""A rater's way in pages: the link, and one page for each stage that the session can be at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask_babel import gettext, ngettext
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

from sreval.errors import DataError, SrevalError, StoreError
from sreval.files import sha256_bytes
from sreval.site.api import Facts, Report, keep_report
from sreval.site.config import EXPLAINED
from sreval.site.current import as_told, minutes_left, open_state, own, rater_session, site
from sreval.site.errors import Message, PageError
from sreval.site.identity import HERE, enter, visit_name
from sreval.site.logs import LOG, where
from sreval.store import enrolment, invitations, raters
from sreval.store.answers import LONGEST, cleaned
from sreval.store.errors import AnswerError, CheckError, Fault, StateError, TokenError, VoteError
from sreval.store.invitations import InvitationRow
from sreval.store.sessions import RaterSession, SessionState
from sreval.store.studies import Studies
from sreval.study import viewing
from sreval.study.design import Question, When, load_design
from sreval.study.manifest import load_manifest

rater = Blueprint("rater", __name__)
_STAY_SECONDS = 5
"""For how long the last page is read before it leads back by itself."""
_ASKED: dict[str, When] = {"questions": "before", "closing": "after"}
Page = str | Response | tuple[str, int]


def _(text: str, **values: object) -> str:
    return str(gettext(text, **values))


def _to_study(**more: str) -> Response:
    return redirect(own("rater.study", **more), 303)


def _page(name: str, state: SessionState | None, **context: Any) -> str:
    shared = {
        "minutes_left": minutes_left(state) if state else None,
        "kiosk": "kiosk" in session,
        "own_link": _own_link(),
    }
    return render_template(f"rater/{name}.html", state=state, **shared, **context)


@rater.get("/r/<token>")
def link(token: str) -> Page:
    """The one link. A kiosk's shows its first page; any other leads to the rater's own place."""
    via = sha256_bytes(token.encode())
    if session.get("via") == via and "token" not in session and _known_state():
        return _to_study()  # a link that is used up meanwhile still leads back in this browser
    invitation = _invitation(token)
    if invitation.kind == "kiosk":
        begun = _known_state()
        if begun is None or begun.stage == "done":
            session.clear()
        return _page("kiosk", None, under_way=session.get("kiosk") == token)
    if invitation.session_id and invitation.session_id == session.get("place"):
        return _to_study()
    _begin(token, via if invitation.kind == "open" else "")
    if invitation.session_id:
        _enrol()
    return _to_study(begin="")


def _invitation(token: str) -> InvitationRow:
    found = invitations.lookup(site().store, token)
    if found.study != site().design.name:
        raise TokenError("unknown", "This link belongs to another study.")
    return found


def _refuse_newcomers(token: str) -> None:
    """Raise what keeps somebody without a session out."""
    known = _invitation(token).session_id
    state = Studies(site().store).get(site().design.name).state
    if known is None:
        if state != "open":
            raise PageError(state)
        _refuse_changed()


def _refuse_changed() -> None:
    """No rater begins with stimuli or a consent that the study's folder holds no more."""
    here = site()
    try:
        if (load_design(here.config.study), load_manifest(here.config.study).sha256) == (
            here.design,
            here.manifest.sha256,
        ):
            return
        why = "The study's files have changed since the site started. Restart it."
    except SrevalError as error:
        why = str(error)
    LOG.error("study changed", extra={"fields": {**where(), "message": why}})
    raise PageError("changed")


@rater.post("/r/<token>")
def next_rater(token: str) -> Page:
    """A kiosk's next rater: nothing of the one before stays in this browser."""
    if _invitation(token).kind != "kiosk":
        return redirect(url_for("rater.link", token=token), 303)
    session.clear()
    _begin(token, "", kiosk=token)
    return _to_study()


def _begin(token: str, via: str, **kept: str) -> None:
    """Remember the link until its visitor agrees; only then is a rater enrolled, so that a mail
    program's preview of a link takes nobody's place. Who opens it again is the same visitor."""
    again = session.get("token") == token
    visit = session["visit"] if again else invitations.new_token()
    if not again:
        enter(visit_name(visit), token=token, via=via, visit=visit, **kept)


def _known_state() -> SessionState | None:
    """Where the rater's session stands; None where it wasn't begun, was left or was deleted."""
    try:
        return rater_session().state()
    except (PageError, VoteError):
        return None


def _enrol() -> None:
    here = site()
    try:
        enrolled = enrolment.enrol(
            here.store,
            session["token"],
            here.manifest,
            design=here.design,
            visit=session["visit"],
        )
    except StateError:
        state = Studies(here.store).get(here.design.name).state
        raise PageError(state if state != "open" else "busy") from None
    except DataError as error:
        LOG.error("study changed", extra={"fields": {**where(), "message": str(error)}})
        raise PageError("changed") from None
    kept = {name: session[name] for name in ("via", "kiosk") if session.get(name)}
    kept["was"] = visit_name(session["visit"])
    if enrolled.resume_token:
        kept["resume"] = enrolled.resume_token
    enter(enrolled.session_id, **kept)


@rater.get("/study")
def back() -> Response:
    """To the place that this browser is authorised for."""
    if "place" not in session:
        raise PageError("session")
    return _to_study()


@rater.get(HERE)
def study(study: str, place: str) -> Page:
    """The page of the stage that the session is at."""
    if "token" in session:
        _refuse_newcomers(session["token"])
        return _page("consent", None, consent=site().design.consent)
    if "left" in session:
        return _done(None, session["left"])
    state = open_state()
    if state.stage == "done":
        return _done(state, state.outcome or "complete")
    if state.check:
        return _check(state)
    name = "rate" if state.stage == "rating" else state.stage
    return _page(name, state, **_more(state))


def _more(state: SessionState) -> dict[str, Any]:
    """What the page of a stage is given besides what all are given."""
    here = site()
    room = {"largest": here.room, "phones": here.design.viewing.phones}
    match state.stage:
        case "consent":
            return {"consent": here.design.consent}
        case "device":
            return room
        case "questions" | "closing":
            return _form(state.stage)
        case "rating":
            return {"current": as_told(state), **room}
        case "break" | "rest":
            return {"seconds_left": _seconds_to(state.break_until or state.rest_until)}
        case _:
            return {}


def _check(state: SessionState, **more: object) -> str:
    """The page of the viewing check that comes next."""
    known = {name: value for facts in state.checks.values() for name, value in facts.items()}
    more |= {"known": known, "required": site().design.viewing.checks.required}
    match state.check:
        case "distance":
            more |= {"runs": viewing.RUNS}
        case "patches":
            more |= {"steps": viewing.STEPS}
        case "colour":
            numbers = range(len(viewing.PLATES))
            more |= {"plates": [own("rater.plate", number=number) for number in numbers]}
        case "acuity":
            gaps = viewing.gaps(known["pixels_per_degree"] / 60)
            more |= {"gaps": gaps, "rings": viewing.RINGS, "enough": viewing.ENOUGH}
    return _page(f"check_{state.check}", state, **more)


@rater.get(f"{HERE}/plate/<int:number>")
def plate(study: str, place: str, number: int) -> Page:
    """A plate of coloured dots; 404 outside the check of colour vision."""
    state = open_state()
    if state.check != "colour" or number >= len(viewing.PLATES):
        raise PageError("404")
    made = make_response(viewing.plate(number, state.plates))
    made.mimetype = "image/svg+xml"
    return made


def _form(stage: str, typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the page of a questionnaire is given, filled in with what was typed."""
    questions = [q for q in site().design.questions if q.when == _ASKED[stage]]
    values = {q.key: cleaned(q, (typed or {}).get(q.key, "")) for q in questions}
    return {"questions": questions, "values": values, "longest": LONGEST, "errors": {}}


def form_again(message: Message) -> str | None:
    """The questionnaire that the present request sent, filled in, under what kept it from being
    stored. None where it sent none, or where its answers were stored before."""
    named = request.view_args or {}
    stage = named.get("stage")
    if stage not in _ASKED or session.get("place") != named["place"]:
        return None
    limit = EXPLAINED * (request.max_content_length or 0)
    request.max_content_length = request.max_form_memory_size = limit
    state: SessionState | None = None
    try:
        typed = request.form
        state = rater_session().state()
    except (PageError, VoteError, HTTPException):
        return None
    except StoreError:
        pass  # the database can't be asked
    if state and state.stage != stage:
        return None
    return _page(stage, state, problem=message, **_form(stage, typed))


def _own_link() -> str | None:
    """The link by which a rater who came by an open one can go on elsewhere."""
    if "resume" not in session:
        return None
    return url_for("rater.link", token=session["resume"], _external=True)


def _seconds_to(moment: datetime | None) -> int:
    left = (moment - site().store.clock()).total_seconds() if moment else 0
    return max(0, math.ceil(left))


def _done(state: SessionState | None, outcome: str) -> Response:
    """The last page. It leads back to where the rater came from; nobody came to a kiosk so."""
    way = "withdrew" if outcome == "deleted" else outcome
    told = getattr(site().design.outcomes, way, "")
    url = iri_to_uri(told) if told.startswith(("http://", "https://")) else ""
    kiosk = session.get("kiosk")
    next_rater = url_for("rater.link", token=kiosk) if kiosk else None
    code = "" if url else told
    more = {"outcome": outcome, "code": code, "url": url, "next_rater": next_rater}
    page = make_response(_page("done", state, **more))
    if url and not kiosk:
        page.headers["Refresh"] = f"{_STAY_SECONDS}; url={url}"
    return page


@rater.get(f"{HERE}/instructions")
def instructions(study: str, place: str) -> Page:
    """The instructions once more, for who has begun to rate."""
    if "token" in session or "left" in session:
        return _to_study()
    state = open_state()
    return _page("instructions", state) if state.stage == "rating" else _to_study()


@rater.post(f"{HERE}/<any(consent, device, checks, questions, instructions, closing, break):stage>")
def step(study: str, place: str, stage: str) -> Page:
    """A form of one stage. Sent twice or from an old page, it leads to the present one."""
    stands = site().design.consent.version
    if stage == "consent" and request.form.get("version", stands) != stands:
        return _to_study()  # another text was read than the one that stands
    if stage == "consent" and "token" in session:
        _refuse_changed()
        _enrol()
    state, rated = open_state(), rater_session()
    if stage != ("break" if state.stage == "rest" else state.stage):
        return _to_study()
    match stage:
        case "consent":
            rated.agree(site().design.consent.version)
        case "device":
            _report()
        case "checks":
            return _checked(rated, state)
        case "instructions":
            rated.start()
        case "break":
            _resume(rated)
        case _:
            form = _form(stage, request.form)
            values = form["values"]
            try:
                rated.answer(_ASKED[stage], values)
            except AnswerError as error:
                for q in form["questions"]:
                    if fault := error.faults.get(q.key):
                        form["errors"][q.key] = _told(q, values[q.key], fault)
                return _page(stage, state, **form), 422
    return _to_study()


def _checked(rated: RaterSession, state: SessionState) -> Page:
    """Keep a viewing check, or that it was left out; one of an old page changes nothing."""
    if state.check and request.form.get("check") == state.check:
        skipped = "skip" in request.form
        try:
            rated.check(state.check, None if skipped else request.form.get("facts", ""))
        except CheckError:
            return _check(state, implausible=True), 422
    return _to_study()


def _resume(rated: RaterSession) -> None:
    """A break that isn't over by this server's clock goes on; its page says how long."""
    try:
        rated.resume()
    except VoteError as error:
        if error.why != "rest":
            raise


def _told(question: Question, value: str, fault: Fault) -> str:
    """What a rater is told of an answer that doesn't fit."""
    match fault:
        case "missing":
            return _("Please answer this question.")
        case "not-offered":
            return _("Please choose one of the answers.")
        case "too-long":
            said = ngettext(
                "This answer has %(num)s character too many. At most %(most)s fit.",
                "This answer has %(num)s characters too many. At most %(most)s fit.",
                len(value) - LONGEST,
                most=LONGEST,
            )
            return str(said)
        case "out-of-range":
            return _limits(question)
        case _:
            return _("Please write a number.")


def _limits(question: Question) -> str:
    low, high = (
        None if limit is None else f"{limit:.15g}" for limit in (question.low, question.high)
    )
    if low and high:
        return _("Please write a number from %(low)s to %(high)s.", low=low, high=high)
    if low:
        return _("Please write a number of at least %(low)s.", low=low)
    return _("Please write a number of at most %(high)s.", high=high)


def _report() -> None:
    with suppress(ValidationError):
        facts = Facts.model_validate_json(request.form.get("facts", ""))
        keep_report(Report(facts=facts, fits=request.form.get("fits") == "yes"))


@rater.post(f"{HERE}/withdraw")
def withdraw(study: str, place: str) -> Page:
    """Leave for good; with delete=yes nothing of the rater stays."""
    if "token" in session:
        return decline(study, place)
    delete = request.form.get("delete") == "yes"
    last = raters.withdraw(site().store, rater_session().id, delete=delete)
    # who leaves at the last questions has come to an end before, and is told that
    return _left(place, "deleted" if delete else last.outcome or "withdrew")


@rater.post(f"{HERE}/decline")
def decline(study: str, place: str) -> Page:
    """Don't agree: nothing of the visitor stays, and their link works as before."""
    if "token" not in session and not raters.decline(site().store, rater_session().id):
        return _to_study()
    return _left(place, "declined")


def _left(place: str, outcome: str) -> Response:
    enter(place, left=outcome, **{name: session[name] for name in ("kiosk",) if name in session})
    return _to_study()
