"""A rater enters a study: slot, rater index, pseudonym and plan, all in one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import DataError, listed
from sreval.files import sha256_bytes
from sreval.store.database import Store
from sreval.store.errors import StateError, TokenError
from sreval.store.frames import judged_pairs
from sreval.store.invitations import admissible, find, make
from sreval.store.models import Invitation, PlanItem, Rater, Session, Study, Tombstone
from sreval.store.studies import by_name
from sreval.study import plan as plans
from sreval.study.design import StudyDesign
from sreval.study.groups import next_group
from sreval.study.manifest import Manifest

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
_TRIES = 3


@dataclass(frozen=True)
class Enrolled:
    """A session, and the token of the new rater's own link where they came by an open one."""

    session_id: str
    resume_token: str | None


def enrol(
    store: Store,
    token: str,
    manifest: Manifest,
    *,
    design: StudyDesign | None = None,
    visit: str | None = None,
) -> Enrolled:
    """The session that a link opens: a personal link's own, a new one for open and kiosk links.

    A new rater takes the lowest free slot of their group and a rater index that was never used; the
    group is the link's, else the one of which the least share is there. ``visit``, a
    secret of the visitor's browser, becomes the token of the new rater's own link: one visit
    enrols one rater, however often and through however many processes it asks. Raises TokenError
    for a link that opens nothing or leads to a full group, StateError while the study isn't open,
    DataError when ``manifest`` or ``design`` isn't what the study was registered with.
    """
    made: tuple[plans.Item, ...] = ()
    planned: _Place | None = None
    for attempt in range(_TRIES):
        with store.begin() as tx:
            invitation, study, session_id = _admit(tx, store, token, visit)
            if session_id is not None:
                return Enrolled(session_id, visit if invitation.kind == "open" else None)
            _refuse_changed(study, manifest, design)
            wanted = _free_place(tx, study, invitation)
            # A plan takes a while to make and votes would wait for it: it is made outside the
            # transaction, unless others enrol faster than that.
            if attempt == _TRIES - 1 and wanted != planned:
                made, planned = _plan(tx, study, manifest, wanted), wanted
            if wanted == planned:
                return _begin_session(tx, store, study, invitation, wanted, made, visit)
            name = study.name
        with store.read() as tx:
            made, planned = _plan(tx, by_name(tx, name), manifest, wanted), wanted
    raise AssertionError("the last attempt makes the plan itself")


class _Place(NamedTuple):
    """What a new rater takes: group, slot and rater index."""

    group: str
    slot: int
    number: int


def _free_place(tx: Transaction, study: Study, link: Invitation) -> _Place:
    """The group of the next rater, and its lowest free slot."""
    query = select(Session.group, Session.slot)
    held: dict[str, set[int]] = {}
    for name, slot in tx.execute(query.where(Session.study_id == study.id, Session.holds_slot)):
        held.setdefault(name, set()).add(slot)
    counts = {name: len(slots) for name, slots in held.items()}
    design, number = study.design, study.next_rater
    group = link.group or next_group(design.groups, counts, design.seed, number)
    taken = held.get(group, set())
    slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
    return _Place(group, slot, number)


def _plan(
    tx: Transaction, study: Study, manifest: Manifest, place: _Place
) -> tuple[plans.Item, ...]:
    """The plan of a new rater. An active one counts what was judged and accepted by now."""
    judged = judged_pairs(tx, study) if study.design.pairs.plan == "active" else None
    design = study.design.of_group(place.group)
    return plans.make_plan(design, manifest, place.slot, place.number, judged)


def _admit(
    tx: Transaction, store: Store, token: str, visit: str | None
) -> tuple[Invitation, Study, str | None]:
    study_id = find(tx, token).study.id
    # Enrolments in one study queue here. What was read before may have changed meanwhile.
    tx.execute(select(Study.id).where(Study.id == study_id).with_for_update(key_share=True))
    tx.expire_all()
    found = find(tx, token)
    if visit and (again := _entered(tx, visit)):
        return found.invitation, found.study, again
    admissible(tx, found, store.clock())
    if found.row.session_id is not None:
        return found.invitation, found.study, found.row.session_id
    if found.study.state != "open":
        raise StateError(
            f"Study {found.study.name!r} is {found.study.state}.", "No new rater can begin now."
        )
    return found.invitation, found.study, None


def _entered(tx: Transaction, visit: str) -> str | None:
    """The session of a visitor who enrolled before. Raises TokenError when it was deleted."""
    try:
        own = find(tx, visit)
    except TokenError:
        return None
    if own.row.session_id is None:
        raise TokenError("revoked", "This visit has ended.", "Open your link again.")
    return own.row.session_id


def _refuse_changed(study: Study, manifest: Manifest, design: StudyDesign | None) -> None:
    if design is not None and not study.has_design(design):
        what, files = f"design of study {study.name!r} isn't that", "study.toml"
        changed = f": {listed(study.changes_to(design))}"
    elif study.manifest_sha256 != manifest.sha256:
        what, files = f"stimuli of study {study.name!r} aren't those", "manifest.json"
        changed = ""
    else:
        return
    raise DataError(
        f"The {what} that it was registered with{changed}.",
        f"Restart the site, or put the old {files} back.",
    )


def _begin_session(
    tx: Transaction,
    store: Store,
    study: Study,
    link: Invitation,
    place: _Place,
    items: Sequence[plans.Item],
    visit: str | None,
) -> Enrolled:
    now = store.clock()
    study.next_rater = place.number + 1
    study.locked_at = study.locked_at or now
    link.used = Invitation.used + 1
    own, resume = link, None
    if link.kind != "personal":
        own, resume = make(tx, study.id, "personal", link.simulated, now, visit)
        own.parent_id, own.quota, own.used = link.id, 1, 1
        tx.flush()
    rater = Rater(
        study_id=study.id,
        invitation_id=own.id,
        number=place.number,
        pseudonym=_pseudonym(tx, study),
        simulated=link.simulated,
        created_at=now,
    )
    tx.add(rater)
    tx.flush()
    session = Session(
        id=f"s-{secrets.token_hex(8)}",
        study_id=study.id,
        rater_id=rater.id,
        group=place.group,
        slot=place.slot,
        algorithm=plans.ALGORITHM,
        total=len(items),
        sitting_ends=sitting_ends((item.sitting, item.position) for item in items),
        created_at=now,
        seen_at=now,
    )
    tx.add(session)
    tx.flush()
    tx.execute(insert(PlanItem), [{"session_id": session.id, **vars(item)} for item in items])
    return Enrolled(session.id, resume if link.kind == "open" else None)


def sitting_ends(places: Iterable[tuple[int, int]]) -> str:
    """The last position of every sitting, as the session keeps them: '282,564'.

    ``places`` are the sitting and the position of each item, in the plan's order.
    """
    return ",".join(str(end) for _, end in sorted(dict(places).items()))


def tombstone_hash(study: str, pseudonym: str) -> str:
    """The hash by which a deleted rater is recognised, in place of the pseudonym."""
    return sha256_bytes(f"{study}/{pseudonym}".encode())


def _pseudonym(tx: Transaction, study: Study) -> str:
    while True:
        name = "r-" + "".join(secrets.choice(_LETTERS) for _ in range(6))
        taken = exists().where(Rater.study_id == study.id, Rater.pseudonym == name)
        buried = exists().where(
            Tombstone.study_id == study.id,
            Tombstone.pseudonym_sha256 == tombstone_hash(study.name, name),
        )
        if not tx.scalar(select(taken | buried)):
            return name
