"""A rater's way in pages: the link, and one page for each stage that the session can be at."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response

from sreval.files import sha256_bytes
from sreval.site import forms
from sreval.site.context import as_told, minutes_left, open_current, session_id, site
from sreval.site.device import Facts, Report
from sreval.site.problems import PageError
from sreval.store import enrolment, invitations, progress, studies
from sreval.store.errors import TokenError
from sreval.store.invitations import InvitationRow
from sreval.store.progress import SessionState
from sreval.study.design import Question, When

rater = Blueprint("rater", __name__)
Page = str | Response | tuple[str, int]


def _to_study() -> Response:
    return redirect(url_for("rater.study"), 303)


def _page(name: str, state: SessionState | None, **context: Any) -> str:
    left = minutes_left(state) if state else None
    return render_template(f"rater/{name}.html", state=state, minutes_left=left, **context)


@rater.get("/r/<token>")
def link(token: str) -> Page:
    """The one link. A kiosk's shows its first page; any other leads to the rater's own place."""
    via = sha256_bytes(token.encode())
    if "sid" in session and session.get("via") == via:
        return _to_study()  # a link that is used up meanwhile still leads back in this browser
    invitation = _invitation(token)
    if invitation.kind == "kiosk":
        if _finished():
            session.clear()
        return _page("kiosk", None)
    _begin(token, via if invitation.kind == "open" else "")
    if invitation.session_id:
        _enrol()
    return _to_study()


def _invitation(token: str) -> InvitationRow:
    found = invitations.lookup(site().store, token)
    if found.study != site().design.name:
        raise TokenError("unknown", "This link belongs to another study.")
    return found


def _refuse_newcomers(token: str) -> None:
    """Raise what keeps somebody without a session out."""
    known = _invitation(token).session_id
    state = studies.get(site().store, site().design.name).state
    if known is None and state != "open":
        raise PageError(state)


@rater.post("/r/<token>")
def next_rater(token: str) -> Page:
    """A kiosk's next rater: nothing of the one before stays in this browser."""
    if _invitation(token).kind == "kiosk":
        session.clear()
        _begin(token, "")
        session["kiosk"] = token
    return _to_study()


def _begin(token: str, via: str) -> None:
    """Remember the link until its visitor agrees; only then is a rater enrolled, so that a mail
    program's preview of a link takes nobody's place."""
    for old in ("sid", "left", "resume", "kiosk"):
        session.pop(old, None)
    session.update(token=token, via=via, visit=secrets.token_hex(8))


def _finished() -> bool:
    if "sid" not in session:
        return "left" in session
    return progress.state(site().store, session_id()).stage == "done"


def _enrol() -> None:
    here, token = site(), session["token"]
    _refuse_newcomers(token)
    enrolled = here.door.enter(
        session["visit"], lambda: enrolment.enrol(here.store, token, here.manifest)
    )
    session.pop("token")
    session["sid"] = enrolled.session_id
    if enrolled.resume_token:
        session["resume"] = enrolled.resume_token


@rater.get("/study")
def study() -> Page:
    """The page of the stage that the session is at."""
    if "token" in session:
        return _consent(None)
    if "left" in session:
        return _done_page("withdrew", None)
    found = open_current()
    if found.state.stage == "rating":
        return _page("rate", found.state, current=as_told(found), **_room())
    return _PAGES[found.state.stage](found.state)


def _consent(state: SessionState | None) -> str:
    if state is None:
        _refuse_newcomers(session["token"])
    return _page("consent", state, consent=site().design.consent)


def _device(state: SessionState) -> str:
    return _page("device", state, **_room())


def _room() -> dict[str, Any]:
    here = site()
    return {"largest": here.manifest.largest, "phones": here.design.viewing.phones}


def _questions(state: SessionState) -> str:
    return _form("questions", state, {}, {})


def _closing(state: SessionState) -> str:
    return _form("closing", state, {}, {})


def _form(stage: str, state: SessionState, values: dict[str, str], errors: dict[str, str]) -> str:
    return _page(stage, state, questions=_asked(stage), values=values, errors=errors)


def _asked(stage: str) -> list[Question]:
    when: When = "before" if stage == "questions" else "after"
    return [question for question in site().design.questions if question.when == when]


def _instructions(state: SessionState) -> str:
    resume = session.get("resume")
    address = site().config.base_url or request.host_url.rstrip("/")
    url = address + url_for("rater.link", token=resume) if resume else None
    return _page("instructions", state, resume_url=url)


def _break(state: SessionState) -> str:
    return _page("break", state, seconds_left=_seconds_to(state.break_until))


def _rest(state: SessionState) -> str:
    return _page("rest", state, seconds_left=_seconds_to(state.rest_until))


def _seconds_to(moment: datetime | None) -> int:
    left = (moment - site().store.clock()).total_seconds() if moment else 0
    return max(0, round(left))


def _done(state: SessionState) -> str:
    return _done_page(state.outcome or "complete", state)


def _done_page(outcome: str, state: SessionState | None) -> str:
    told = getattr(site().design.outcomes, outcome, "")
    is_url = told.startswith(("http://", "https://"))
    kiosk = session.get("kiosk")
    return _page(
        "done",
        state,
        outcome=outcome,
        code="" if is_url else told,
        url=told if is_url else "",
        next_rater=url_for("rater.link", token=kiosk) if kiosk else None,
    )


_PAGES: dict[str, Callable[[SessionState], str]] = {
    "consent": _consent,
    "device": _device,
    "questions": _questions,
    "instructions": _instructions,
    "break": _break,
    "rest": _rest,
    "closing": _closing,
    "done": _done,
}


@rater.post("/study/<any(consent, device, questions, instructions, closing, break):stage>")
def step(stage: str) -> Page:
    """A form of one stage. Sent twice or from an old page, it leads to the present one."""
    if stage == "consent" and "token" in session:
        _enrol()
    state = open_current().state
    present = "break" if state.stage == "rest" else state.stage
    if present != stage:
        return _to_study()
    return _STEPS[stage](state) or _to_study()


@rater.post("/study/withdraw")
def withdraw() -> Page:
    """Leave for good; with delete=yes nothing of the rater stays."""
    if "token" in session:
        session.pop("token")
    else:
        delete = request.form.get("delete") == "yes"
        progress.withdraw(site().store, session_id(), delete=delete)
        session.pop("sid")
    session["left"] = True
    return _to_study()


def _agree(state: SessionState) -> None:
    progress.agree(site().store, state.session_id, site().design.consent.version)


def _report(state: SessionState) -> None:
    here = site()
    try:
        facts = Facts.model_validate_json(request.form.get("facts", ""))
    except ValidationError:
        return
    report = Report(facts=facts, fits=request.form.get("fits") == "yes")
    fits = report.holds(here.manifest.largest, phones=here.design.viewing.phones)
    progress.device(here.store, state.session_id, report.stored(), fits)


def _answer(state: SessionState) -> Page | None:
    questions = _asked(state.stage)
    values, errors = forms.read(questions, request.form)
    if errors:
        return _form(state.stage, state, values, errors), 422
    when: When = "before" if state.stage == "questions" else "after"
    progress.answer(site().store, state.session_id, when, values)
    return None


def _start(state: SessionState) -> None:
    progress.start(site().store, state.session_id)


def _resume(state: SessionState) -> None:
    progress.resume_after_break(site().store, state.session_id)


_STEPS: dict[str, Callable[[SessionState], Page | None]] = {
    "consent": _agree,
    "device": _report,
    "questions": _answer,
    "instructions": _start,
    "closing": _answer,
    "break": _resume,
}
