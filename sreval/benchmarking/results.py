"""Results on disk: a tidy CSV, a JSON manifest beside it, a journal while a run is under way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from sreval.errors import DataError, listed, option
from sreval.files import claim, sha256_bytes, write_atomic, write_error

FORMAT = 2
_FIRST = 1
"""The format of sreval 0.1: it is read, and never added to."""
Subject = tuple[str, int, str, str]
"""Data set, scale, method, image."""
RESULTS, MANIFEST, JOURNAL = "results.csv", "manifest.json", "journal.jsonl"
UNDER_WAY = "under-way.json"
"""What the names in the journal mean."""


@dataclass(frozen=True)
class Row:
    """One value and all that it depends on; the columns of ``results.csv`` in their order.

    ``method_sha256`` is that of a ``identity.Meaning``; ``source_sha256`` that of the file which a
    published SR image was taken from, ``trunk_sha256`` that of LPIPS's trunk; ``device`` is the
    kind of device that the image was made and scored on.
    """

    method: str
    dataset: str
    image: str
    scene: str
    protocol: str
    metric: str
    value: float
    note: str
    scale: int
    lr_sha256: str
    sr_sha256: str
    hr_sha256: str
    source_sha256: str
    weights_sha256: str
    method_sha256: str
    protocol_sha256: str
    trunk_sha256: str
    device: str
    code: str

    @property
    def subject(self) -> Subject:
        """The SR image that the value is of."""
        return (self.dataset, self.scale, self.method, self.image)

    @property
    def origin(self) -> tuple[str, ...]:
        """What the SR image and its scores were made from and with."""
        return (*self.inputs, self.method_sha256, self.sr_sha256)

    @property
    def inputs(self) -> tuple[str, ...]:
        """All of ``origin`` but the method and what it made."""
        return (self.lr_sha256, self.hr_sha256, self.source_sha256, self.device, self.code)


COLUMNS = list(Row.__dataclass_fields__)
_NOT_IN_FIRST = ("source_sha256", "trunk_sha256", "device")


def place(dataset: str, scale: int) -> str:
    """The name of a data set at one scale: that of its folders, and in the manifest."""
    return f"{dataset}_x{scale}"


def read_frame(folder: Path) -> pd.DataFrame:
    """The tidy frame of a results folder, also of one that sreval 0.1 wrote.

    Those rows have no source, trunk and device, and ``first_method_sha256`` as their method.
    Raises DataError when the folder holds no results, or those of a format that isn't known.
    """
    path = folder / RESULTS
    if not path.is_file():
        unfinished = (folder / JOURNAL).is_file()
        raise DataError(
            f"{folder} holds no {RESULTS}.",
            "Its run has not ended. Run the same benchmark again; it continues where it stopped."
            if unfinished
            else "Name the folder that `sreval benchmark` wrote.",
        )
    first = check_format(folder) == _FIRST
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if first and list(frame.columns) == [c for c in COLUMNS if c not in _NOT_IN_FIRST]:
            named = zip(frame["method"], frame["weights_sha256"], strict=True)
            frame["method_sha256"] = [first_method_sha256(*one) for one in named]
            frame = frame.reindex(columns=COLUMNS, fill_value="")
        if list(frame.columns) != COLUMNS:
            raise DataError(
                f"{path} has other columns than this version of sreval writes.",
                "Run the benchmark again into a new folder.",
            )
        # Python's float() gives back the very number that was written.
        frame["value"] = frame["value"].map(lambda text: float(text or "nan"))
        frame["scale"] = frame["scale"].map(int)
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path} is damaged ({error}).", "Run the benchmark again.") from None
    return frame


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a results folder. Raises DataError when it is absent or damaged."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError("it isn't a JSON object")
    except (OSError, ValueError) as error:
        raise DataError(
            f"Can't read {path} ({error}).", "Run the benchmark again into a new folder."
        ) from None
    return manifest


def check_format(folder: Path) -> int:
    """The format of the folder's results. Raises DataError for one that isn't known."""
    manifest = read_manifest(folder)
    found = manifest.get("format")
    if found not in (_FIRST, FORMAT):
        raise DataError(
            f"{folder} was written by sreval {manifest.get('version', 'of another kind')} in "
            f"format {found}; this version reads format {FORMAT}.",
            "Run the benchmark again into a new folder, or use that version.",
        )
    return int(found)


def is_first_format(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is sreval 0.1's, which doesn't say what its names stood for."""
    return manifest.get("format") == _FIRST


def first_method_sha256(method: str, weights_sha256: str) -> str:
    """What stands for a method in rows of sreval 0.1: its name and its weights.

    These rows have a hash of their own of each image's source, by which the images of one method
    can't be told from those of two.
    """
    return sha256_bytes(f"sreval 0.1 {method} {weights_sha256}".encode())


@dataclass(frozen=True)
class Image:
    """An image of a data set as the last run found it; why which methods ``failed`` on it.

    ``hr`` and ``lr`` are the files, absolute, ``lr`` empty where it was made; the hashes are those
    of the pair that was scored, empty where it couldn't be read.
    """

    scene: str
    hr: str
    lr: str
    hr_sha256: str = ""
    lr_sha256: str = ""
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def pair(self) -> tuple[str, str]:
        """The hashes of the pair."""
        return (self.hr_sha256, self.lr_sha256)


@dataclass(frozen=True)
class Held:
    """What a data set held when it was last run on.

    ``source`` is a public set's name, or the folder of the HR images; ``border`` is how missing
    LR images were made.
    """

    name: str
    scale: int
    source: str
    border: str
    images: dict[str, Image]


def read_datasets(manifest: dict[str, Any], path: Path) -> dict[str, Held]:
    """What the manifest at ``path`` says of data sets, by ``place``. Raises DataError."""
    try:
        return {
            key: Held(**{**one, "images": {k: Image(**i) for k, i in one["images"].items()}})
            for key, one in manifest.get("datasets", {}).items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({error}).", "Run the benchmark again into a new folder."
        ) from None


def read_rows(folder: Path) -> Iterator[Row]:
    """Every row of a results folder, those of a run under way after those of the runs before.

    Raises DataError as ``read_frame`` does.
    """
    if (folder / RESULTS).is_file():
        for record in read_frame(folder).to_dict("records"):
            yield Row(**{str(k): v for k, v in record.items()})
    for line in _journal(folder).splitlines():
        try:
            yield from [Row(**record) for record in json.loads(line)]
        except (ValueError, TypeError):
            continue  # the line that a killed run left half written


def _journal(folder: Path) -> str:
    path = folder / JOURNAL
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


class Store:
    """The rows of a results folder, growing while a run is under way.

    Every finished image is one line of the journal. A killed run loses only the images that it was
    working on. ``finish`` turns all lines into the CSV and the manifest.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make the folder. Raises DataError when it can't be written or read."""
        self._folder = folder
        self._images: dict[Subject, dict[tuple[str, str], Row]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._journal = (folder / JOURNAL).open("a", encoding="utf-8")
            try:
                claim(self._journal, folder)
            except DataError:
                self._journal.close()  # the other run's journal stays
                raise
            try:
                self._journal.write("\n" if self._load() else "")
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise write_error(folder, error) from error

    def _load(self) -> bool:
        """Take over what is there; whether the journal ends in the middle of a line."""
        if (self._folder / RESULTS).is_file() and check_format(self._folder) != FORMAT:
            raise DataError(
                f"{self._folder} was written by sreval 0.1; it can be read, not added to.",
                f"Name a new folder with {option('--out')}. Tables and figures still take this "
                "one.",
            )
        for row in read_rows(self._folder):
            self._add(row)
        text = _journal(self._folder)
        return bool(text) and not text.endswith("\n")

    def _add(self, row: Row) -> None:
        rows = self._images.setdefault(row.subject, {})
        for key in [key for key, old in rows.items() if old.origin != row.origin]:
            del rows[key]
        rows[row.protocol, row.metric] = row

    def rows(self, subject: Subject) -> list[Row]:
        """The rows of one SR image; they always have one origin."""
        return list(self._images.get(subject, {}).values())

    def drop(self, subject: Subject) -> None:
        """Forget an SR image that can no longer be made or scored."""
        self._images.pop(subject, None)

    def settle(self, dataset: str, scale: int, images: Mapping[str, Image]) -> None:
        """Bring the rows of a data set in line with what it holds now.

        Rows of images that it doesn't hold any more, or of other files, go; scenes are taken over.
        """
        for subject in [one for one in self._images if one[:2] == (dataset, scale)]:
            image, rows = images.get(subject[3]), self._images[subject]
            files = {(row.hr_sha256, row.lr_sha256) for row in rows.values()}
            if image is None or files != {image.pair}:
                self.drop(subject)
                continue
            self._images[subject] = {
                key: replace(row, scene=image.scene) for key, row in rows.items()
            }

    def methods(self) -> set[str]:
        """Every ``method_sha256`` in the rows."""
        return {row.method_sha256 for rows in self._images.values() for row in rows.values()}

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows of one SR image; older rows of another origin go. Raises DataError."""
        for row in rows:
            self._add(row)
        try:
            self._journal.write(json.dumps([asdict(row) for row in rows]) + "\n")
            self._journal.flush()
        except OSError as error:
            raise write_error(self._folder / JOURNAL, error) from error

    def frame(self) -> pd.DataFrame:
        """All rows, sorted by data set, scale, method, image, protocol and metric."""
        rows = [
            self._images[s][key] for s in sorted(self._images) for key in sorted(self._images[s])
        ]
        return pd.DataFrame([asdict(row) for row in rows], columns=COLUMNS)

    def finish(self, manifest: dict[str, Any]) -> pd.DataFrame:
        """Write CSV and manifest, drop the journal; the frame as written."""
        frame = self.frame()
        write_atomic(
            self._folder / MANIFEST,
            json.dumps({"format": FORMAT, **manifest}, indent=1, ensure_ascii=False) + "\n",
        )
        write_atomic(self._folder / RESULTS, frame.to_csv(index=False, lineterminator="\n"))
        self._journal.close()
        for name in (UNDER_WAY, JOURNAL):
            (self._folder / name).unlink(missing_ok=True)
        return frame

    def close(self) -> None:
        """Leave the journal, if there is anything in it, for a later run to go on from."""
        with suppress(OSError):  # a full disk has been reported by ``add``
            self._journal.close()
        journal = self._folder / JOURNAL
        if journal.is_file() and journal.stat().st_size == 0:
            (self._folder / UNDER_WAY).unlink(missing_ok=True)
            journal.unlink()


def missing_notes(frame: pd.DataFrame) -> list[str]:
    """One line for each reason why values are missing, with how many it concerns."""
    missing = frame[frame["value"].isna()]
    return [
        f"{len(group)} values under {protocol} are missing: {note}"
        for (protocol, note), group in missing.groupby(["protocol", "note"])
    ]


def remarks(frame: pd.DataFrame) -> list[str]:
    """One line for each thing that was done to pairs before they were scored, with the images."""
    done = frame[frame["value"].notna() & (frame["note"] != "")]
    done = done.assign(note=done["note"].str.split("; ")).explode("note")
    lines = []
    for note, rows in done.groupby("note"):
        parts = []
        for dataset, own in rows.groupby("dataset"):
            of = frame[frame["dataset"] == dataset]
            images, methods = list(own["image"].unique()), list(own["method"].unique())
            under = "" if len(methods) == of["method"].nunique() else f" under {', '.join(methods)}"
            count = f"{len(images)} of {of['image'].nunique()} images"
            parts.append(f"{dataset} {count} ({listed(images)}){under}")
        lines.append(f"{note}: {'; '.join(parts)}.")
    return lines
