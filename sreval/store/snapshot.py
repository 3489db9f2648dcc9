"""Snapshots: one zip of CSV files with a manifest of their hashes, all as of one moment.

A backup is the whole database. An export is one study for others: the same files without the
columns and tables that are secret or of persons who aren't raters, and with what the design's
rules and the manifest of the stimuli say of each row. Whoever imports an export gets new
addresses of images, and makes new links for raters who are to go on. Either is read wherever
the other is, from SQLite or PostgreSQL, and export, import, export gives the same bytes.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    Select,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from sreval.config import validated
from sreval.errors import DataError, StoreError, UsageError, counted, listed, option, shown
from sreval.files import (
    atomic_folder,
    parsing,
    read_zip,
    sha256_bytes,
    write_atomic,
    zip_entry,
)
from sreval.opinions.cells import flag, number
from sreval.store import frames
from sreval.store.audit import COMMAND_LINE, LOOK, AuditLog
from sreval.store.csvs import from_csv, to_csv, when, written
from sreval.store.database import Store, make_file, open_store
from sreval.store.enrolment import sitting_ends, tombstone_hash
from sreval.store.errors import SchemaError, StateError
from sreval.store.models import (
    Base,
    FreeText,
    Invitation,
    Operator,
    OperatorEvent,
    Participant,
    PlanItem,
    Rater,
    Score,
    Session,
    Study,
    Tombstone,
    Utc,
    Vote,
    plain_score,
)
from sreval.store.raters import ERASURES, bury, clear_labels
from sreval.store.schema import revisions, schema_state, to_base, to_head
from sreval.store.studies import Studies, by_name
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.task import Scale, Task

FORMAT = 1
MANIFEST, DESIGN = "manifest.json", "design.json"
_OLD_MANIFEST = "backup.json"

_WHOLE = {
    "studies": Study,
    "links": Invitation,
    "operators": Operator,
    "audit": OperatorEvent,
}
"""What only a backup holds, row by row as it stands."""

_OF_BACKUPS = (*_WHOLE, "participants")
"""All that only a backup holds."""

_LATER = ("checks", "participants")
"""Tables that older versions didn't have."""

_PRIVATE: Mapping[str, frames.Columns] = {
    "sessions": {"study": Study.name, "link": Rater.invitation_id},
    "plan": {
        "address": PlanItem.address,
        "right_address": PlanItem.right_address,
        "reference_address": PlanItem.reference_address,
    },
    "votes": {"key": Vote.key},
    "deleted": {"study": Study.name},
}
"""The columns that only a backup has."""

_PARTICIPANTS: frames.Columns = {
    "session": Session.id,
    "participant": Participant.participant,
    "kept": Participant.kept,
    "code": Participant.code,
}
"""Whom panels sent: a file of a backup alone, which those by older versions lack."""

Row = dict[str, Any]
"""A row of a file, each cell as its column in the database holds it."""

_SITE_LETTERS = 100

_LARGEST = 2**31 - 1
"""PostgreSQL's largest integer."""

Part = TypeVar("Part", bytes, str)


@dataclass(frozen=True)
class Restored:
    """What a restore brought: the studies, and how many raters of theirs stayed deleted."""

    studies: tuple[str, ...]
    deleted: int


@dataclass(frozen=True)
class Imported:
    """What an import brought: sessions stored, there already, and of raters deleted here; how many
    of those there already went on at their site since, and are brought up to date."""

    study: str
    sessions: int
    present: int
    deleted: int
    updated: int = 0


@dataclass(frozen=True)
class _Snapshot:
    """What was read: the rows of each file, and its studies as rows of their table."""

    studies: list[Row]
    tables: dict[str, list[Row]]

    @property
    def whole(self) -> bool:
        """Whether it is of a whole database."""
        return "studies" in self.tables

    def require(self, study: str, path: Path) -> Row:
        """The row of a study. Raises UsageError where ``path`` holds others only."""
        for row in self.studies:
            if row["name"] == study:
                return row
        names = ", ".join(repr(row["name"]) for row in self.studies) or "no study"
        raise UsageError(f"{path} holds {names}, not {study!r}.", "Name that study, or its file.")


@dataclass(frozen=True)
class _Manifest:
    """What is believed of a snapshot's manifest; an export has a ``study``, a backup none."""

    sha256: dict[str, str]
    revision: str | None = None
    study: dict[str, str | int | None] | None = None


def export(
    store: Store, study: str, manifest: Manifest, path: Path, *, who: str = COMMAND_LINE
) -> Path:
    """Write a study's data to a new zip (`path` ends in .zip) or a new folder; all or nothing.

    Only its owner can read it. The audit log says so. Raises UsageError when ``path`` exists or
    there is no such study, DataError when it can't be written or ``manifest`` is not that under
    which it was rated.
    """
    if path.exists():
        raise UsageError(f"{path} exists already.", "Name a new file or folder.")
    files = export_files(store, study, manifest)
    if path.suffix.lower() == ".zip":
        write_atomic(path, _zipped(files), private=True)
    else:
        with atomic_folder(path, private=True) as folder:
            for name, data in files.items():
                write_atomic(folder / name, data)
    _record_export(store, study, files, who)
    return path


def export_zip(
    store: Store,
    study: str,
    manifest: Manifest,
    more: Mapping[str, bytes],
    *,
    who: str = COMMAND_LINE,
) -> bytes:
    """What `export` writes, and ``more`` files by name, as a zip; kept in the audit log, too."""
    files = export_files(store, study, manifest)
    _record_export(store, study, files, who)
    return _zipped({**files, **more})


def _record_export(store: Store, study: str, files: Mapping[str, bytes], who: str) -> None:
    """An export holds scores by method: before the study is closed, that is a look at results."""
    votes, log = json.loads(files[MANIFEST])["rows"]["votes"], AuditLog(store, who)
    with store.begin() as tx:
        row = by_name(tx, study)
        log.record(tx, "export", row.id, votes=votes)
        if row.state != "closed":
            log.record(tx, LOOK, row.id, votes=votes)


def export_files(store: Store, study: str, manifest: Manifest) -> dict[str, bytes]:
    """What an export holds, by file name, all as of one moment. Raises as `export` does."""
    with store.read() as tx:
        row = by_name(tx, study)
        tables = frames.tables_of(tx, row, manifest)
        times = {name: getattr(row, name) for name in ("created_at", "locked_at", "closed_at")}
        facts = {
            "name": row.name,
            "state": row.state,
            "design_sha256": row.design_sha256,
            "manifest_sha256": row.manifest_sha256,
            "next_rater": row.next_rater,
            **{name: time and written(time) for name, time in times.items()},
        }
        files = {DESIGN: _json(json.loads(row.design_json))}
        simulated = bool(tables["sessions"]["simulated"].any())
        more = {"study": facts, "simulated": simulated, "stand_ins": list(manifest.stand_ins)}
    return _with_manifest(tables, files, more)


def backup(url: str, path: Path, *, who: str = COMMAND_LINE) -> Path:
    """Copy a database, also while it is written to, to the new file ``path``, for its owner alone.

    One with older tables is copied as if it were upgraded, and stays as it is. The audit log of
    the original says so. Raises UsageError when ``path`` exists, StoreError when the database
    can't be read.
    """
    if path.exists():
        raise UsageError(f"{path} exists already.", "Name a new file.")
    with open_store(url, older=True) as store:
        write_atomic(path, _zipped(_files_of(store)), private=True)
        _record(store, who, "backup", path)
    return path


def _record(store: Store, who: str, action: str, path: Path) -> None:
    with store.begin() as tx:
        AuditLog(store, who).record(tx, action, None, file=path.name)


def _files_of(store: Store) -> dict[str, bytes]:
    """What a backup of a database holds, by file name."""
    if store.check_schema() == "current":
        with store.read() as tx:
            return _whole(tx)
    with store.schema_change() as connection:
        to_head(connection)
        with Transaction(connection) as tx:
            files = _whole(tx)
        connection.rollback()
    return files


def _whole(tx: Transaction) -> dict[str, bytes]:
    tables = {
        name: frames.frame(tx, select(model.__table__).order_by(model.__table__.c.id))
        for name, model in _WHOLE.items()
    }
    for name, columns in frames.STORED.items():
        query = frames.stored(name, {**columns, **_PRIVATE.get(name, {})})
        tables[name] = frames.frame(tx, query)
    tables["participants"] = frames.frame(tx, _participants())
    return _with_manifest(tables, {}, {"revision": revisions()[-1]})


def _participants() -> Select[*tuple[object, ...]]:
    columns = (column.label(label) for label, column in _PARTICIPANTS.items())
    query = select(*columns).select_from(Participant)
    query = query.join(Session, Session.id == Participant.session_id)
    return query.join(Rater, Rater.id == Session.rater_id).order_by(Rater.study_id, Rater.number)


def _with_manifest(
    tables: Mapping[str, Any], files: dict[str, bytes], more: Mapping[str, Any]
) -> dict[str, bytes]:
    files |= {f"{name}.csv": to_csv(frame) for name, frame in tables.items()}
    contents = {
        "format": FORMAT,
        **more,
        "rows": {name: len(frame) for name, frame in tables.items()},
        "sha256": {name: sha256_bytes(data) for name, data in files.items()},
    }
    return {MANIFEST: _json(contents), **files}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip without anything of when and where it was made."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in files.items():
            archive.writestr(zip_entry(name), data)
    return out.getvalue()


def restore(
    path: Path, url: str, study: str, *, overwrite: bool = False, who: str = COMMAND_LINE
) -> Restored:
    """Replace a database, all studies of it, by a backup of ``study``; at once or not at all.

    Whoever was deleted from that database since the backup stays deleted, a link that was revoked
    stays revoked, and its operators' accounts stay as they are; nobody is logged in. The audit log
    that came with the backup says so. Raises UsageError for a backup without ``study``; StateError
    when that database has raters, unless ``overwrite``; DataError for a file that isn't a whole
    backup; SchemaError for one of a newer version.
    """
    snapshot = _read(path)
    if not snapshot.whole:
        raise DataError(f"{path} is an export, not a backup.", "Use: sreval study import.")
    snapshot.require(study, path)
    store = Store(url)
    try:
        if store.file is not None:
            make_file(store.file)
        with store.schema_change() as connection, Transaction(connection) as tx:
            erased = _Erased()
            state = schema_state(connection)
            if state == "newer":
                raise store.schema_error(state)
            if state != "empty":
                if not overwrite:
                    _refuse_loss(store, tx, snapshot)
                erased = _Erased.of(tx)
                to_base(connection)
            to_head(connection)
            for name, model in _WHOLE.items():
                _insert(tx, model.__table__, (snapshot.tables | erased.accounts)[name])
            studies = {row.name: row for row in tx.scalars(select(Study))}
            _tombstones(tx, studies, snapshot.tables["deleted"])
            _store_sessions(tx, studies, snapshot.tables, snapshot.tables["sessions"])
            _store_participants(tx, studies, snapshot.tables)
            tx.flush()
            _set_sequences(connection)
            kept = erased.again(tx, studies)
            tx.flush()
        store.truncate_log()
        _record(store, who, "restore", path)
    except IntegrityError:
        raise _contradictory(path) from None
    finally:
        store.dispose()
    return Restored(tuple(studies), kept)


def _contradictory(path: Path) -> DataError:
    return DataError(
        f"The rows of {path} contradict each other, or what a study can hold; nothing was stored.",
        "Export the study again, or back it up again.",
    )


def _refuse_loss(store: Store, tx: Transaction, snapshot: _Snapshot) -> None:
    """Raise StateError, naming all that a restore would replace, where anybody took part or holds
    a link that the backup lacks."""
    kept = {(row["session"], row["position"]) for row in snapshot.tables["votes"]}
    tokens = {row["token_sha256"] for row in snapshot.tables["links"]}
    query = select(Session.study_id, Vote.session_id, Vote.position)
    cast = tx.execute(query.join(Session, Session.id == Vote.session_id))
    votes = [(study, (session, at) in kept) for study, session, at in cast]
    open_links = select(Invitation.study_id, Invitation.token_sha256)
    links = tx.execute(open_links.where(Invitation.revoked_at.is_(None)))
    new = Counter(study for study, token in links if token not in tokens)
    raters = Counter(tx.scalars(select(Session.study_id)))
    if not raters and not new:
        return
    named = []
    for one, name in tx.execute(select(Study.id, Study.name).order_by(Study.name)):
        own = [is_kept for study, is_kept in votes if study == one]
        more = f", and {counted(new[one], 'newer link')}" if new[one] else ""
        named.append(
            f"{name} ({counted(raters[one], 'rater')}, {counted(len(own), 'vote')}, "
            f"{own.count(False)} of them not in the backup{more})"
        )
    raise StateError(
        f"{store.name} holds what a restore would replace: {'; '.join(named)}.",
        f"Back it up, then add {option('--overwrite', 'overwrite=True')}; or restore "
        "into another database.",
    )


@dataclass(frozen=True)
class _Erased:
    """What was ended in a database for good: tombstones and rows of the log by study, revoked links
    by token; and the accounts, whose passwords and owners no backup may bring back."""

    tombstones: tuple[tuple[str, str, dt.datetime], ...] = ()
    log: tuple[tuple[str, dict[str, Any]], ...] = ()
    revoked: Mapping[str, dt.datetime] = field(default_factory=dict)
    accounts: dict[str, list[Row]] = field(default_factory=dict)

    @classmethod
    def of(cls, tx: Transaction) -> _Erased:
        """All that was deleted there so far."""
        columns = (Study.name, Tombstone.pseudonym_sha256, Tombstone.deleted_at)
        buried = tx.execute(select(*columns).join(Tombstone, Tombstone.study_id == Study.id))
        log = OperatorEvent.__table__.c
        query = (
            select(Study.name, log.at, log.who, log.action, log.facts)
            .join(Study, Study.id == log.study_id)
            .where(log.action.in_(ERASURES))
            .order_by(log.id)
        )
        entries = [(row.pop("name"), row) for row in map(dict, tx.execute(query).mappings())]
        revoked = select(Invitation.token_sha256, Invitation.revoked_at)
        links = tx.execute(revoked.where(Invitation.revoked_at.is_not(None)))
        accounts = [dict(row) for row in tx.execute(select(Operator.__table__)).mappings()]
        return cls(
            tuple((name, key, at) for name, key, at in buried),
            tuple(entries),
            {token: at for token, at in links if at is not None},
            {"operators": accounts} if accounts else {},
        )

    def again(self, tx: Transaction, studies: Mapping[str, Study]) -> int:
        """End it in what was restored; gives the number of raters who had come back."""
        back = 0
        for link in tx.scalars(select(Invitation).where(Invitation.token_sha256.in_(self.revoked))):
            link.revoked_at = link.revoked_at or self.revoked[link.token_sha256]
        for name, study in studies.items():
            raters = tx.scalars(select(Rater).where(Rater.study_id == study.id))
            by_hash = {tombstone_hash(name, rater.pseudonym): rater for rater in raters}
            for buried, at in [(key, at) for own, key, at in self.tombstones if own == name]:
                if buried in by_hash:
                    bury(tx, study, by_hash[buried], at)
                    back += 1
                elif tx.get(Tombstone, (study.id, buried)) is None:
                    tx.add(Tombstone(study_id=study.id, pseudonym_sha256=buried, deleted_at=at))
        for name, entry in self.log:
            if name not in studies:
                continue
            row = {"study_id": studies[name].id, **entry}
            if tx.scalar(select(OperatorEvent.id).filter_by(**row)) is None:
                tx.add(OperatorEvent(**row))
                if entry["action"] == "purge":
                    clear_labels(tx, studies[name].id, entry["at"])
        return back


def _read(path: Path) -> _Snapshot:
    """A zip or a folder, each file checked against its SHA-256 and each cell against its column.

    Raises DataError for what is missing or damaged, SchemaError for a newer version's backup.
    """
    what = "a complete export, nor a complete backup"
    with parsing(path, what, "Export the study again, or back it up again."):
        files = _files(path)
        contents = validated(dict[str, Any], json.loads(_part(files, MANIFEST)))
        if contents.get("format") != FORMAT:
            raise DataError(
                f"{path} has the format {shown(contents.get('format'))}, not {FORMAT}.",
                "Read it with the version of sreval that wrote it.",
            )
        manifest = validated(_Manifest, contents)
        if manifest.revision is not None and manifest.revision not in revisions():
            raise SchemaError(f"{path} was written by a newer sreval.", "Install that version.")
        whole = manifest.study is None
        names = [f"{name}.csv" for name in (*frames.STORED, *(_OF_BACKUPS if whole else ()))]
        absent = {name for name in _LATER if f"{name}.csv" not in manifest.sha256}
        names = [name for name in names if name.removesuffix(".csv") not in absent]
        for name in (*names, *(() if whole else (DESIGN,))):
            if sha256_bytes(_part(files, name)) != manifest.sha256.get(name):
                raise DataError(
                    f"{name} in {path} was changed.", "Export the study again, or back it up again."
                )
        design = None if whole else _design(files[DESIGN].decode())
        columns = {name: _columns(name, design) for name in frames.STORED}
        if whole:
            columns |= {name: _own_columns(model) for name, model in _WHOLE.items()}
            columns["participants"] = _columns_of(_PARTICIPANTS)
        tables = {
            name: [] if name in absent else _rows(name, files[f"{name}.csv"], own)
            for name, own in columns.items()
        }
        if design is not None and design.task.pair:
            tables |= {name: frames.by_stored_names(tables[name]) for name in ("plan", "votes")}
        studies = tables.get("studies", [])
        if manifest.study is not None:
            facts = {
                name: "" if fact is None else str(fact) for name, fact in manifest.study.items()
            }
            studies = [_study_row({**facts, "design": files[DESIGN].decode()})]
        _require_whole(studies, tables)
        return _Snapshot(studies, tables)


def _study_row(texts: Mapping[str, str]) -> Row:
    """The study of an export as a row of its table."""
    columns = {name: column for name, column in _own_columns(Study).items() if name != "id"}
    return {name: _reader(column)(_part(texts, name)) for name, column in columns.items()}


def _part(files: Mapping[str, Part], name: str) -> Part:
    if name not in files:
        raise ValueError(f"{name} is missing")
    return files[name]


def _require_whole(studies: list[Row], tables: Mapping[str, list[Row]]) -> None:
    """Raise ValueError for rows that point nowhere, and for a design that is none."""
    designs: dict[str, StudyDesign] = {}
    for row in studies:
        design = _design(row["design"])
        designs[design.name] = design
        if design.name != row["name"]:
            raise ValueError(f"the design of {row['name']!r} is that of {design.name!r}")
    names, sessions = set(designs), {r["session"] for r in tables["sessions"]}
    for name, rows in tables.items():
        for row in rows if name in (*frames.STORED, "participants") else ():
            if row.get("session", None) not in (sessions if name != "deleted" else {None}):
                raise ValueError(f"{name}.csv names a session that isn't in sessions.csv")
            if "study" in row and row["study"] not in names:
                raise ValueError(f"{name}.csv names the study {row['study']!r}")
    if sessions - {row["session"] for row in tables["plan"]}:
        raise ValueError("a session has no plan")
    _require_fit(designs, tables)


def _require_fit(designs: Mapping[str, StudyDesign], tables: Mapping[str, list[Row]]) -> None:
    """Raise ValueError that names the first session, item or vote that its study can't have, by
    row and column."""
    whole = "studies" in tables
    for count, row in enumerate(tables["sessions"], start=1):
        known = designs[row.get("study", next(iter(designs)))].by_group
        if row.get("group", "") not in known:
            group = shown(row["group"])
            raise ValueError(f"sessions.csv, row {count}, group: the design has none named {group}")
    of = {r["session"]: designs[r.get("study", next(iter(designs)))] for r in tables["sessions"]}
    for count, row in enumerate(tables["sessions"], start=1):
        read = row.get("language")
        if read is not None and read not in of[row["session"]].languages:
            what = f"{shown(read)} isn't a language of the study"
            raise ValueError(f"sessions.csv, row {count}, language: {what}")
    planned = {(row["session"], row["position"]): row for row in tables["plan"]}
    for name, rows in (("plan", tables["plan"]), ("votes", tables["votes"])):
        for count, row in enumerate(rows, start=1):
            design = of[row["session"]]
            item = planned.get((row["session"], row["position"]), {})
            found = _item_fault(design.task, row) or (
                _vote_fault(design, row, item) if name == "votes" else None
            )
            if found:
                column, what = found
                label = column if whole else frames.exported_name(column, design.task)
                raise ValueError(f"{name}.csv, row {count}, {label}: {what}")


def _item_fault(task: Task, row: Row) -> tuple[str, str] | None:
    """What is wrong with the pictures of an item: the column, and what it says."""
    for place, columns in frames.PICTURES.items():
        for column in columns:
            if place in task.places and row.get(column) is None:
                return column, f"it is empty, and every item of the task {task.kind!r} has one"
            if place not in task.places and row.get(column) is not None:
                return column, f"no item of the task {task.kind!r} has one"
    left, right, same = row["method"], row.get("right_method"), row["kind"] == "same"
    if same and not task.pair:
        return "kind", f"no item of the task {task.kind!r} is of the kind same"
    if task.pair and same != (left == right):
        said = f"{left!r} against {right!r}"
        return "right_method", f"{said}: items of the kind same, and no others, show one twice"
    return None


def _vote_fault(design: StudyDesign, row: Row, item: Row) -> tuple[str, str] | None:
    """What is wrong with an answer: the column, and what it says."""
    answers, score = design.answers, row["score"]
    if answers.answer(score) != score:
        if isinstance(answers, Scale):
            return "score", f"{score:g} isn't a score; scores are {answers.scores}"
        offered = listed([frames.CHOICES[number] for number, _ in answers.categories])
        return "score", f"{frames.CHOICES[score]} isn't an answer; answers are {offered}"
    for column in (column for column in row if column in item and "sent_at" not in column):
        if row[column] != item[column]:
            said = f"{shown(row[column])}, and plan.csv has {shown(item[column])} at this position"
            return column, said
    return None


def _files(path: Path) -> dict[str, bytes]:
    tables = (*frames.STORED, *_OF_BACKUPS)
    known = {MANIFEST, DESIGN, *(f"{name}.csv" for name in tables)}
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in known if (path / name).exists()}
    with path.open("rb") as file:
        if file.read(16).startswith(b"SQLite format 3"):
            return _from_0_1(path, None)
    old = {_OLD_MANIFEST, *(f"{table}.jsonl" for table in Base.metadata.tables)}
    files = read_zip(path, (known | old).__contains__)
    return _from_0_1(path, files) if _OLD_MANIFEST in files else files


def _from_0_1(path: Path, rows: Mapping[str, bytes] | None) -> dict[str, bytes]:
    """The files of a backup by version 0.1: a copy of SQLite's file, else PostgreSQL's rows."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        if rows is not None:
            make_file(copy)
        else:
            shutil.copyfile(path, copy)
        store = Store(f"sqlite:///{copy}")
        try:
            if rows is not None:
                store.upgrade()
                _load_rows(store, path, rows)
            elif store.check_schema() == "empty":
                raise ValueError("it has no tables of sreval")
            store.upgrade()
            return _files_of(store)
        except SchemaError:
            raise SchemaError(
                f"{path} was written by a newer sreval.", "Install that version."
            ) from None
        except StoreError as error:  # its message names the copy, which is gone
            raise ValueError(
                error.message.removeprefix(f"{store.name} ").removesuffix(".")
            ) from None
        finally:
            store.dispose()


def _load_rows(store: Store, path: Path, files: Mapping[str, bytes]) -> None:
    if json.loads(files[_OLD_MANIFEST])["revision"] not in revisions():
        raise SchemaError(f"{path} was written by a newer sreval.", "Install that version.")
    with store.begin() as tx:
        for table in Base.metadata.sorted_tables:
            if table.name == Participant.__tablename__:
                continue  # later than version 0.1
            rows = [json.loads(line) for line in _part(files, f"{table.name}.jsonl").splitlines()]
            for column in (column for column in table.c if isinstance(column.type, Utc)):
                for row in rows:
                    row[column.name] = row[column.name] and when(row[column.name])
            _insert(tx, table, rows)


def _set_sequences(connection: Connection) -> None:
    """PostgreSQL's next ids are those after the ones that were brought along."""
    if connection.dialect.name != "postgresql":
        return
    for model in _WHOLE.values():
        highest = connection.scalar(select(func.max(model.__table__.c.id)))
        if highest is not None:
            sequence = func.pg_get_serial_sequence(f'"{model.__tablename__}"', "id")
            connection.execute(select(func.setval(sequence, highest)))


def import_(
    store: Store,
    path: Path,
    study: str,
    *,
    design: StudyDesign | None = None,
    site: str | None = None,
    who: str = COMMAND_LINE,
) -> Imported:
    """Store ``study`` from an export or a backup: the whole, or the sessions that are lacking here;
    all or nothing.

    ``site`` joins a file to the raters who are here, whatever numbers, places and pseudonyms they
    have: its sessions are marked with that name, take further numbers and places, and a pseudonym
    that is taken gives way to another. A session that was joined before and went on at its site is
    brought up to date. Whom that site has deleted since is deleted here, too.

    Raters who were deleted here stay deleted. Other studies, links, operators and the log of a
    backup are left out. Raises UsageError for a file without ``study`` and for a ``site`` that is
    no name, DataError for a damaged file, StateError when the study here has another design or
    other stimuli, or went on with other raters, when a ``site`` still collects votes while the
    study here is closed, and when the file's isn't ``design``, that of the study's folder, if it
    has one.
    """
    if site is not None:
        _check_site(site)
    snapshot = _read(path)
    row = snapshot.require(study, path)
    known = study in Studies(store).names()
    try:
        with store.erasing() if site else store.begin() as tx:
            here = _study(tx, row, path)
            if site and here.state == "closed" and row["state"] != "closed":
                raise StateError(
                    f"The study {study!r} is closed here, and was {row['state']} in {path}: "
                    f"{site} still collects votes.",
                    "Close it there, export it again, and import that.",
                )
            if design is not None and not here.has_design(design):
                raise StateError(
                    f"The study {study!r} in {path} has another design than its study.toml here: "
                    f"{listed(here.changes_to(design))}.",
                    "Put its own study.toml back, or import it where there is no such folder: cd "
                    f"elsewhere, then sreval study import {study} FILE --database NEW.sqlite.",
                )
            # an export's rows name no study: they are of its only one
            sessions, deleted = (
                [row for row in snapshot.tables[name] if row.get("study", study) == study]
                for name in ("sessions", "deleted")
            )
            own = select(Session.id).where(Session.study_id == here.id)
            present = set(tx.scalars(own))
            if site:
                _bury_at(
                    tx, here, site, {row["pseudonym_sha256"] for row in deleted}, store.clock()
                )
            buried = _tombstones(tx, {study: here}, deleted)
            new = [row for row in sessions if row["session"] not in present]
            lacking = [row for row in new if not buried & _hashes(study, row)]
            linkless = [{name: row[name] for name in row if name != "link"} for row in lacking]
            if site:
                linkless = _joined(tx, here, linkless, site)
            _store_sessions(tx, {study: here}, snapshot.tables, linkless)
            known_here = [row for row in sessions if row["session"] in present]
            updated = _brought_up(tx, snapshot.tables, known_here) if site else 0
            facts = {"site": site, "updated": updated} if site else {}
            AuditLog(store, who).record(tx, "import", here.id, sessions=len(lacking), **facts)
            left_out = len(new) - len(lacking)
            return Imported(study, len(lacking), len(known_here), left_out, updated)
    except IntegrityError:
        if not known:
            raise _contradictory(path) from None
        raise StateError(
            f"The study {study!r} here went on with other raters than those "
            f"in {path}; nothing was imported.",
            "Import it into an empty database, or join it as another site's: "
            f"{option('--site NAME', 'site=NAME')}.",
        ) from None


def _check_site(site: str) -> None:
    """Raise UsageError for what can't name a site."""
    if not site.strip() or len(site) > _SITE_LETTERS or not site.isprintable():
        raise UsageError(
            f"{option('--site', 'site')} can't be {shown(site)}.",
            f"Give a name of 1 to {_SITE_LETTERS} printable characters.",
        )


def _bury_at(tx: Transaction, study: Study, site: str, deleted: set[str], now: dt.datetime) -> None:
    """Delete the raters of ``site`` whom that site has deleted: their wish holds here, too."""
    query = select(Rater).join(Session, Session.rater_id == Rater.id)
    for rater in tx.scalars(query.where(Session.study_id == study.id, Session.site == site)):
        if tombstone_hash(study.name, rater.pseudonym) in deleted:
            bury(tx, study, rater, now)


def _hashes(study: str, row: Row) -> set[str]:
    """The hashes by which a session's rater is known to be deleted, under either pseudonym."""
    return {tombstone_hash(study, name) for name in (row["rater"], _other_pseudonym(row))}


def _other_pseudonym(row: Row) -> str:
    """What a rater is called where their pseudonym is taken: always the same."""
    return f"r-{sha256_bytes(row['session'].encode())[:12]}"


def _joined(tx: Transaction, study: Study, rows: list[Row], site: str) -> list[Row]:
    """Sessions of ``site`` beside those here: behind these in number and place, by free names."""
    raters = select(Rater.pseudonym).where(Rater.study_id == study.id)
    taken = set(tx.scalars(raters))
    last = tx.scalar(select(func.max(Session.slot)).where(Session.study_id == study.id))
    number, slot = (0, 0) if last is None else (study.next_rater, last + 1)
    made = [
        {
            **row,
            "rater": _other_pseudonym(row) if row["rater"] in taken else row["rater"],
            "rater_index": row["rater_index"] + number,
            "slot": row["slot"] + slot,
            "site": row.get("site") or site,
        }
        for row in rows
    ]
    study.next_rater = max([study.next_rater, *(row["rater_index"] + 1 for row in made)])
    return made


def _brought_up(tx: Transaction, tables: Mapping[str, list[Row]], rows: list[Row]) -> int:
    """Take over what sessions that were joined before did at their site since; gives how many did.

    Number, place and pseudonym stay those that they have here, and so does an operator's decision
    made here. An older export changes nothing.
    """
    moved = set()
    for row in rows:
        session = tx.get(Session, row["session"])
        if session is None or session.site is None:  # deleted with this file, or this site's own
            continue
        told = _stored("sessions", Session.__table__, row)
        for name in ("id", "slot", "site"):
            told.pop(name, None)
        if told["accepted"] is None:
            del told["accepted"], told["accepted_reason"]
        changed = any(getattr(session, name) != value for name, value in told.items())
        if not changed or row["seen_at"] < session.seen_at:
            continue
        for name, value in told.items():
            setattr(session, name, value)
        moved.add(session.id)
    for model in reversed([*frames.MODELS.values()]):
        tx.execute(delete(model).where(model.session_id.in_(moved)))
    tx.flush()
    _store_rows(tx, tables, moved)
    return len(moved)


def _study_of(row: Row, studies: Mapping[str, Study]) -> Study:
    """The study of a row; an export has but one, and doesn't name it in every table."""
    return studies[row["study"]] if "study" in row else next(iter(studies.values()))


def _study(tx: Transaction, row: Row, path: Path) -> Study:
    """The study of that name here, brought up to ``row`` of a file; a new one where there is
    none."""
    values = dict(row)
    design = StudyDesign.model_validate_json(values.pop("design"))
    study = tx.scalar(select(Study).where(Study.name == values["name"]).with_for_update())
    if study is None:
        own = {"id": None, "design_json": design.as_json(), "design_sha256": design.sha256}
        study = Study(**{**values, **own})
        tx.add(study)
    elif study.design.task.kind != design.task.kind:
        raise StateError(
            f"The study {study.name!r} here has the task {study.design.task.kind}, and that in "
            f"{path} the task {design.task.kind}.",
            "Import it into an empty database.",
        )
    elif study.manifest_sha256 != values["manifest_sha256"] or not study.has_design(design):
        what = listed(study.changes_to(design)) or "stimuli"
        raise StateError(
            f"The study {study.name!r} here has another design or other stimuli: {what}.",
            "Import it into an empty database.",
        )
    else:
        study.next_rater = max(study.next_rater, values["next_rater"])
        study.locked_at = study.locked_at or values["locked_at"]
    tx.flush()
    return study


def _tombstones(tx: Transaction, studies: Mapping[str, Study], rows: list[Row]) -> set[str]:
    """The hashes of all raters deleted here; those deleted elsewhere are added."""
    ids = [study.id for study in studies.values()]
    buried = set(tx.scalars(select(Tombstone.pseudonym_sha256).where(Tombstone.study_id.in_(ids))))
    table = Tombstone.__table__
    added = [
        {"study_id": _study_of(row, studies).id, **_stored("deleted", table, row)}
        for row in rows
        if row["pseudonym_sha256"] not in buried
    ]
    _insert(tx, table, added)
    return buried | {row["pseudonym_sha256"] for row in rows}


def _store_sessions(
    tx: Transaction,
    studies: Mapping[str, Study],
    tables: Mapping[str, list[Row]],
    sessions: list[Row],
) -> None:
    """Sessions with their raters, plans, votes, answers and events."""
    places: dict[str, list[tuple[int, int]]] = {}
    for item in tables["plan"]:
        places.setdefault(item["session"], []).append((item["sitting"], item["position"]))
    for row in sessions:
        study = _study_of(row, studies)
        rater = Rater(
            study_id=study.id,
            created_at=row["created_at"],
            **_stored("sessions", Rater.__table__, row),
        )
        tx.add(rater)
        tx.flush()
        tx.add(
            Session(
                study_id=study.id,
                rater_id=rater.id,
                sitting_ends=sitting_ends(places[row["session"]]),
                **_stored("sessions", Session.__table__, row),
            )
        )
    tx.flush()
    _store_rows(tx, tables, {row["session"] for row in sessions})


def _store_rows(tx: Transaction, tables: Mapping[str, list[Row]], wanted: set[str]) -> None:
    """Plans, votes, answers, checks and events of some sessions."""
    for name in frames.MODELS:
        table = frames.MODELS[name].__table__
        rows = [row for row in tables[name] if row["session"] in wanted]
        made = [{"session_id": row["session"], **_stored(name, table, row)} for row in rows]
        if name == "votes":
            # The browser's own key isn't exported; a retry of it finds the vote by its position.
            made = [{"key": f"imported-{row['position']}", **row} for row in made]
        _insert(tx, table, made)


def _store_participants(
    tx: Transaction, studies: Mapping[str, Study], tables: Mapping[str, list[Row]]
) -> None:
    """Whom panels sent, beside the sessions that are stored by now."""
    of = {row["session"]: _study_of(row, studies).id for row in tables["sessions"]}
    rows = [
        {"session_id": row["session"], "study_id": of[row["session"]]}
        | {name: row[name] for name in ("participant", "kept", "code")}
        for row in tables.get("participants", [])
    ]
    _insert(tx, Participant.__table__, rows)


def _insert(tx: Transaction, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        tx.execute(insert(table), rows)


def _design(text: str) -> StudyDesign:
    """The design in a file. Raises ValueError for what is none."""
    return validated(StudyDesign, json.loads(text))


def _columns(name: str, design: StudyDesign | None) -> dict[str, Column[Any]]:
    """The columns of file ``name`` as the database has them, by their heads; of a backup without a
    ``design``."""
    if design is None:
        own = {**frames.STORED[name], **_PRIVATE.get(name, {})}
    else:
        own = dict(frames.exported(name, design))
    return _columns_of(own)


def _columns_of(own: frames.Columns) -> dict[str, Column[Any]]:
    return {label: column.property.columns[0] for label, column in own.items()}


def _own_columns(model: type[Base]) -> dict[str, Column[Any]]:
    return {column.name: column for column in model.metadata.tables[model.__tablename__].columns}


def _stored(name: str, table: Any, row: Row) -> dict[str, Any]:
    """The values of a row of file ``name`` that belong to ``table``, by the table's columns."""
    columns = _columns(name, None)
    return {
        column.name: row[label]
        for label, column in columns.items()
        if column.table is table and label in row
    }


def _rows(name: str, data: bytes, columns: Mapping[str, Column[Any]]) -> list[Row]:
    """The rows of a file, typed. Raises ValueError that names the first cell that is wrong."""
    # Later versions have more columns than those that wrote the file.
    needed = [
        label for label, column in columns.items() if not column.nullable and column.default is None
    ]
    rows = []
    try:
        place = ""
        readers = {label: _reader(column) for label, column in columns.items()}
        if "choice" in columns:
            readers["choice"] = _choice
        if "correct" in columns:
            readers["correct"] = lambda text: _choice(text) if text else None
        for count, row in enumerate(from_csv(data, needed), start=1):
            typed = {}
            for label in [label for label in readers if label in row]:
                place = f", row {count}, {label}"
                typed[label] = readers[label](row[label])
            rows.append(typed)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name}.csv{place}: {error}") from None
    return rows


def _reader(column: Column[Any]) -> Callable[[str], Any]:
    """What makes of a cell what its column holds; it raises ValueError or OverflowError."""
    match column.type:
        case Boolean():
            read: Callable[[str], Any] = flag
        case Utc():
            read = when
        case Integer():
            read = _integer
        case Score():
            read = _score
        case Float():
            read = number
        case _:
            return _text_reader(column)
    return lambda text: None if not text and column.nullable else read(text)


def _integer(text: str) -> int:
    value = number(text)
    if not value.is_integer() or abs(value) > _LARGEST:
        raise ValueError(f"{shown(text)} is not a whole number that fits")
    return int(value)  # 12.0 is how a column that has gaps is written


def _choice(text: str) -> int:
    """The answer to a pair as the database has it."""
    for answer, word in frames.CHOICES.items():
        if word == text:
            return answer
    raise ValueError(f"{shown(text)} is not {listed(list(frames.CHOICES.values()))}")


def _score(text: str) -> int | float:
    return plain_score(number(text))


def _text_reader(column: Column[Any]) -> Callable[[str], str | None]:
    longest = getattr(column.type, "length", None)
    typed_by_people = isinstance(column.type, FreeText)

    def read(text: str) -> str | None:
        if not text and column.nullable:
            return None
        if longest is not None and len(text) > longest:
            raise ValueError(f"{shown(text)} has more than {longest} letters")
        if "\0" in text and not typed_by_people:
            raise ValueError(f"{shown(text)} holds a NUL")
        if column.name == "facts" and not isinstance(json.loads(text), dict):
            raise ValueError(f"{shown(text)} holds no table of facts")
        return text

    return read
