"""A rater's way in pages: the link, and one page for each stage that the session can be at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
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
from sreval.site.current import (
    as_told,
    design_as_read,
    keep_language,
    minutes_left,
    open_state,
    own,
    rater_session,
    site,
)
from sreval.site.errors import MESSAGES, Message, PageError
from sreval.site.identity import HERE, enter, visit_name
from sreval.site.logs import LOG, where
from sreval.store import enrolment, invitations, participants, raters
from sreval.store.answers import LONGEST, cleaned
from sreval.store.errors import AnswerError, CheckError, Fault, StateError, TokenError, VoteError
from sreval.store.invitations import InvitationRow
from sreval.store.sessions import RaterSession, SessionState
from sreval.store.studies import Studies
from sreval.study import viewing
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest
from sreval.study.panel import Arrival, filled, is_address, placeholders
from sreval.study.questions import Answers, Question, When

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
        "instructions": design_as_read().of_group(state.group if state else "").instructions,
    }
    return render_template(f"rater/{name}.html", state=state, **shared, **context)


@rater.get("/r/<token>")
def link(token: str) -> Page:
    """The one link. A kiosk's shows its first page; any other leads to the rater's own place."""
    via = sha256_bytes(token.encode())
    begun = session.get("via") == via and "token" not in session and _known_state()
    if begun and _is_of(_arrival()):
        return _to_study()  # a link that is used up meanwhile still leads back in this browser
    arrival = _sent_by_panel(token)
    if arrival and (known := _begun_by(arrival)):
        return _again(known, via)
    invitation = _invitation(token)
    if invitation.kind == "kiosk":
        begun = _known_state()
        if begun is None or begun.stage == "done":
            session.clear()
        return _page("kiosk", None, under_way=session.get("kiosk") == token)
    if invitation.session_id and invitation.session_id == session.get("place"):
        return _to_study()
    _begin(token, via if invitation.kind == "open" else "", arrival)
    if invitation.session_id:
        _enrol()
    return _to_study(begin="")


def _arrival() -> Arrival | None:
    """Whom a panel sent with the present request. Raises PageError for what can't be an id."""
    panel = site().design.panel
    try:
        return panel.arrival(request.args.to_dict(flat=False)) if panel else None
    except ValueError:
        raise PageError("participant") from None


def _is_of(arrival: Arrival | None) -> bool:
    """Whether this browser's session is the participant's; who comes without an id goes on, too."""
    return arrival is None or _begun_by(arrival) == session["place"]


def _begun_by(arrival: Arrival) -> str | None:
    return participants.find_session(site().store, site().design.name, arrival.participant)


def _sent_by_panel(token: str) -> Arrival | None:
    """Whom a panel sent by an open link; None of others, which are for people known otherwise.

    Raises PageError for an open link without the id that the design requires.
    """
    panel = site().design.panel
    if panel is None or _invitation(token, begun=True).kind != "open":
        return None
    arrival = _arrival()
    if arrival is None and panel.required:
        raise PageError("participant")
    return arrival


def _again(known: str, via: str) -> Response:
    """A second go of a participant, in whatever browser."""
    panel = site().design.panel
    if known == session.get("place"):
        return _to_study()
    if panel is not None and panel.again == "refuse":
        raise PageError("again")
    enter(known, via=via)
    return _to_study(begin="")


def _invitation(token: str, *, begun: bool = False) -> InvitationRow:
    found = invitations.lookup(site().store, token, begun=begun)
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


def _begin(token: str, via: str, arrival: Arrival | None = None, **kept: str) -> None:
    """Remember the link until its visitor agrees; only then is a rater enrolled, so that a mail
    program's preview of a link takes nobody's place. Who opens it again is the same visitor, and
    whom a panel sent is one participant."""
    sent = None if arrival is None else [arrival.participant, dict(arrival.kept)]
    if session.get("token") != token or session.get("arrival") != sent:
        visit = invitations.new_token()
        enter(visit_name(visit), token=token, via=via, visit=visit, arrival=sent, **kept)


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
            arrival=_remembered(),
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


def _remembered() -> Arrival | None:
    """Whom a panel sent, as the cookie has it until the visitor agrees."""
    return Arrival(*session["arrival"]) if session.get("arrival") else None


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
        sent = _remembered() is not None
        return _page("consent", None, consent=design_as_read().consent, sent=sent)
    if "left" in session:
        return _done(None, session["left"], session.get("values", {}))
    state = open_state()
    if state.stage == "done":
        values = rater_session().placeholder_values()
        return _done(state, state.outcome or "complete", values)
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
            return {"consent": design_as_read().consent, "sent": _remembered() is not None}
        case "device":
            return room
        case "questions" | "closing":
            return {"form": _form(state.stage, earlier=rater_session().answers())}
        case "rating":
            return {"current": as_told(state), "longest": LONGEST, **room}
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


@dataclass
class Form:
    """A questionnaire's page: its questions, and what was typed by the names of their fields.

    ``on_page`` are the keys of the questions, ``hints`` and ``errors`` are by key.
    """

    questions: list[Question]
    values: dict[str, str]
    on_page: set[str]
    hints: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    longest: int = LONGEST


def _form(
    stage: str, typed: Mapping[str, str] = MappingProxyType({}), *, earlier: Answers | None
) -> Form:
    """The questionnaire of a stage, filled in with what was typed.

    Questions that the ``earlier`` answers exclude aren't on it; where these can't be had, they are.
    Those that depend on an answer of this page come and go there.
    """
    questions: list[Question] = []
    on_page: set[str] = set()
    for question in site().design.questions:
        needs = question.only_if
        if question.when == _ASKED[stage] and (
            needs is None or needs.key in on_page or earlier is None or needs.holds(earlier)
        ):
            questions.append(question)
            on_page.add(question.key)
    values = {name: cleaned(q, typed.get(name, "")) for q in questions for name in q.fields}
    hints = {q.key: _how_many(q) for q in questions if q.kind == "choices"}
    return Form(questions, values, on_page, hints)


def page_of_error(kind: str) -> str | Response | None:
    """A page of the rater's own for the present request, which an error of this ``kind`` ended: the
    last one where the study is closed before they are done, or the questionnaire that they sent.
    None where there is neither."""
    return (_closed() if kind == "closed" else None) or _form_again(MESSAGES[kind])


def _closed() -> Response | None:
    """The last page of a rater under way in a closed study; None where the design has no text."""
    if not _end_text("closed") or request.blueprint != rater.name:
        return None
    try:
        state, values = rater_session().state(), rater_session().placeholder_values()
    except (PageError, StoreError):
        return None
    keep_language(state)
    return _done(state, "closed", values)


def _form_again(message: Message) -> str | None:
    """The questionnaire that the present request sent, filled in, under what kept it from being
    stored. None where it sent none, or where its answers were stored before."""
    named = request.view_args or {}
    stage = named.get("stage")
    if stage not in _ASKED or session.get("place") != named["place"]:
        return None
    limit = EXPLAINED * (request.max_content_length or 0)
    request.max_content_length = request.max_form_memory_size = limit
    state: SessionState | None = None
    earlier: Answers | None = None
    try:
        typed = request.form
        state, earlier = rater_session().state(), rater_session().answers()
    except (PageError, VoteError, HTTPException):
        return None
    except StoreError:
        pass  # the database can't be asked
    if state:
        keep_language(state)
    if state and state.stage != stage:
        return None
    return _page(stage, state, problem=message, form=_form(stage, typed, earlier=earlier))


def _own_link() -> str | None:
    """The link by which a rater who came by an open one can go on elsewhere."""
    if "resume" not in session:
        return None
    return url_for("rater.link", token=session["resume"], _external=True)


def _seconds_to(moment: datetime | None) -> int:
    left = (moment - site().store.clock()).total_seconds() if moment else 0
    return max(0, math.ceil(left))


def _end_text(outcome: str) -> str:
    """The code or URL of an outcome as the design has it, with its placeholders."""
    way = {"deleted": "withdrew", "expired": "ended", "closed": "ended"}.get(outcome, outcome)
    return str(getattr(site().design.outcomes, way, ""))


def _done(state: SessionState | None, outcome: str, values: Mapping[str, str]) -> Response:
    """The last page, with ``values`` for placeholders. It leads back to where the rater came from;
    nobody came to a kiosk so."""
    text = _end_text(outcome)
    told = filled(text, values)
    url = iri_to_uri(told) if is_address(text) else ""
    kiosk = session.get("kiosk")
    next_rater = url_for("rater.link", token=kiosk) if kiosk and outcome != "closed" else None
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
            rated.agree(stands, design_as_read().language)
        case "device":
            _report()
        case "checks":
            return _checked(rated, state)
        case "instructions":
            rated.start()
        case "break":
            _resume(rated)
        case _:
            form = _form(stage, request.form, earlier=rated.answers())
            try:
                rated.answer(_ASKED[stage], form.values)
            except AnswerError as error:
                for q in form.questions:
                    if fault := error.faults.get(q.key):
                        form.errors[q.key] = _told(q, form.values, fault)
                return _page(stage, state, form=form), 422
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


def _told(question: Question, values: Answers, fault: Fault) -> str:
    """What a rater is told of an answer that doesn't fit."""
    match fault:
        case "missing" if question.kind == "grid":
            return _("Please choose one answer in every row.")
        case "missing":
            return _("Please answer this question.")
        case "too-few" | "too-many":
            return _how_many(question)
        case "not-offered":
            return _("Please choose one of the answers.")
        case "too-long":
            said = ngettext(
                "This answer has %(num)s character too many. At most %(most)s fit.",
                "This answer has %(num)s characters too many. At most %(most)s fit.",
                len(values[question.key]) - LONGEST,
                most=LONGEST,
            )
            return str(said)
        case "out-of-range":
            return _limits(question)
        case _:
            return _("Please write a number.")


def _how_many(question: Question) -> str:
    """How many of several options are to be chosen."""
    least, most = question.fewest, question.most
    if least == most:
        said = ngettext("Please choose %(num)s answer.", "Please choose %(num)s answers.", least)
    elif least == 1 and most is None:
        said = gettext("You may choose several answers.")
    elif least == 1:
        said = ngettext(
            "You may choose %(num)s answer.", "You may choose up to %(num)s answers.", most
        )
    elif most is None:
        said = ngettext(
            "Please choose at least %(num)s answer.",
            "Please choose at least %(num)s answers.",
            least,
        )
    else:
        said = gettext("Please choose %(least)s to %(most)s answers.", least=least, most=most)
    return str(said)


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
    own = rater_session()
    values = own.placeholder_values()
    last = raters.withdraw(site().store, own.id, delete=delete)
    # who leaves at the last questions has come to an end before, and is told that
    return _left(place, "deleted" if delete else last.outcome or "withdrew", values)


@rater.post(f"{HERE}/decline")
def decline(study: str, place: str) -> Page:
    """Don't agree: nothing of the visitor stays, and their link works as before."""
    panel, arrival = site().design.panel, _remembered()
    if "token" not in session and not raters.decline(site().store, rater_session().id):
        return _to_study()
    return _left(place, "declined", panel.values(arrival) if panel and arrival else {})


def _left(place: str, outcome: str, values: Mapping[str, str]) -> Response:
    """The last page of who leaves; of ``values`` the cookie keeps those that it shows."""
    kept = {name: session[name] for name in ("kiosk",) if name in session}
    shown = {name: values[name] for name in placeholders(_end_text(outcome)) if name in values}
    enter(place, left=outcome, **kept, **({"values": shown} if shown else {}))
    return _to_study()
