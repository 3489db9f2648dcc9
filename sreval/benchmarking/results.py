"""Results on disk: a tidy CSV, a JSON manifest beside it, a journal while a run is under way."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sreval.config import CLOSED, validated
from sreval.errors import DataError, counted, listed, numbered, option
from sreval.files import claim, sha256_bytes, write_atomic, write_error
from sreval.frames import image_order
from sreval.images.datasets import NOT_PUBLISHED
from sreval.images.degradations import Degradation, open_degradation
from sreval.images.scales import UpscalingFactor, checked_scale
from sreval.metrics.metric import Facts, Metric
from sreval.metrics.protocol import Protocol
from sreval.reading import TEXT_BYTES, from_json, read_bytes, read_json, read_text

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
_FIRST = 1
"""The format of sreval 0.1: it is read, and never added to."""
Subject = tuple[str, float, str, str]
"""Data set, scale, method, image."""
RESULTS, MANIFEST, JOURNAL = "results.csv", "manifest.json", "journal.jsonl"
HASHES = "hashes.json"
"""What tells that an image hasn't changed since it was read; see ``sreval.hashes``."""
UNDER_WAY = "under-way.json"
"""What a run that hasn't ended works on; see ``UnderWay``."""


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
    scale: UpscalingFactor
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


CROPPED = "HR is cropped to what its LR image covers"


def noted(value: float, note: str, done: Iterable[str]) -> str:
    """The note of a row: why there is no value, else what was ``done`` to the pair first.

    What the ``note`` says of an earlier pair goes, what it says of the score stays.
    """
    if math.isnan(value):
        return note
    parts = note.split("; ")
    own = [part for part in parts if part and part != CROPPED and NOT_PUBLISHED not in part]
    return "; ".join([*own, *done])


def set_sha256(hashes: Iterable[str]) -> str:
    """What stands for the files of a whole data set, in the order of its images' names."""
    return sha256_bytes("\n".join(hashes).encode())


def of_images(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of single images, those of whole data sets left out."""
    return frame[frame["image"] != ""]


def place(dataset: str, scale: float) -> str:
    """The name of a data set at one scale: that of its folders, and in the manifest."""
    return f"{dataset}_x{scale:g}"


def titled(dataset: str, scale: float, several: bool) -> str:
    """A data set as a text names it: with its scale where the text is of ``several``."""
    return f"{dataset} ×{scale:g}" if several else dataset


def by_title(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows, whose data sets are named with their scales where there are several scales."""
    several = frame["scale"].nunique() > 1
    pairs = zip(frame["dataset"], frame["scale"], strict=True)
    return frame.assign(dataset=[titled(*pair, several) for pair in pairs])


@dataclass(frozen=True)
class Image:
    """An image of a data set as the last run found it; why which methods ``failed`` on it.

    ``hr`` and ``lr`` are the files, absolute, ``lr`` empty where it was made, ``hr`` where there is
    no original; the hashes are those
    of the pair that was scored, empty where it couldn't be read, and of the degradation that made
    its LR image, empty where that isn't known.
    """

    __pydantic_config__ = CLOSED

    scene: str
    hr: str
    lr: str
    hr_sha256: str = ""
    lr_sha256: str = ""
    recipe_sha256: str = ""
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def pair(self) -> tuple[str, str]:
        """The hashes of the pair."""
        return (self.hr_sha256, self.lr_sha256)

    def after(self, before: Image | None, methods: Collection[str]) -> Image:
        """With what other methods than this run's failed on ``before``, if it is the same image.

        An image that couldn't be read then nor now counts as the same: no method has it.
        """
        if before is None or before.pair != self.pair:
            return self
        others = {m: why for m, why in before.failed.items() if m not in methods}
        return replace(self, failed={**others, **self.failed})


def set_pair(images: Mapping[str, Image]) -> tuple[str, str]:
    """The hashes of all pairs of a data set, see ``set_sha256``; that of no originals is ""."""
    found = [images[name].pair for name in sorted(images)]
    originals = any(hr for hr, _ in found)
    return (
        set_sha256(hr for hr, _ in found) if originals else "",
        set_sha256(lr for _, lr in found),
    )


@dataclass(frozen=True)
class Held:
    """What a data set held when it was last run on.

    ``source`` is a public set's name, or the folder of the HR images, of the LR images where there
    are no others; ``degradation`` is how LR images were made, None where that isn't known.
    """

    __pydantic_config__ = CLOSED

    name: str
    scale: UpscalingFactor
    source: str
    degradation: Degradation | None
    images: dict[str, Image]

    @property
    def has_originals(self) -> bool:
        """Whether it has HR images."""
        return any(image.hr for image in self.images.values())


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
        settings = _MICROSECONDS.sub(r" \1 UTC", self.settings)
        return f"{self.specification} ({settings})" if settings else self.specification


_MICROSECONDS = re.compile(r"T(\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00$")
"""The end of a run's start in ISO 8601: it tells runs apart, a reader needs its seconds."""


@dataclass(frozen=True)
class Stopped:
    """What a run that was stopped left undone of a data set, and no run has made up for since.

    Under each of its ``methods`` it was through with ``done`` of the ``images``.
    """

    __pydantic_config__ = CLOSED

    name: str
    scale: UpscalingFactor
    methods: list[str]
    done: int
    images: int


@dataclass(frozen=True)
class Done:
    """An SR image that a run is through with and has no new row of: taken over, or failed on.

    ``failed`` is why, else empty. The hashes are the pair's, empty where it couldn't be read.
    """

    __pydantic_config__ = CLOSED

    dataset: str
    scale: UpscalingFactor
    method: str
    image: str
    hr_sha256: str
    lr_sha256: str
    failed: str = ""

    @property
    def subject(self) -> Subject:
        """The SR image."""
        return (self.dataset, self.scale, self.method, self.image)


@dataclass(frozen=True)
class UnderWay:
    """What a run that hasn't ended works on: the content of ``under-way.json``.

    ``methods`` are what its names mean, as far as they are known, and ``sources`` where the data
    sets of the folder come from. ``datasets`` are all images that it was asked for; ``run`` is what
    the manifest will say of it. Of runs that were killed before it and that it doesn't go on with,
    ``earlier`` are the data sets, ``stopped`` what they left, ``killed`` what the manifest will say
    of them. The first ``journal`` bytes of the journal are of runs before it.
    """

    format: int
    started: str
    methods: dict[str, list[Meaning]]
    sources: dict[str, str]
    datasets: dict[str, Held]
    earlier: dict[str, Held]
    run: dict[str, Any]
    journal: int
    stopped: list[Stopped] = field(default_factory=list)
    killed: list[dict[str, Any]] = field(default_factory=list)


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
        self.hashes = path / HASHES

    @property
    def is_one(self) -> bool:
        """Whether a benchmark has written here, be it finished or not."""
        return self.results.is_file() or self.journal.is_file()

    def inputs(self, dataset: str, scale: float) -> Path:
        """Where HR and LR images lie that had to be made or cropped."""
        return self.path / "inputs" / place(dataset, scale)

    def sr_image(self, dataset: str, scale: float, method: str, image: str) -> Path:
        """Where an SR image lies as it was scored."""
        return self.path / "images" / place(dataset, scale) / method / f"{image}.png"

    def left_over(self, frame: pd.DataFrame) -> list[str]:
        """SR images of which ``frame`` has no score, as paths below the folder.

        They are of an image that was renamed or has left its data set, or that fails now.
        """
        subjects = of_images(frame)[["dataset", "scale", "method", "image"]].drop_duplicates()
        scored = {self.sr_image(*one) for one in subjects.itertuples(index=False)}
        lie_here = set((self.path / "images").rglob("*.png"))
        return [
            str(path.relative_to(self.path)) for path in sorted(lie_here - scored, key=numbered)
        ]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What ``manifest.json`` says. Raises DataError when it is absent or damaged."""
        path = self.manifest_file
        try:
            manifest = read_json(path)
            if not isinstance(manifest, dict):
                raise ValueError("it isn't a JSON object")
            _name_recipes(manifest.get("datasets"))
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

    @property
    def stopped(self) -> list[Stopped]:
        """What runs that were stopped left undone, by the manifest. Raises DataError."""
        try:
            return validated(list[Stopped], self.manifest.get("stopped", []))
        except ValueError as error:
            raise damaged(self.manifest_file, error) from None

    @cached_property
    def datasets(self) -> dict[str, Held]:
        """What each data set held when it was last run on, by ``place``. Raises DataError."""
        try:
            return validated(dict[str, Held], self.manifest.get("datasets", {}))
        except ValueError as error:
            raise damaged(self.manifest_file, error) from None

    @cached_property
    def meanings(self) -> dict[str, dict[str, Meaning]]:
        """What each method's name has meant, by name and hash, the newest last."""
        return read_meanings(self.manifest, self.manifest_file)

    def frame(self) -> pd.DataFrame:
        """The tidy frame of all scores, also of those that sreval 0.1 wrote.

        Those rows have no source, trunk and device, and ``first_method_sha256`` as their method.
        Raises DataError.
        """
        import pandas as pd

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
            frame["scale"] = frame["scale"].map(lambda text: checked_scale(float(text)))
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
            yield from _rows(self.frame())
        for _, line in self.journal_lines():
            if isinstance(line, list):
                yield from line

    def journal_lines(self) -> list[tuple[int, list[Row] | Done]]:
        """What the journal's lines say, each with the byte that it begins at. Raises DataError.

        A line that a killed run left half written is left out.
        """
        found: list[tuple[int, list[Row] | Done]] = []
        begins = 0
        for line in self.journal_bytes().splitlines(keepends=True):
            with suppress(ValueError):
                said = from_json(line)
                rows = isinstance(said, list)
                found.append(
                    (begins, validated(list[Row], said) if rows else validated(Done, said))
                )
            begins += len(line)
        return found

    def journal_bytes(self) -> bytes:
        """The journal as it is; empty where there is none. Raises DataError."""
        try:
            return read_bytes(self.journal, TEXT_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except (OSError, ValueError) as error:
            raise damaged(self.journal, error) from None

    def read_under_way(self) -> UnderWay | None:
        """What the run that hasn't ended works on; None where there is none, or no sense in it."""
        try:
            found = validated(UnderWay, read_json(self.under_way))
            for run in (found.run, *found.killed):
                validated(_Run, run)
        except (OSError, ValueError):
            return None
        return found if found.format == FORMAT else None

    def held(self, key: str) -> Held | None:
        """The images of a data set by its ``place``: as a run under way has them, else the last.

        Raises DataError.
        """
        now = self.read_under_way()
        if now and key in now.datasets:
            return now.datasets[key]
        return self.datasets.get(key) if self.manifest_file.is_file() else None

    def versions(self) -> list[tuple[int, ...]]:
        """What tells whether a file that is replaced as a whole has been replaced."""
        found: list[tuple[int, ...]] = []
        for path in (self.under_way, self.manifest_file, self.results):
            try:
                facts = path.stat()
                found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
            except OSError:
                found.append(())
        return found


def _rows(frame: pd.DataFrame) -> Iterator[Row]:
    for record in frame.to_dict("records"):
        row = {str(k): v for k, v in record.items()}
        yield Row(**{**row, "scale": checked_scale(row["scale"])})


def changes(lines: Iterable[list[Row] | Done]) -> bool:
    """Whether a journal says anything but that images were taken over."""
    return any(isinstance(line, list) or line.failed for line in lines)


@dataclass(frozen=True)
class Snapshot:
    """What a results folder holds at one moment, whether its run has ended or not.

    While a run is under way, and after it was killed, ``datasets`` hold of the data sets that it
    was asked for, which are ``asked``, the images that it is through with under all its methods,
    and ``frame`` the rows of these; all else is as the runs before left it. Where no run is under
    way, or where it has only taken over what was there, ``asked`` is empty. ``stopped`` is what
    earlier runs left undone.
    """

    path: Path
    frame: pd.DataFrame
    runs: list[dict[str, Any]]
    datasets: dict[str, Held]
    meanings: dict[str, dict[str, Meaning]]
    is_first_format: bool = False
    asked: dict[str, Held] = field(default_factory=dict)
    stopped: list[Stopped] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> Snapshot:
        """Read a folder. Raises DataError as ``ResultsFolder`` does.

        Nothing is locked: where a run has replaced a file meanwhile, all is read again.
        """
        while True:
            folder = ResultsFolder(path)
            before = folder.versions()
            try:
                found = _read(folder)
            except DataError:
                if folder.versions() == before:
                    raise
                continue
            if folder.versions() == before:
                return found

    @property
    def unfinished(self) -> str:
        """How far the runs are that haven't ended, as sentences; empty where there is none."""
        done = [
            (len(self.datasets[key].images), len(one.images), one.name)
            for key, one in self.asked.items()
        ]
        told = []
        if done:
            (_, of, _), *_ = done
            told.append(_so_far(done, f" {'is' if of == 1 else 'are'} done"))
        left: dict[tuple[str, ...], list[tuple[int, int, str]]] = {}
        for one in self.stopped:
            left.setdefault(tuple(one.methods), []).append((one.done, one.images, one.name))
        for methods, places in left.items():
            told.append(f"a run of {listed(methods)} was stopped after {_so_far(places)}")
        return f"Unfinished: {'; '.join(told)}." if told else ""

    def require_finished(self) -> None:
        """Raises DataError where a run hasn't ended: what is to last must not rest on its part."""
        if self.asked:
            raise DataError(
                f"The run into {self.path} has not ended. {self.unfinished}",
                "Wait until it ends. If it was stopped, run the same benchmark again; it "
                "continues where it stopped.",
            )
        if self.stopped:
            raise DataError(
                f"{self.path} holds a part of what it was to hold. {self.unfinished}",
                "Run these methods on these data sets again, or all that you need into a new "
                "folder.",
            )

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
            raise damaged(self.path / MANIFEST, error) from None

    @property
    def metrics(self) -> dict[str, list[Metric]]:
        """What each metric of all runs is, by its key, the newest last. Raises DataError."""
        found: dict[str, list[Metric]] = {}
        try:
            for run in self.runs:
                for key, facts in validated(dict[str, Facts], run.get("metrics", {})).items():
                    found.setdefault(key, []).append(facts.metric(key))
        except ValueError as error:
            raise damaged(self.path / MANIFEST, error) from None
        return found

    def failures(self) -> pd.DataFrame:
        """A row for each value that was asked for and that failed, by the manifest.

        Its value is NaN, its note the reason, and it has no hashes. Raises DataError.
        """
        import pandas as pd

        asked: dict[tuple[str, float, str], dict[tuple[str, str, str, bool], None]] = {}
        for run in self.runs:
            values = dict.fromkeys(
                (name, protocol["sha256"], metric, reference)
                for name, protocol in run["protocols"].items()
                for metric, reference in (
                    [(key, True) for key in run["plan"]["metrics"]]
                    if "metrics" not in run
                    else [
                        (key, one["reference"])
                        for key, one in run["metrics"].items()
                        if one["per"] == "image"
                    ]
                )
            )
            for dataset, facts in run["datasets"].items():
                for method in run["methods"]:
                    asked.setdefault((dataset, facts["scale"], method), {}).update(values)
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
            for protocol, sha256, metric, reference in asked.get(
                (held.name, held.scale, method), ()
            )
            if found.hr or not reference
        ]
        return pd.DataFrame(rows, columns=COLUMNS)


def _read(folder: ResultsFolder) -> Snapshot:
    lines, now = folder.journal_lines(), folder.read_under_way()
    begun = folder.results.is_file()
    if now is None or (begun and not changes(line for _, line in lines)):
        frame = folder.frame()
        first = folder.is_first_format
        return Snapshot(
            folder.path,
            frame,
            folder.runs,
            folder.datasets,
            folder.meanings,
            first,
            stopped=folder.stopped,
        )
    there = folder.manifest_file.is_file()
    before = {**(folder.datasets if there else {}), **now.earlier}
    scores = Scores(_rows(folder.frame()) if begun else ())
    for _, line in lines:
        if isinstance(line, list):
            scores.put(line)
        elif line.failed:
            scores.drop(line.subject)
    done = through(now, lines, before)
    for one in done.values():
        scores.settle(one.name, one.scale, one.images, {})
    meanings = dict(folder.meanings) if there else {}
    for method, known in now.methods.items():
        meanings[method] = {**meanings.get(method, {}), **{one.sha256: one for one in known}}
    return Snapshot(
        folder.path,
        scores.frame(),
        [*(folder.runs if there else []), *now.killed, now.run],
        {**before, **done},
        meanings,
        asked=now.datasets,
        stopped=now.stopped,
    )


def through(
    now: UnderWay, lines: Iterable[tuple[int, list[Row] | Done]], before: Mapping[str, Held]
) -> dict[str, Held]:
    """Its data sets with the images alone that a run is through with under all its methods.

    ``lines`` are the journal's; ``before`` is what the data sets held before the run.
    """
    ended: dict[Subject, Row | Done] = {}
    for begins, line in lines:
        if begins >= now.journal:
            ended |= {one.subject: one for one in (line if isinstance(line, list) else [line])}
    methods = list(now.run.get("methods", ()))
    done = {}
    for key, asked in now.datasets.items():
        earlier = before[key].images if key in before else {}
        images = {}
        for name, image in asked.images.items():
            found = [ended.get((asked.name, asked.scale, m, name)) for m in methods]
            of_all = [one for one in found if one is not None]
            if len(of_all) < len(methods):
                continue
            failed = {o.method: o.failed for o in of_all if isinstance(o, Done) and o.failed}
            hr_sha256, lr_sha256 = of_all[0].hr_sha256, of_all[0].lr_sha256
            made = replace(image, hr_sha256=hr_sha256, lr_sha256=lr_sha256, failed=failed)
            images[name] = made.after(earlier.get(name), methods)
        done[key] = replace(asked, images=images)
    return done


def _so_far(places: Sequence[tuple[int, int, str]], end: str = "") -> str:
    """How many of how many images of each data set, the ``end`` behind the first."""
    (done, of, name), *others = places
    first = f"{done} of {counted(of, 'image')} of {name}{end}"
    return ", ".join([first, *(f"{done} of {of} of {name}" for done, of, name in others)])


def _name_recipes(datasets: object) -> None:
    """Give data sets their degradation that were written when bicubic was the only one."""
    for held in datasets.values() if isinstance(datasets, dict) else ():
        if isinstance(held, dict) and isinstance(border := held.get("border"), str):
            recipe = open_degradation(f"bicubic:border={border}")
            held["degradation"] = recipe.model_dump(mode="json")
            del held["border"]


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


def as_json(content: object, indent: int | None = None) -> str:
    """What a results folder keeps beside its rows, degradations in it, as JSON."""
    return json.dumps(
        content, indent=indent, ensure_ascii=False, default=lambda one: one.model_dump(mode="json")
    )


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
    scale: UpscalingFactor


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
class _Ended(_Run):
    finished: str = field(kw_only=True)


@dataclass(frozen=True)
class _Manifest:
    """What sreval relies on in a manifest; all else is passed on as it is."""

    runs: list[_Ended]
    version: str
    datasets: dict[str, Held] = field(default_factory=dict)
    methods: dict[str, list[Meaning]] = field(default_factory=dict)
    stopped: list[Stopped] = field(default_factory=list)


class Scores:
    """Rows by SR image; those of one image always have one origin."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._images: dict[Subject, dict[tuple[str, str], Row]] = {}
        self.put(rows)

    def put(self, rows: Iterable[Row]) -> None:
        """Take over rows; older ones of their SR images that have another origin go."""
        for row in rows:
            there = self._images.setdefault(row.subject, {})
            for key in [key for key, old in there.items() if old.origin != row.origin]:
                del there[key]
            there[row.protocol, row.metric] = row

    def rows(self, subject: Subject) -> list[Row]:
        """The rows of one SR image."""
        return list(self._images.get(subject, {}).values())

    def drop(self, subject: Subject) -> None:
        """Forget an SR image that can no longer be made or scored."""
        self._images.pop(subject, None)

    def settle(
        self,
        dataset: str,
        scale: float,
        images: Mapping[str, Image],
        preparations: Mapping[str, Sequence[str]],
    ) -> None:
        """Bring the rows of a data set in line with what it holds now.

        Rows of images that it doesn't hold any more, or of other files, go; scenes are taken over,
        and so is what was done to the pairs, of the images of which that is known.
        """
        for subject in [one for one in self._images if one[:2] == (dataset, scale)]:
            image, rows = images.get(subject[3]), self._images[subject]
            files = {(row.hr_sha256, row.lr_sha256) for row in rows.values()}
            if subject[3] == "" and files == {set_pair(images)}:
                continue
            if image is None or files != {image.pair}:
                self.drop(subject)
                continue
            for key, row in rows.items():
                done = preparations.get(subject[3])
                note = row.note if done is None else noted(row.value, row.note, done)
                rows[key] = replace(row, scene=image.scene, note=note)

    def methods(self) -> set[str]:
        """Every ``method_sha256`` in the rows."""
        return {row.method_sha256 for rows in self._images.values() for row in rows.values()}

    def made(self, device: str, code: str) -> set[tuple[str, str]]:
        """Every method, with its ``method_sha256``, that made an image on that device by that code.

        ``code`` is that of ``provenance.code_version``.
        """
        return {
            (row.method, row.method_sha256)
            for rows in self._images.values()
            for row in rows.values()
            if (row.device, row.code) == (device, code)
        }

    def frame(self) -> pd.DataFrame:
        """All rows, sorted by data set, scale, method, image, protocol and metric."""
        import pandas as pd

        subjects = sorted(self._images, key=lambda subject: (*subject[:3], image_order(subject[3])))
        rows = [self._images[s][key] for s in subjects for key in sorted(self._images[s])]
        return pd.DataFrame([asdict(row) for row in rows], columns=COLUMNS)


class Store(Scores):
    """The rows of a results folder, growing while a run is under way.

    Every finished image is one line of the journal. A killed run loses only the images that it was
    working on. ``finish`` turns all lines into the CSV and the manifest.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        """Open or make the folder. Raises DataError when it can't be written or read."""
        super().__init__()
        self._folder = folder
        self._changed = False
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
        data = self._folder.journal_bytes()
        self._changed = bool(data)
        self.put(self._folder.rows())
        return bool(data) and not data.endswith(b"\n")

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows of one SR image; older rows of another origin go. Raises DataError."""
        self.put(rows)
        self._write([asdict(row) for row in rows], changed=True)

    def done(self, one: Done) -> None:
        """Note an SR image that needs no new row; one that failed is dropped. Raises DataError."""
        if one.failed:
            self.drop(one.subject)
        self._write(asdict(one), changed=bool(one.failed))

    def _write(self, line: object, changed: bool) -> None:
        self._changed = self._changed or changed
        try:
            self._journal.write(json.dumps(line) + "\n")
            self._journal.flush()
        except OSError as error:
            raise write_error(self._folder.journal, error) from error

    def finish(self, manifest: dict[str, Any]) -> pd.DataFrame:
        """Write CSV and manifest, drop the journal; the frame as written."""
        frame = self.frame()
        write_atomic(
            self._folder.manifest_file,
            as_json({"format": FORMAT, **manifest}, indent=1) + "\n",
        )
        plain = frame.assign(scale=frame["scale"].map("{:g}".format))  # not 4.0 beside 2.5
        write_atomic(self._folder.results, plain.to_csv(index=False, lineterminator="\n"))
        self._journal.close()
        # in this order: a journal that nothing explains is of a run that has ended
        for path in (self._folder.under_way, self._folder.journal):
            path.unlink(missing_ok=True)
        return frame

    def close(self) -> None:
        """Leave the journal, if it says anything new, for a later run to go on from."""
        if self._journal.closed:
            return
        with suppress(OSError):  # a full disk has been reported by ``add``
            self._journal.close()
        if not self._changed:
            for path in (self._folder.under_way, self._folder.journal):
                path.unlink(missing_ok=True)


def missing_notes(frame: pd.DataFrame) -> list[str]:
    """One line for each reason why values are missing, with how many it concerns."""
    missing = frame[frame["value"].isna()]
    return [
        f"{counted(len(group), 'value')} under {protocol} {'is' if len(group) == 1 else 'are'} "
        f"missing: {note}"
        for (protocol, note), group in missing.groupby(["protocol", "note"])
    ]


def remarks(frame: pd.DataFrame) -> list[str]:
    """One line for each thing that was done to pairs before they were scored, with the images."""
    frame = by_title(of_images(frame))
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
