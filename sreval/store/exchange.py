"""A study's data as files for others, and back: export, import, export gives the same bytes.

No token, no address of an image and no secret is in an export: whoever imports one gets new
addresses, and makes new links for raters who are to go on. Which image was scored, and what is
a stand-in, is in the manifest of the stimuli; the database has only its hash.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError

from sreval.errors import DataError, UsageError
from sreval.files import atomic_folder, sha256_bytes, write_atomic, zip_entry
from sreval.store import audit
from sreval.store.csvs import to_csv, written
from sreval.store.database import Store
from sreval.store.errors import StateError
from sreval.store.frames import TABLES, tables_of
from sreval.store.importing import Imported, store_export
from sreval.store.models import Study
from sreval.store.studies import by_name
from sreval.study.manifest import Manifest

FORMAT = 1
MANIFEST, DESIGN = "manifest.json", "design.json"


def export(
    store: Store, study: str, manifest: Manifest, path: Path, *, who: str = audit.COMMAND_LINE
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
    record_export(store, study, files, who)
    return path


def record_export(store: Store, study: str, files: Mapping[str, bytes], who: str) -> None:
    """Keep in the audit log that somebody took ``files``, what `export_files` gave, away.

    They hold scores by method: before the study is closed, that is a look at results.
    """
    votes = json.loads(files[MANIFEST])["rows"]["votes"]
    with store.begin() as tx:
        row = by_name(tx, study)
        audit.record(tx, store.clock(), who, "export", row.id, votes=votes)
        if row.state != "closed":
            audit.record(tx, store.clock(), who, audit.LOOK, row.id, votes=votes)


def export_files(store: Store, study: str, manifest: Manifest) -> dict[str, bytes]:
    """What an export holds, by file name, all as of one moment. Raises as `export` does."""
    with store.read() as tx:
        row = by_name(tx, study)
        frames = tables_of(tx, row, manifest)
        files = {DESIGN: _json(json.loads(row.design))}
        files |= {f"{name}.csv": to_csv(frames[name]) for name in TABLES}
        contents = {
            "format": FORMAT,
            "study": _study_facts(row),
            "simulated": bool(frames["sessions"]["simulated"].any()),
            "stand_ins": list(manifest.stand_ins),
            "rows": {name: len(frames[name]) for name in TABLES},
            "sha256": {name: sha256_bytes(data) for name, data in files.items()},
        }
    return {MANIFEST: _json(contents), **files}


def _study_facts(row: Study) -> dict[str, Any]:
    times = {"created_at": row.created_at, "locked_at": row.locked_at, "closed_at": row.closed_at}
    return {
        "name": row.name,
        "state": row.state,
        "design_sha256": row.design_sha256,
        "manifest_sha256": row.manifest_sha256,
        "next_rater": row.next_rater,
        **{name: time and written(time) for name, time in times.items()},
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip without anything of when and where it was made."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in files.items():
            archive.writestr(zip_entry(name), data)
    return out.getvalue()


def read_export(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the files of an export, each checked against its SHA-256.

    Raises DataError for what is missing, damaged, or written by a newer version.
    """
    names = [DESIGN, *(f"{name}.csv" for name in TABLES)]
    try:
        files = _read(path, [MANIFEST, *names])
        manifest = json.loads(files[MANIFEST])
        known = manifest["format"] == FORMAT
        changed = [n for n in names if known and manifest["sha256"][n] != sha256_bytes(files[n])]
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not a complete export ({error}).", "Export the study again."
        ) from None
    if not known:
        raise DataError(
            f"{path} has the export format {manifest['format']}, not {FORMAT}.",
            "Import it with the version of sreval that wrote it.",
        )
    if changed:
        raise DataError(f"{changed[0]} in {path} was changed.", "Export the study again.")
    return manifest, files


def _read(path: Path, names: list[str]) -> dict[str, bytes]:
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in names}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in names}


def import_(store: Store, path: Path, *, who: str = audit.COMMAND_LINE) -> Imported:
    """Store an export: a new study, or the sessions that a study here lacks; all or nothing.

    Raters who were deleted here stay deleted. Raises DataError for a damaged export, StateError
    when the study here has another design or other stimuli, or went on with other raters.
    """
    manifest, files = read_export(path)
    try:
        with store.begin() as tx:
            return store_export(tx, manifest["study"], files, store.clock(), who)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} holds what an export can't hold ({error}).", "Export the study again."
        ) from None
    except IntegrityError:
        raise StateError(
            f"The study {manifest['study']['name']!r} here went on with other raters than those "
            f"in {path}; nothing was imported.",
            "Import it into an empty database.",
        ) from None
