"""Results on disk: a tidy CSV, a JSON manifest beside it, a journal while a run is under way."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sreval.config import CLOSED, validated
from sreval.errors import DataError, listed, option
from sreval.files import claim, sha256_bytes, write_atomic, write_error
from sreval.metrics.metric import Facts, Metric
from sreval.metrics.protocol import Protocol
from sreval.reading import TEXT_BYTES, from_json, read_bytes, read_json, read_text

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

    ``method_sha256`` is that of a ``Meaning``; ``source_sha256`` that of the file which a
    published SR image was taken from, ``metric_sha256`` that of the metric's definition (LPIPS's
    is its trunk's file; PSNR and SSIM have none beside the protocol's); ``device`` is the kind of
    device that the image was made and scored on. The value of a whole data set has no ``image`` and
    no ``scene``, and of its files ``set_sha256``.
    """

    __pydantic_config__ = CLOSED

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
    metric_sha256: str
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
_NOT_IN_FIRST = ("source_sha256", "metric_sha256", "device")


def set_sha256(hashes: Iterable[str]) -> str:
    """What stands for the files of a whole data set, in the order of its images' names."""
    return sha256_bytes("\n".join(hashes).encode())


def of_images(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of single images, those of whole data sets left out."""
    return frame[frame["image"] != ""]


def place(dataset: str, scale: int) -> str:
    """The name of a data set at one scale: that of its folders, and in the manifest."""
    return f"{dataset}_x{scale}"


@dataclass(frozen=True)
class Image:
    """An image of a data set as the last run found it; why which methods ``failed`` on it.

    ``hr`` and ``lr`` are the files, absolute, ``lr`` empty where it was made; the hashes are those
    of the pair that was scored, empty where it couldn't be read.
    """

    __pydantic_config__ = CLOSED

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


def set_pair(images: Mapping[str, Image]) -> tuple[str, str]:
    """The hashes of all pairs of a data set; see ``set_sha256``."""
    found = [images[name].pair for name in sorted(images)]
    return set_sha256(hr for hr, _ in found), set_sha256(lr for _, lr in found)


@dataclass(frozen=True)
class Held:
    """What a data set held when it was last run on.

    ``source`` is a public set's name, or the folder of the HR images; ``border`` is how missing
    LR images were made.
    """

    __pydantic_config__ = CLOSED

    name: str
    scale: int
    source: str
    border: str
    images: dict[str, Image]


@dataclass(frozen=True)
class Meaning:
    """What a method's name means, ``since`` a run's start (ISO 8601, UTC).

    ``sha256`` stands in the rows as ``method_sha256``; ``files`` are the SHA-256 of the files that
    the method consists of, by absolute path.
    """

    __pydantic_config__ = CLOSED

    specification: str
    settings: str
    sha256: str
    since: str
    weights_sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def may_be(self, other: Meaning) -> bool:
        """Whether both can be one method: alike in all, and no file in two versions.

        A function may have loaded more modules in one run than in another.
        """
        if self.sha256 == other.sha256:
            return True
        alike = (self.specification, self.settings) == (other.specification, other.settings)
        return alike and all(other.files.get(p, sha) == sha for p, sha in self.files.items())

    def __str__(self) -> str:
        return f"{self.specification} ({self.settings})" if self.settings else self.specification


class ResultsFolder:
    """A folder that a benchmark writes: every score, its manifest, every SR image.

    Where a method raises DataError, the folder holds no results, or damaged ones, or those of a
    format that isn't known.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path
        self.results, self.manifest_file = path / RESULTS, path / MANIFEST
        self.journal, self.under_way = path / JOURNAL, path / UNDER_WAY

    @property
    def is_one(self) -> bool:
        """Whether a benchmark has written here, be it finished or not."""
        return self.results.is_file() or self.journal.is_file()

    def inputs(self, dataset: str, scale: int) -> Path:
        """Where HR and LR images lie that had to be made or cropped."""
        return self.path / "inputs" / place(dataset, scale)

    def sr_image(self, dataset: str, scale: int, method: str, image: str) -> Path:
        """Where an SR image lies as it was scored."""
        return self.path / "images" / place(dataset, scale) / method / f"{image}.png"

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What ``manifest.json`` says. Raises DataError when it is absent or damaged."""
        path = self.manifest_file
        try:
            manifest = read_json(path)
            if not isinstance(manifest, dict):
                raise ValueError("it isn't a JSON object")
            if manifest.get("format") in (_FIRST, FORMAT):
                validated(_Manifest, manifest)
        except (OSError, ValueError) as error:
            raise DataError(
                f"Can't read {path} ({error}).", "Run the benchmark again into a new folder."
            ) from None
        return manifest

    @property
    def is_first_format(self) -> bool:
        """Whether sreval 0.1 wrote it, which didn't say what its names stood for."""
        return self.manifest.get("format") == _FIRST

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What the manifest says of every run, the last one last."""
        runs: list[dict[str, Any]] = self.manifest.get("runs", [])
        return runs

    @cached_property
    def datasets(self) -> dict[str, Held]:
        """What each data set held when it was last run on, by ``place``. Raises DataError."""
        try:
            return validated(dict[str, Held], self.manifest.get("datasets", {}))
        except ValueError as error:
            raise damaged(self.manifest_file, error) from None

    @property
    def protocols(self) -> dict[str, Protocol]:
        """The protocols of all runs by their hashes. Raises DataError."""
        try:
            return {
                facts["sha256"]: validated(Protocol, facts)
                for run in self.runs
                for facts in run["protocols"].values()
            }
        except ValueError as error:
            raise damaged(self.manifest_file, error) from None

    @cached_property
    def metrics(self) -> dict[str, list[Metric]]:
        """What each metric of all runs is, by its key, the newest last. Raises DataError."""
        found: dict[str, list[Metric]] = {}
        try:
            for run in self.runs:
                for key, facts in validated(dict[str, Facts], run.get("metrics", {})).items():
                    found.setdefault(key, []).append(facts.metric(key))
        except ValueError as error:
            raise damaged(self.manifest_file, error) from None
        return found

    @cached_property
    def meanings(self) -> dict[str, dict[str, Meaning]]:
        """What each method's name has meant, by name and hash, the newest last."""
        return read_meanings(self.manifest, self.manifest_file)

    def frame(self) -> pd.DataFrame:
        """The tidy frame of all scores, also of those that sreval 0.1 wrote.

        Those rows have no source, trunk and device, and ``first_method_sha256`` as their method.
        Raises DataError.
        """
        path = self.results
        if not path.is_file():
            raise DataError(
                f"{self.path} holds no {RESULTS}.",
                "Its run has not ended. Run the same benchmark again; it continues where it "
                "stopped."
                if self.journal.is_file()
                else "Name the folder that `sreval benchmark` wrote.",
            )
        self._check_format()
        try:
            text = io.StringIO(read_text(path), newline="")
            frame = pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)
            # before a metric could be another's, only LPIPS had something of its own: its trunk
            frame = frame.rename(columns={"trunk_sha256": "metric_sha256"})
            first = [c for c in COLUMNS if c not in _NOT_IN_FIRST]
            if self.is_first_format and list(frame.columns) == first:
                named = zip(frame["method"], frame["weights_sha256"], strict=True)
                frame["method_sha256"] = [first_method_sha256(*one) for one in named]
                frame = frame.reindex(columns=COLUMNS, fill_value="")
            if list(frame.columns) != COLUMNS:
                raise DataError(
                    f"{path} has other columns than this version of sreval writes.",
                    "Run the benchmark again into a new folder.",
                )
            if frame.isna().to_numpy().any():
                raise ValueError("a row has fewer cells than there are columns")
            # Python's float() gives back the very number that was written.
            frame["value"] = frame["value"].map(lambda text: float(text or "nan"))
            frame["scale"] = frame["scale"].map(int)
        except (OSError, ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise DataError(f"{path} is damaged ({error}).", "Run the benchmark again.") from None
        return frame

    def _check_format(self) -> None:
        found = self.manifest.get("format")
        if found not in (_FIRST, FORMAT):
            raise DataError(
                f"{self.path} was written by sreval "
                f"{self.manifest.get('version', 'of another kind')} in format {found}; this "
                f"version reads format {FORMAT}.",
                "Run the benchmark again into a new folder, or use that version.",
            )

    def rows(self) -> Iterator[Row]:
        """Every row, those of a run under way after those of the runs before. Raises DataError."""
        if self.results.is_file():
            for record in self.frame().to_dict("records"):
                yield Row(**{str(k): v for k, v in record.items()})
        for line in self.journal_text().splitlines():
            try:
                yield from validated(list[Row], from_json(line))
            except ValueError:
                continue  # the line that a killed run left half written

    def journal_text(self) -> str:
        """The journal as it is; empty where there is none. Raises DataError."""
        if not self.journal.is_file():
            return ""
        try:
            return read_bytes(self.journal, TEXT_BYTES).decode(errors="replace")
        except (OSError, ValueError) as error:
            raise damaged(self.journal, error) from None

    def failures(self) -> pd.DataFrame:
        """A row for each value that was asked for and that failed, by the manifest.

        Its value is NaN, its note the reason, and it has no hashes. Raises DataError.
        """
        asked: dict[tuple[str, int, str], dict[tuple[str, str, str], None]] = {}
        for run in self.runs:
            values = dict.fromkeys(
                (name, protocol["sha256"], metric)
                for name, protocol in run["protocols"].items()
                for metric in (
                    run["plan"]["metrics"]
                    if "metrics" not in run
                    else [key for key, one in run["metrics"].items() if one["per"] == "image"]
                )
            )
            for dataset, facts in run["datasets"].items():
                for method in run["methods"]:
                    asked.setdefault((dataset, int(facts["scale"]), method), {}).update(values)
        rows = [
            dict.fromkeys(COLUMNS, "")
            | {
                "dataset": held.name,
                "scale": held.scale,
                "method": method,
                "image": image,
                "scene": found.scene,
                "protocol": protocol,
                "protocol_sha256": sha256,
                "metric": metric,
                "value": float("nan"),
                "note": reason,
            }
            for held in self.datasets.values()
            for image, found in held.images.items()
            for method, reason in found.failed.items()
            for protocol, sha256, metric in asked.get((held.name, held.scale, method), ())
        ]
        return pd.DataFrame(rows, columns=COLUMNS)


def read_meanings(content: dict[str, Any], path: Path) -> dict[str, dict[str, Meaning]]:
    """What ``path``, whose content it is, says of methods, by name and hash, the newest last.

    Raises DataError where that makes no sense.
    """
    if content.get("format") == _FIRST:
        return _first_meanings(content)
    try:
        methods = validated(dict[str, list[Meaning]], content.get("methods", {}))
    except ValueError as error:
        raise damaged(path, error) from None
    return {name: {one.sha256: one for one in meanings} for name, meanings in methods.items()}


def _first_meanings(content: dict[str, Any]) -> dict[str, dict[str, Meaning]]:
    """All that a manifest of sreval 0.1 tells of methods: their names and their weights."""
    found: dict[str, dict[str, Meaning]] = {}
    for run in content.get("runs", []):
        for name, facts in run["methods"].items():
            weights = facts["weights_sha256"]
            sha256 = first_method_sha256(name, weights)
            settings = f"weights {weights[:12]}, by sreval 0.1" if weights else "by sreval 0.1"
            made = Meaning(name, settings, sha256, run["finished"], weights)
            found.setdefault(name, {})[sha256] = made
    return found


def first_method_sha256(method: str, weights_sha256: str) -> str:
    """What stands for a method in rows of sreval 0.1: its name and its weights.

    These rows have a hash of their own of each image's source, by which the images of one method
    can't be told from those of two.
    """
    return sha256_bytes(f"sreval 0.1 {method} {weights_sha256}".encode())


def damaged(path: Path, error: Exception) -> DataError:
    """What is said of a file whose content makes no sense."""
    return DataError(f"{path} is damaged ({error}).", "Run the benchmark again into a new folder.")


@dataclass(frozen=True)
class _Plan:
    metrics: list[str]
    datasets: list[str]


@dataclass(frozen=True)
class _Weights:
    weights_sha256: str


@dataclass(frozen=True)
class _Size:
    scale: int


@dataclass(frozen=True)
class _Machine:
    processor: str
    system: str
    gpu: str | None = None


@dataclass(frozen=True)
class _Definition:
    sha256: str


@dataclass(frozen=True)
class _Run:
    finished: str
    code: str
    plan: _Plan
    methods: dict[str, _Weights]
    datasets: dict[str, _Size]
    protocols: dict[str, _Definition]
    machine: _Machine
    packages: dict[str, str]
    command: str = ""
    metrics: dict[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True)
class _Manifest:
    """What sreval relies on in a manifest; all else is passed on as it is."""

    runs: list[_Run]
    version: str
    datasets: dict[str, Held] = field(default_factory=dict)
    methods: dict[str, list[Meaning]] = field(default_factory=dict)


class Store:
    """The rows of a results folder, growing while a run is under way.

    Every finished image is one line of the journal. A killed run loses only the images that it was
    working on. ``finish`` turns all lines into the CSV and the manifest.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        """Open or make the folder. Raises DataError when it can't be written or read."""
        self._folder = folder
        self._images: dict[Subject, dict[tuple[str, str], Row]] = {}
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            self._journal = folder.journal.open("a", encoding="utf-8")
            try:
                claim(self._journal, folder.path)
            except DataError:
                self._journal.close()  # the other run's journal stays
                raise
            try:
                self._journal.write("\n" if self._load() else "")
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise write_error(folder.path, error) from error

    def _load(self) -> bool:
        """Take over what is there; whether the journal ends in the middle of a line."""
        if self._folder.results.is_file() and self._folder.is_first_format:
            raise DataError(
                f"{self._folder.path} was written by sreval 0.1; it can be read, not added to.",
                f"Name a new folder with {option('--out')}. Tables and figures still take this "
                "one.",
            )
        for row in self._folder.rows():
            self._add(row)
        text = self._folder.journal_text()
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
            if subject[3] == "" and files == {set_pair(images)}:
                continue
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
            raise write_error(self._folder.journal, error) from error

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
            self._folder.manifest_file,
            json.dumps({"format": FORMAT, **manifest}, indent=1, ensure_ascii=False) + "\n",
        )
        write_atomic(self._folder.results, frame.to_csv(index=False, lineterminator="\n"))
        self._journal.close()
        for path in (self._folder.under_way, self._folder.journal):
            path.unlink(missing_ok=True)
        return frame

    def close(self) -> None:
        """Leave the journal, if there is anything in it, for a later run to go on from."""
        with suppress(OSError):  # a full disk has been reported by ``add``
            self._journal.close()
        journal = self._folder.journal
        if journal.is_file() and journal.stat().st_size == 0:
            self._folder.under_way.unlink(missing_ok=True)
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
    frame = of_images(frame)
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
