"""A report's folder: whole or absent, and never in the place of anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sreval.errors import DataError, option
from sreval.files import atomic_folder, sha256_bytes

PAGE, LATEX, PDF, CONTENTS = "index.html", "tables.tex", "tables.pdf", "report.json"
FORMAT = 1


def check_folder(out: Path, study: str) -> None:
    """Raise DataError unless ``out`` is absent, empty, or an unchanged report of ``study``."""
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not out.is_symlink() and not any(out.iterdir()):
        return
    remedy = f"Name another folder with {option('--out')}."
    try:
        contents = json.loads((out / CONTENTS).read_text(encoding="utf-8"))
        name, files = str(contents["sreval_report"]), {CONTENTS, *contents["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{out} exists and isn't a report of sreval.", remedy) from None
    if name != study:
        raise DataError(f"{out} is the report of the study {name}, not of {study}.", remedy)
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    strange = sorted(present - files)
    if strange or out.is_symlink():
        what = f"{out} also holds {strange[0]}" if strange else f"{out} is a symbolic link"
        raise DataError(f"{what}, which a new report would remove.", remedy)


def write_folder(out: Path, study: str, files: Mapping[str, bytes], facts: object) -> None:
    """Write the report of ``study`` as ``out`` in one step; ``facts`` go into report.json.

    An older report of the same study is replaced. Raises what ``check_folder`` raises, and
    DataError when the folder can't be written; what stood there before is then untouched.
    """
    check_folder(out, study)
    contents = {
        "sreval_report": study,
        "format": FORMAT,
        "facts": facts,
        "files": {name: sha256_bytes(data) for name, data in sorted(files.items())},
    }
    text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    with atomic_folder(out.resolve(), replace=True) as new:
        for name, data in {**files, CONTENTS: text.encode()}.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(data)
