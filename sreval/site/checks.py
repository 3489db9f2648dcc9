"""Whether a site could be served: each condition is checked without changing anything."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy import select, update

from sreval.errors import SrevalError, StoreError, install, listed, shown
from sreval.site.config import SiteConfig, listening_address
from sreval.site.current import Stimuli
from sreval.site.errors import StimulusError
from sreval.store.database import Store, database_file, open_store
from sreval.store.errors import StateError
from sreval.store.models import Study
from sreval.store.schema import revision_of
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import Manifest, load_manifest

LEAST_FREE = 2**30
"""Bytes that must be free where votes are written."""

WRITTEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""This code is younger than that: a clock that shows an earlier time is wrong."""

_PROBE = 64 * 1024
"""Bytes that are written to see whether the disk is full; several votes are not as much."""

_AHEAD = dt.timedelta(minutes=2)
"""How far the newest row may lie in the future: servers' clocks differ a little."""


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it holds, and what was found or how to fix it."""

    name: str
    ok: bool
    found: str


def check_site(config: SiteConfig, progress: Callable[[int, int], None]) -> Iterator[Check]:
    """One check after the other; ``progress`` is told how many stimuli of how many are hashed.

    Nothing is raised for what doesn't hold, and nothing is made or changed.
    """
    try:
        design, manifest = load_design(config.study), load_manifest(config.study)
    except SrevalError as error:
        yield Check("study", False, str(error))
        return
    yield Check("study", True, f"{design.name}, {len(manifest.stimuli)} stimuli")
    yield _stimuli(config, manifest, progress)
    newest = None
    try:
        if not config.create_tables:
            open_store(config.database).dispose()
        with Store(config.database) as store:
            state, newest = _database(store, design, manifest)
        yield Check("database", True, state)
    except SrevalError as error:
        yield Check("database", False, str(error))
    yield _folders(config)
    yield _secret(config)
    yield _clock(newest, dt.datetime.now(dt.UTC))
    yield _disk(config)
    if config.metrics:
        yield _metrics(config)


def check_storable(store: Store, study: str, revision: str, seconds: float) -> None:
    """Raise StoreError unless a vote could be stored now, in tables of this revision.

    PostgreSQL is given so many seconds. Nothing is left of the attempt, and nothing waits for the
    disk. That PostgreSQL's disk is full isn't seen by it.
    """
    if store.file is not None:
        try:
            with TemporaryFile(dir=store.file.parent) as file:
                file.write(bytes(_PROBE))
                file.flush()
        except OSError as error:
            raise StoreError(
                f"Can't write beside {store.file}: {error.strerror}.",
                "Free space there, and let this user write.",
            ) from None
    own = Study.name == study
    with store.begin() as tx, store.limited(tx.connection(), seconds):
        if store.sqlite:
            tx.execute(update(Study).where(own).values(state=Study.state))
        else:  # a read-only server refuses the lock, and nobody waits for it
            locked = select(Study.id).where(own).with_for_update(key_share=True, skip_locked=True)
            tx.execute(locked)
        found = revision_of(tx.connection())
        tx.rollback()
    if found != revision:
        raise store.schema_error("newer" if found and found > revision else "older")


def _stimuli(config: SiteConfig, manifest: Manifest, progress: Callable[[int, int], None]) -> Check:
    stimuli, damaged = Stimuli(config.study, manifest), []
    for count, sha256 in enumerate(stimuli.sizes, start=1):
        try:
            stimuli.open(sha256).close()
        except StimulusError as error:
            damaged.append(error)
        progress(count, len(stimuli.sizes))
    if damaged:
        more = f" And {len(damaged) - 1} more." if len(damaged) > 1 else ""
        return Check("stimuli", False, f"{damaged[0]}{more}")
    return Check("stimuli", True, f"{len(stimuli.sizes)} files, every hash as frozen")


def _database(
    store: Store, design: StudyDesign, manifest: Manifest
) -> tuple[str, dt.datetime | None]:
    """What is found, and the time of the newest row. Raises what keeps the site from starting."""
    if store.file is not None and not store.file.exists():
        return f"{store.file} is made when the site first starts", None
    state = store.check_schema()
    if state == "empty":
        return (
            f"{store.name} is empty; its tables are made when the site first starts. If it held "
            "votes, restore a backup first",
            None,
        )
    if state != "current":
        raise store.schema_error(state)
    studies = Studies(store)
    if design.name in studies.names():
        row = studies.get(design.name)
        same = row.has_design(design) and row.manifest_sha256 == manifest.sha256
        if row.locked_at is not None and not same:
            changed = f": {listed(row.changes_to(design))}" if not row.has_design(design) else ""
            raise StateError(
                f"{store.name} holds votes for another design or other stimuli of "
                f"{row.name}{changed}.",
                "Put the old files back, or begin a study of another name: sreval study new.",
            )
    votes, newest = studies.votes_and_newest()
    return f"{store.name} is reached, its tables are current, {votes} votes", newest


def _folders(config: SiteConfig) -> Check:
    path = _database_file(config)
    wanted = {path.parent if path is not None else None, config.secret_path.parent}
    if config.secret:
        wanted.discard(config.secret_path.parent)
    needed = sorted(str(folder) for folder in wanted if folder is not None)
    closed = [name for name in needed if not _writable(Path(name))]
    if path is not None and path.exists() and not os.access(path, os.W_OK):
        closed.append(str(path))
    if closed:
        return Check("folders", False, f"Can't write {closed[0]}. Let this user write there.")
    return Check(
        "folders", True, f"{', '.join(needed)} can be written" if needed else "none needed"
    )


def _writable(folder: Path) -> bool:
    """Also of a folder that is yet to be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _database_file(config: SiteConfig) -> Path | None:
    """None for PostgreSQL, and for a URL that `_database` complains of."""
    try:
        return database_file(config.database)
    except SrevalError:
        return None


def _secret(config: SiteConfig) -> Check:
    if config.secret:
        return Check("secret", True, "SREVAL_SECRET is set")
    path = config.secret_path
    if not path.exists():
        return Check("secret", True, f"{path} is made when the site first starts")
    try:
        config.secret_key()
    except SrevalError as error:
        return Check("secret", False, str(error))
    mode = stat.S_IMODE(path.stat().st_mode)
    return Check("secret", True, f"{path}, mode {mode:o}")


def _clock(newest: dt.datetime | None, now: dt.datetime) -> Check:
    after = max(WRITTEN, newest - _AHEAD) if newest else WRITTEN
    if now < after:
        what = f"what was last stored, {newest:%Y-%m-%d %H:%M}" if newest else "this code"
        return Check(
            "clock",
            False,
            f"It shows {now:%Y-%m-%d %H:%M} UTC, which is before {what}. "
            "Set it, preferably from a time server.",
        )
    return Check("clock", True, f"{now:%Y-%m-%d %H:%M} UTC")


def _metrics(config: SiteConfig) -> Check:
    """A port in use may be this site's, which runs already."""
    host, port = listening_address(config.metrics)
    if find_spec("prometheus_client") is None:
        return Check("metrics", False, f"prometheus_client is missing. {install('prometheus')}")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind((host, 0, *place[2:]))
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.settimeout(1)
            used = tried.connect_ex(place) == 0
    except OSError as error:
        return Check(
            "metrics",
            False,
            f"Can't listen on SREVAL_METRICS = {shown(config.metrics)}: {error.strerror}. Give an "
            "address of this machine, 127.0.0.1:9100 or the like.",
        )
    said = f"{host} port {port}"
    return Check("metrics", True, f"{said} is in use; by this site, if it runs" if used else said)


def _disk(config: SiteConfig) -> Check:
    path = _database_file(config)
    folder = path.parent if path is not None else config.study
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:.1f} GiB free at {folder}"
    if free < LEAST_FREE:
        return Check("disk", False, f"{found}. Free {LEAST_FREE / 2**30:.0f} GiB at least.")
    return Check("disk", True, found)
