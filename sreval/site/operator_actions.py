"""What operators do to a study. Each action is one form, one transaction, one line of the log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import cast, get_args

import pandas as pd
from flask import Response, request

from sreval import content
from sreval.errors import UsageError, counted
from sreval.site.current import site
from sreval.site.operator import Page, RefusalError, done, operator, refused, who
from sreval.site.operator_pages import (
    idle_days,
    links_page,
    manifest_of,
    payments_page,
    rater_page,
    reminders_page,
    steer_page,
)
from sreval.store import participants
from sreval.store.csvs import rows_to_csv, to_csv
from sreval.store.errors import StaleError
from sreval.store.invitations import InvitationKind, Links, last_moment
from sreval.store.models import StudyState
from sreval.store.raters import Raters
from sreval.store.reminders import Reminders, listing
from sreval.store.snapshot import export_zip
from sreval.store.studies import Studies

__all__ = ["operator"]  # with all its pages and actions

_DICTIONARY = "data-dictionary.md"
_LONGEST, _DIGITS = 2000, 15
_MOST_LINKS = 500
_MOST_KEY = 2**31 - 1  # what a database's integer holds
_RELEASED_AFTER = dt.timedelta(days=1)
_STATES: dict[str, tuple[StudyState, str]] = {
    "pause": ("paused", "The study is paused."),
    "resume": ("open", "The study is open again."),
    "close": ("closed", "The study is closed."),
}


@operator.errorhandler(StaleError)
def stale(error: StaleError) -> Page:
    """Who changed the same thing meanwhile, on the page as it is now; what was typed stands in
    its form again."""
    given = request.view_args or {}
    name, typed = given["name"], request.form
    if "pseudonym" in given:
        return rater_page(name, given["pseudonym"], str(error), typed), 409
    if request.endpoint == "operator.remind":
        return reminders_page(name, typed.get("days", ""), str(error)), 409
    if "key" not in given:
        return steer_page(name, str(error)), 409
    if _links(name).get(given["key"]).revoked_at is not None:  # it has no form any more
        return refused(error)
    return links_page(name, str(error), typed, key=given["key"]), 409


@operator.post("/studies/<name>/state")
def state(name: str) -> Page:
    """Pause, resume, or close for good."""
    wanted = request.form.get("to", "")
    if wanted not in _STATES:
        return steer_page(name, "Choose a state for the study."), 422
    if wanted == "close" and (wrong := _wrong_name(name)):
        return steer_page(name, wrong), 422
    to, told = _STATES[wanted]
    Studies(site().store, who().name, _made_from()).set_state(name, to)
    return done(told, "operator.steer", name=name)


@operator.post("/studies/<name>/raters/<pseudonym>/decision")
def decision(name: str, pseudonym: str) -> Page:
    """Use a rater's votes or not, with a reason; or leave it to the design's rules."""
    choices = {"accept": True, "refuse": False, "rules": None}
    wanted, reason = request.form.get("decision", ""), request.form.get("reason", "")
    if wanted not in choices:
        error = "Choose whether the votes are used."
    elif len(reason) > _LONGEST:
        error = f"A reason has at most {_LONGEST} characters, not {len(reason)}."
    elif choices[wanted] is not None and not reason.strip():
        error = "Give a reason: the report prints it."
    else:
        _raters(name).decide(pseudonym, choices[wanted], reason)
        return done(
            f"The decision on {pseudonym} is saved.", "operator.rater", **_of(name, pseudonym)
        )
    return rater_page(name, pseudonym, error, request.form), 422


@operator.post("/studies/<name>/raters/<pseudonym>/withdraw")
def withdraw(name: str, pseudonym: str) -> Page:
    """End a rater's session; what was stored stays."""
    _raters(name).withdraw(pseudonym)
    return done(f"{pseudonym} is withdrawn.", "operator.rater", **_of(name, pseudonym))


@operator.post("/studies/<name>/raters/<pseudonym>/release")
def release(name: str, pseudonym: str) -> Page:
    """Give the place of a rater who did nothing for a day to the next one; votes stay."""
    _raters(name).release(_RELEASED_AFTER, [pseudonym])
    return done(f"The place of {pseudonym} is free.", "operator.rater", **_of(name, pseudonym))


@operator.post("/studies/<name>/raters/<pseudonym>/delete")
def delete(name: str, pseudonym: str) -> Page:
    """Delete all that is stored of a rater; a count stays."""
    if wrong := _wrong_name(name):
        return rater_page(name, pseudonym, wrong), 422
    _raters(name).delete(pseudonym)
    return done("The rater's data are deleted; a count stays.", "operator.study", name=name)


@operator.post("/studies/<name>/payments")
def download_payments(name: str) -> Page:
    """Who is to be paid, as a CSV file; recorded."""
    found = participants.payments(site().store, name, who().name)
    moment = f"{site().store.clock():%Y%m%d-%H%M%S}"
    return _download(to_csv(found), "text/csv; charset=utf-8", f"{name}-payments-{moment}.csv")


@operator.post("/studies/<name>/payments/delete")
def delete_participant(name: str) -> Page:
    """Delete all that is stored of the rater whom a panel sent under an id; a count stays."""
    participant = request.form.get("participant", "")
    if wrong := _wrong_name(name):
        return payments_page(name, wrong, request.form), 422
    try:
        rated = Raters(site().store, name, who().name).delete_participant(participant)
    except UsageError as error:
        return payments_page(name, str(error), request.form), 422
    lost = (
        f"The participant's data are deleted, with {counted(rated, 'rated item')}; a count stays."
    )
    return done(lost, "operator.payments", name=name)


@operator.post("/studies/<name>/purge")
def purge(name: str) -> Page:
    """Delete all raters' data once the retention date has come; counts stay."""
    if wrong := _wrong_name(name):
        return steer_page(name, wrong), 422
    today = site().store.clock().date()
    count = _raters(name).purge(today)
    return done(f"The data of {count} raters are deleted.", "operator.steer", name=name)


@operator.post("/studies/<name>/links")
def invite(name: str) -> Page:
    """Make links, and send them as a CSV file: nobody can look them up later."""
    form = request.form
    _refuse_elsewhere(name)
    try:
        kind, count, quota, expires = _asked(form)
        group = form.get("group") or None
        site().design.of_group(group or "")
    except (ValueError, UsageError) as error:
        return links_page(name, str(error), form), 422
    made = _links(name).create_all(
        kind, count, quota=quota, expires=expires, label=form.get("label", ""), group=group
    )
    lets_in = "1" if kind == "personal" else str(quota or "no limit")
    until = f"{expires:%Y-%m-%d}" if expires else ""
    own = (kind, group or "")
    rows = [(key, *own, label, lets_in, until, _address(token)) for key, label, token in made]
    names = ["id", "kind", "group", "label", "raters", "last day", "link"]
    told = to_csv(pd.DataFrame(rows, columns=names))
    return _download(told, "text/csv; charset=utf-8", f"{name}-links-{rows[0][0]}.csv")


def _asked(
    form: Mapping[str, str],
) -> tuple[InvitationKind, int, int | None, dt.datetime | None]:
    """Kind, count, quota and last moment. Raises ValueError or UsageError saying what is wrong
    with them."""
    kind, label = cast(InvitationKind, form.get("kind", "")), form.get("label", "")
    if kind not in get_args(InvitationKind):
        raise ValueError("Choose a kind of link.")
    if len(label) > _LONGEST:
        raise ValueError(f"A note has at most {_LONGEST} characters.")
    count = _number(form, "count", _MOST_LINKS) or 1
    quota = _number(form, "quota", 10**6)
    if kind != "personal" and count > 1:
        raise ValueError("An open or kiosk link is made one at a time: it takes many raters.")
    if kind == "personal" and quota is not None:
        raise ValueError("A personal link is for one rater and has no quota.")
    if kind != "personal" and (quota is None) == ("unlimited" not in form):
        raise ValueError("Say how many raters the link lets in: a quota, or no limit.")
    return kind, count, quota, _last_day(form.get("expires", ""))


def _number(form: Mapping[str, str], field: str, most: int) -> int | None:
    text = form.get(field, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise ValueError(f"The {field} is a number from 1 to {most}, not {text[:20]!r}.")
    return int(text)


def _last_day(text: str) -> dt.datetime | None:
    if not text.strip():
        return None
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"The last day is a date like 2027-01-31, not {text[:20]!r}.") from None
    return last_moment(day, site().store.clock())


@operator.post(f"/studies/<name>/links/<int(max={_MOST_KEY}):key>/revoke")
def revoke(name: str, key: int) -> Page:
    """Make a link stop working."""
    _links(name).revoke(key)
    return done(f"Link {key} no longer works.", "operator.links", name=name)


@operator.post(f"/studies/<name>/links/<int(max={_MOST_KEY}):key>/extend")
def extend(name: str, key: int) -> Page:
    """Let more raters begin by a link, or for longer."""
    links = _links(name)
    links.get(key)
    try:
        quota = _number(request.form, "quota", 10**6)
        expires = _last_day(request.form.get("expires", ""))
        links.extend(key, quota=quota, expires=expires)
    except (ValueError, UsageError) as error:
        return links_page(name, str(error), request.form, key=key), 422
    return done(f"Link {key} is extended.", "operator.links", name=name)


@operator.post("/studies/<name>/reminders")
def remind(name: str) -> Page:
    """A new link for everybody who is to be reminded, as a CSV file."""
    _refuse_elsewhere(name)
    try:
        idle = idle_days(request.form.get("days", ""))
    except UsageError as error:
        return reminders_page(name, "", str(error)), 422
    reminders = Reminders(site().store, name, who().name, _made_from())
    told = rows_to_csv(*listing(reminders.renew(idle, _address), renewed=True))
    return _download(told, "text/csv; charset=utf-8", f"{name}-reminders.csv")


@operator.post("/studies/<name>/raters/<pseudonym>/link")
def renew(name: str, pseudonym: str) -> Page:
    """A new link for a rater who lost theirs, as a CSV file."""
    _refuse_elsewhere(name)
    key, token = _links(name).renew(pseudonym)
    made = pd.DataFrame([(key, pseudonym, _address(token))], columns=["id", "rater", "link"])
    return _download(to_csv(made), "text/csv; charset=utf-8", f"{name}-link-{key}.csv")


@operator.post("/studies/<name>/export")
def export(name: str) -> Page:
    """Everything that was collected as a zip of CSV files, and what their columns mean.

    It holds scores by method: before the study is closed, it counts as a look at results.
    """
    here = site()
    more = {_DICTIONARY: content.document(_DICTIONARY).read_bytes()}
    made = export_zip(here.store, name, manifest_of(here, name), more, who=who().name)
    moment = f"{here.store.clock():%Y%m%d-%H%M%S}"
    return _download(made, "application/zip", f"{name}-{moment}.zip")


def _download(data: bytes, kind: str, name: str) -> Response:
    head = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, mimetype=kind.partition(";")[0], content_type=kind, headers=head)


def _raters(name: str) -> Raters:
    return Raters(site().store, name, who().name, _made_from())


def _links(name: str) -> Links:
    return Links(site().store, name, who().name, _made_from())


def _made_from() -> int:
    """The newest change that the page showed on which the form was; without it, none."""
    text = request.form.get("made_from", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0


def _address(token: str) -> str:
    return f"{request.host_url}r/{token}"


def _refuse_elsewhere(name: str) -> None:
    """A link leads to this site, which knows the raters of one study alone."""
    served = site().design.name
    if name != served:
        raise RefusalError(
            409,
            f"This site serves {served}: a link of {name} would open nothing here",
            f"Make it on that study's site, or run: sreval study invite {name} --base-url ADDRESS",
        )


def _of(name: str, pseudonym: str) -> dict[str, str]:
    return {"name": name, "pseudonym": pseudonym}


def _wrong_name(name: str) -> str:
    """What is wrong with the study's name as it was typed; empty when nothing is."""
    typed = request.form.get("confirm", "").strip()
    if typed == name:
        return ""
    return f"{typed[:100]!r} is not the study's name, {name}: nothing was changed."
