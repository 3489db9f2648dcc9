"""Licences of training photographs, read from the lists beside them, and counted."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

NOT_STATED = "not stated"
"""The licence of a file that no list names."""


def count_licences(
    folders: Sequence[Path], files: Iterable[str], stated: Mapping[str, str] | None = None
) -> dict[str, int]:
    """How many of the files stand under each licence, most frequent first.

    A list is a CSV file with the columns `file` and `licence`, inside a folder or beside it under
    its name (FOLDER.csv). A file that no list names is looked up by its name without the suffix,
    for it may be a copy in another format. What `stated` says of a file, as shards do, goes before
    that. Files in no list count as `not stated`.
    """
    known: dict[str, str] = {}
    for folder in folders:
        for path in (folder.resolve().with_suffix(".csv"), *sorted(folder.glob("*.csv"))):
            if path.is_file():
                known |= _read_licences(path)
    known |= stated or {}
    of_stem: dict[str, set[str]] = {}
    for file, licence in known.items():
        of_stem.setdefault(PurePath(file).stem, set()).add(licence)
    counts = Counter(known.get(file) or _only(of_stem, file) for file in files)
    return dict(counts.most_common())


def non_commercial(licences: Iterable[str]) -> bool:
    """Whether one of the licences reserves commercial use."""
    return any("non-commercial" in text.lower() or "-nc" in text.lower() for text in licences)


def _only(of_stem: dict[str, set[str]], file: str) -> str:
    """The licence of the files of that name in any format, where there is one alone."""
    licences = of_stem.get(PurePath(file).stem, set())
    return next(iter(licences)) if len(licences) == 1 else NOT_STATED


def _read_licences(path: Path) -> dict[str, str]:
    # any CSV file may lie among photographs, in any encoding
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        try:
            if not {"file", "licence"} <= set(rows.fieldnames or ()):
                return {}
            return {row["file"]: row["licence"] or NOT_STATED for row in rows}
        except csv.Error:
            return {}
