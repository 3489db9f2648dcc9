"""Snapshots: one zip of CSV files with a manifest of their hashes, all as of one moment.

A backup is the whole database. An export is one study for others: the same files without the
columns and tables that are secret or of persons who aren't raters, and with what the design's
rules and the manifest of the stimuli say of each row. Whoever imports an export gets new
addresses of images, and makes new links for raters who are to go on. Either is read wherever
the other is, from SQLite or PostgreSQL, and export, import, export gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Float, Integer, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from sreval.errors import DataError, UsageError, option
from sreval.files import (
    atomic_folder,
    sha256_bytes,
    write_atomic,
    zip_entry,
)
from sreval.opinions.cells import flag
from sreval.store import frames
from sreval.store.audit import COMMAND_LINE, LOOK, AuditLog
from sreval.store.csvs import from_csv, to_csv, when, written
from sreval.store.database import Store, make_file, open_store
from sreval.store.enrolment import tombstone_hash
from sreval.store.errors import SchemaError, StateError
from sreval.store.models import (
    Base,
    Invitation,
    Login,
    Operator,
    OperatorEvent,
    PlanItem,
    Rater,
    Session,
    Study,
    Tombstone,
    Utc,
    Vote,
)
from sreval.store.schema import revisions, schema_state, to_base, to_head
from sreval.store.studies import by_name
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest

FORMAT = 1
MANIFEST, DESIGN = "manifest.json", "design.json"
_OLD_MANIFEST = "backup.json"

_WHOLE = {
    "studies": Study,
    "links": Invitation,
    "operators": Operator,
    "logins": Login,
    "audit": OperatorEvent,
}
"""What only a backup holds, row by row as it stands."""

_PRIVATE: Mapping[str, frames.Columns] = {
    "sessions": {"study": Study.name, "link": Rater.invitation_id},
    "plan": {"address": PlanItem.address},
    "votes": {"key": Vote.key},
    "deleted": {"study": Study.name},
}
"""The columns that only a backup has."""

Row = dict[str, str]


@dataclass(frozen=True)
class Imported:
    """What an import brought: sessions stored, there already, and of raters deleted here."""

    study: str
    sessions: int
    present: int
    deleted: int


@dataclass(frozen=True)
class _Snapshot:
    """What was read: the rows of each file, and its studies as rows of their table."""

    studies: list[Row]
    tables: dict[str, list[Row]]

    @property
    def whole(self) -> bool:
        """Whether it is of a whole database."""
        return "studies" in self.tables


def export(
    store: Store, study: str, manifest: Manifest, path: Path, *, who: str = COMMAND_LINE
) -> Path:
    """Write a study's data to a new zip (`path` ends in .zip) or a new folder; all or nothing.

    The audit log says so. Raises UsageError when ``path`` exists or there is no such study,
    DataError when it can't be written or ``manifest`` is not that under which it was rated.
    """
    if path.exists():
        raise UsageError(f"{path} exists already.", "Name a new file or folder.")
    files = export_files(store, study, manifest)
    if path.suffix.lower() == ".zip":
        write_atomic(path, _zipped(files))
    else:
        with atomic_folder(path) as folder:
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
    """Copy a database, also while it is written to, to the new file ``path``.

    The audit log of the original says so. Raises UsageError when ``path`` exists, StoreError
    when the database can't be read.
    """
    if path.exists():
        raise UsageError(f"{path} exists already.", "Name a new file.")
    store = open_store(url)
    try:
        write_atomic(path, _zipped(_whole(store)))
        path.chmod(0o600)
        _record(store, who, "backup", path)
    finally:
        store.dispose()
    return path


def _record(store: Store, who: str, action: str, path: Path) -> None:
    with store.begin() as tx:
        AuditLog(store, who).record(tx, action, None, file=path.name)


def _whole(store: Store) -> dict[str, bytes]:
    with store.read() as tx:
        tables = {
            name: frames.frame(tx, select(model.__table__).order_by(model.__table__.c.id))
            for name, model in _WHOLE.items()
        }
        for name, columns in frames.STORED.items():
            query = frames.stored(name, {**columns, **_PRIVATE.get(name, {})})
            tables[name] = frames.frame(tx, query)
    return _with_manifest(tables, {}, {"revision": revisions()[-1]})


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


def restore(path: Path, url: str, *, overwrite: bool = False, who: str = COMMAND_LINE) -> None:
    """Replace a database by a backup, at once or not at all.

    The audit log that came with it says so. Raises StateError when that database holds votes,
    unless ``overwrite``; DataError for a file that isn't a whole backup; SchemaError for one of a
    newer version.
    """
    snapshot = _read(path)
    if not snapshot.whole:
        raise DataError(f"{path} is an export, not a backup.", "Use: sreval study import.")
    store = Store(url)
    try:
        if store.file is not None:
            make_file(store.file)
        with store.schema_change() as connection:
            state = schema_state(connection)
            if state == "newer":
                raise store.schema_error(state)
            if state != "empty":
                _refuse_votes(store, connection, overwrite)
                to_base(connection)
            to_head(connection)
            with _sound(path), Transaction(connection) as tx:
                for name, model in _WHOLE.items():
                    table = model.__table__
                    _insert(tx, table, [_values(table, row) for row in snapshot.tables[name]])
                studies = {study.name: study for study in tx.scalars(select(Study))}
                _tombstones(tx, studies, snapshot.tables["deleted"])
                _store_sessions(tx, studies, snapshot.tables, snapshot.tables["sessions"])
                tx.flush()
            _set_sequences(connection)
        _record(store, who, "restore", path)
    finally:
        store.dispose()


def _read(path: Path) -> _Snapshot:
    """A zip or a folder, each file checked against its SHA-256.

    Raises DataError for what is missing or damaged, SchemaError for a newer version's backup.
    """
    with _sound(path):
        files = _files(path)
        manifest = json.loads(files[MANIFEST])
        if manifest["format"] != FORMAT:
            raise DataError(
                f"{path} has the format {manifest['format']}, not {FORMAT}.",
                "Read it with the version of sreval that wrote it.",
            )
        if manifest.get("revision", revisions()[-1]) not in revisions():
            raise SchemaError(f"{path} was written by a newer sreval.", "Install that version.")
        for name, sha256 in manifest["sha256"].items():
            if sha256_bytes(files[name]) != sha256:
                raise DataError(f"{name} in {path} was changed.", "Export the study again.")
        whole = "studies" in manifest["rows"]
        names = (*frames.STORED, *(_WHOLE if whole else ()))
        tables = {name: from_csv(files[f"{name}.csv"]) for name in names}
        if whole:
            return _Snapshot(tables["studies"], tables)
        facts = {
            name: "" if fact is None else str(fact) for name, fact in manifest["study"].items()
        }
        return _Snapshot([{**facts, "design": files[DESIGN].decode()}], tables)


@contextlib.contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not a complete export, nor a complete backup ({error}).",
            "Export the study again, or back it up again.",
        ) from None


def _files(path: Path) -> dict[str, bytes]:
    known = {MANIFEST, DESIGN, *(f"{name}.csv" for name in (*frames.STORED, *_WHOLE))}
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in known if (path / name).exists()}
    with path.open("rb") as file:
        if file.read(16).startswith(b"SQLite format 3"):
            return _from_0_1(path)
    with zipfile.ZipFile(path) as archive:
        if _OLD_MANIFEST in archive.namelist():
            return _from_0_1(path)
        return {name: archive.read(name) for name in known & set(archive.namelist())}


def _from_0_1(path: Path) -> dict[str, bytes]:
    """The files of a backup by version 0.1: a copy of SQLite's file, else PostgreSQL's rows."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        if zipfile.is_zipfile(path):
            make_file(copy)
        else:
            shutil.copyfile(path, copy)
        store = Store(f"sqlite:///{copy}")
        try:
            if zipfile.is_zipfile(path):
                store.upgrade()
                _load_rows(store, path)
            elif store.check_schema() == "empty":
                raise ValueError("it has no tables of sreval")
            store.upgrade()
            return _whole(store)
        finally:
            store.dispose()


def _load_rows(store: Store, path: Path) -> None:
    with zipfile.ZipFile(path) as archive, store.begin() as tx:
        if json.loads(archive.read(_OLD_MANIFEST))["revision"] not in revisions():
            raise SchemaError(f"{path} was written by a newer sreval.", "Install that version.")
        for table in Base.metadata.sorted_tables:
            rows = [json.loads(line) for line in archive.read(f"{table.name}.jsonl").splitlines()]
            for column in (column for column in table.c if isinstance(column.type, Utc)):
                for row in rows:
                    row[column.name] = row[column.name] and when(row[column.name])
            _insert(tx, table, rows)


def _refuse_votes(store: Store, connection: Connection, overwrite: bool) -> None:
    if not overwrite and connection.scalar(select(Vote.position).limit(1)) is not None:
        raise StateError(
            f"{store.name} holds votes, which a restore would delete.",
            f"Back it up, then add {option('--overwrite', 'overwrite=True')}; or restore "
            "into another database.",
        )


def _set_sequences(connection: Connection) -> None:
    """PostgreSQL's next ids are those after the ones that were brought along."""
    if connection.dialect.name != "postgresql":
        return
    for model in _WHOLE.values():
        highest = connection.scalar(select(func.max(model.__table__.c.id)))
        if highest is not None:
            sequence = func.pg_get_serial_sequence(f'"{model.__tablename__}"', "id")
            connection.execute(select(func.setval(sequence, highest)))


def import_(store: Store, path: Path, *, who: str = COMMAND_LINE) -> Imported:
    """Store an export, or the studies of a backup: a new study, or the sessions that a study here
    lacks; all or nothing.

    Raters who were deleted here stay deleted. Links, operators and the log of a backup are left
    out. Raises DataError for a damaged file, StateError when a study here has another design or
    other stimuli, or went on with other raters.
    """
    snapshot = _read(path)
    named = ", ".join(row["name"] for row in snapshot.studies)
    try:
        with _sound(path), store.begin() as tx:
            studies = {row["name"]: _study(tx, row) for row in snapshot.studies}
            return Imported(named, *_import(tx, store, studies, snapshot.tables, who))
    except IntegrityError:
        raise StateError(
            f"The study {named!r} here went on with other raters than those "
            f"in {path}; nothing was imported.",
            "Import it into an empty database.",
        ) from None


def _import(
    tx: Transaction,
    store: Store,
    studies: Mapping[str, Study],
    tables: Mapping[str, list[Row]],
    who: str,
) -> tuple[int, int, int]:
    """The numbers of sessions that were stored, were here, and are of deleted raters."""
    ids = [study.id for study in studies.values()]
    here = set(tx.scalars(select(Session.id).where(Session.study_id.in_(ids))))
    buried = _tombstones(tx, studies, tables["deleted"])
    lacking, deleted = [], 0
    for row in tables["sessions"]:
        if row["session"] in here:
            continue
        if tombstone_hash(_study_of(row, studies).name, row["rater"]) in buried:
            deleted += 1
        else:
            lacking.append({name: text for name, text in row.items() if name != "link"})
    _store_sessions(tx, studies, tables, lacking)
    for study in studies.values():
        count = sum(_study_of(row, studies) is study for row in lacking)
        AuditLog(store, who).record(tx, "import", study.id, sessions=count)
    return len(lacking), len(tables["sessions"]) - len(lacking) - deleted, deleted


def _study_of(row: Row, studies: Mapping[str, Study]) -> Study:
    """The study of a row; an export has but one, and doesn't name it in every table."""
    return studies[row["study"]] if "study" in row else next(iter(studies.values()))


def _study(tx: Transaction, row: Row) -> Study:
    """The study of that name here, brought up to ``row``; a new one where there is none."""
    values = _values(Study.__table__, row)
    design = StudyDesign.model_validate_json(values.pop("design"))
    study = tx.scalar(select(Study).where(Study.name == values["name"]).with_for_update())
    if study is None:
        own = {"id": None, "design_json": design.as_json(), "design_sha256": design.sha256}
        study = Study(**{**values, **own})
        tx.add(study)
    elif study.manifest_sha256 != values["manifest_sha256"] or not study.has_design(design):
        raise StateError(
            f"The study {study.name!r} here has another design or other stimuli.",
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
    ends: dict[str, dict[str, str]] = {}
    for item in tables["plan"]:
        ends.setdefault(item["session"], {})[item["sitting"]] = item["position"]
    for row in sessions:
        study = _study_of(row, studies)
        rater = Rater(
            study_id=study.id,
            created_at=when(row["created_at"]),
            **_stored("sessions", Rater.__table__, row),
        )
        tx.add(rater)
        tx.flush()
        tx.add(
            Session(
                study_id=study.id,
                rater_id=rater.id,
                sitting_ends=",".join(ends[row["session"]].values()),
                **_stored("sessions", Session.__table__, row),
            )
        )
    tx.flush()
    wanted = {row["session"] for row in sessions}
    for name in ("plan", "votes", "answers", "events"):
        table = frames.MODELS[name].__table__
        rows = [row for row in tables[name] if row["session"] in wanted]
        made = [{"session_id": row["session"], **_stored(name, table, row)} for row in rows]
        if name == "plan":
            made = [{"address": secrets.token_urlsafe(16), **row} for row in made]
        if name == "votes":
            # The browser's own key isn't exported; a retry of it finds the vote by its position.
            made = [{"key": f"imported-{row['position']}", **row} for row in made]
        _insert(tx, table, made)


def _insert(tx: Transaction, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        tx.execute(insert(table), rows)


def _stored(name: str, table: Any, row: Row) -> dict[str, Any]:
    """The values of a row of file ``name`` that belong to ``table``, by the table's columns."""
    own = {**frames.STORED[name], **_PRIVATE.get(name, {})}
    columns = {label: column.property.columns[0] for label, column in own.items()}
    return {
        column.name: _value(column, row[label])
        for label, column in columns.items()
        if column.table is table and label in row
    }


def _values(table: Any, row: Row) -> dict[str, Any]:
    return {c.name: _value(c, row[c.name]) for c in table.c if c.name in row}


def _value(column: Column[Any], text: str) -> Any:
    """A cell as its column holds it."""
    if not text and column.nullable:
        return None
    match column.type:
        case Boolean():
            return flag(text)
        case Utc():
            return when(text)
        case Integer():
            return int(text)
        case Float():
            return float(text)
        case _:
            return text
