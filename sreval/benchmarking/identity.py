"""What the names in results folders mean, and which rows may be shown together.

A short name stands for no identity: the manifest keeps what every method and data set was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd

from sreval.benchmarking.metrics import declare_metrics
from sreval.benchmarking.results import (
    FORMAT,
    Done,
    Held,
    Meaning,
    ResultsFolder,
    Row,
    Snapshot,
    Stopped,
    UnderWay,
    as_json,
    changes,
    of_images,
    place,
    through,
)
from sreval.errors import DataError, UsageError, counted, listed, option
from sreval.files import sha256_bytes, sha256_or_empty, write_atomic
from sreval.frames import image_order
from sreval.images.datasets import Dataset
from sreval.images.known import KNOWN
from sreval.methods import Upscaler
from sreval.methods.base import IN_PYTHON
from sreval.metrics.metric import in_order, metric_of


class Names:
    """The names of one results folder, while a run into it is under way.

    Their meanings are kept in the manifest when the run ends, until then in ``under-way.json``,
    so that a killed run continues as the same run.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        """Read what an earlier run left. Raises DataError for a manifest that can't be read."""
        self._folder = folder
        there = folder.manifest_file.is_file()
        killed = folder.read_under_way()
        self.started = killed.started if killed else datetime.now(UTC).isoformat()
        self._earlier = folder.meanings if there else {}
        self._now = {
            name: {one.sha256: one for one in known}
            for name, known in (killed.methods if killed else {}).items()
        }
        known = folder.datasets if there else {}
        lines = folder.journal_lines()
        changed = not folder.results.is_file() or changes(line for _, line in lines)
        self._killed = killed if changed else None
        self._stopped = folder.stopped if there else []
        self.lost: dict[str, Held] = {}
        """What the data sets of killed runs held last, by ``place``."""
        self._done: dict[str, Held] = {}
        self.runs = list(folder.runs) if there else []
        """What the manifest is to say of the runs before this one."""
        self._of_manifest = len(self.runs)
        if self._killed:
            self._take_over(self._killed, lines, known)
        self.datasets = {**known, **self.lost}
        """What each data set held last, by ``place``."""
        self.stopped: list[Stopped] = []
        """What killed runs left undone that this run doesn't do."""
        sources = {name: one.source for name, one in known.items()}
        self._sources = {**sources, **(killed.sources if killed else {})}
        self._asked: dict[str, Held] = {}
        self._run: dict[str, Any] = {}
        self._journal = 0

    def _take_over(
        self,
        killed: UnderWay,
        lines: Sequence[tuple[int, list[Row] | Done]],
        known: Mapping[str, Held],
    ) -> None:
        """What the killed run found out of its data sets, and of what it was itself."""
        self._stopped = killed.stopped
        self.runs += killed.killed
        self.lost = dict(killed.earlier)
        self._done = through(killed, lines, {**known, **killed.earlier})
        for key, one in killed.datasets.items():
            before = {**known, **killed.earlier}.get(key, one).images
            kept = {name: before.get(name, image) for name, image in one.images.items()}
            self.lost[key] = replace(one, images={**kept, **self._done[key].images})

    def begin(
        self, datasets: Collection[Dataset], asked: Mapping[str, Held], run: Mapping[str, Any]
    ) -> None:
        """Note what this run works on: what the ``datasets`` hold, by ``place``, and its facts.

        ``run`` is what the manifest will say of it. Raises UsageError for a data set whose name
        another one has in this folder.
        """
        self._asked, self._run = dict(asked), dict(run)
        if self._killed and self._killed.run != json.loads(as_json(self._run)):
            self.runs.append({**self._killed.run, "finished": ""})
        self.stopped = self._left(run["methods"])
        self._journal = self._folder.journal.stat().st_size
        for dataset in datasets:
            name = place(dataset.name, dataset.scale)
            here = asked[name].source
            there = self._sources.get(name, here)
            before = self.datasets.get(name, asked[name])
            # earlier versions kept the folder to which the first file links
            earlier = str(dataset.items[0].file.resolve().parent)
            another = there not in (here, earlier) and (there in KNOWN or Path(there).is_dir())
            if another or before.has_originals != asked[name].has_originals:
                renamed = self._renamed(dataset)
                told = f"{there}, not {here}"
                if before.has_originals != asked[name].has_originals:
                    one, other = (
                        "originals" if held.has_originals else "LR images alone"
                        for held in (before, asked[name])
                    )
                    told = f"that one has {one}, in {there}; this one has {other}, in {here}"
                raise UsageError(
                    f"{self._folder.path} has results of another data set called {dataset.name!r}: "
                    f"{told}.",
                    f"Give this one its own name, as in "
                    f"`{option(f'--dataset {quote(renamed)}', repr(renamed))}`, or name another "
                    f"{option('--out')}.",
                )
            self._sources[name] = here
        self._write()

    def _left(self, methods: Collection[str]) -> list[Stopped]:
        """What killed runs left undone that a run of these ``methods`` doesn't do."""
        found = list(self._stopped)
        for key, done in self._done.items():
            asked = self._killed.datasets[key].images if self._killed else {}
            if len(done.images) < len(asked):
                of = list(self._killed.run["methods"]) if self._killed else []
                found.append(Stopped(done.name, done.scale, of, len(done.images), len(asked)))
        left = []
        for one in found:
            here = place(one.name, one.scale) in self._asked
            others = [m for m in one.methods if not (here and m in methods)]
            if others:
                left.append(replace(one, methods=others))
        return left

    def _renamed(self, dataset: Dataset) -> str:
        """What to name it by: as it is degraded, its name gets the recipe's behind it again."""
        first, number = dataset.items[0], 2
        here = str(first.folder_of(first.file).resolve())
        by = f"-{dataset.degradation.plain_name}" if dataset.degradation else ""
        name = dataset.name.removesuffix(by)
        by = dataset.name[len(name) :]
        while self._sources.get(place(f"{name}-{number}{by}", dataset.scale), here) != here:
            number += 1
        folders = {"hr": first.hr, "lr": first.lr}
        named = [f"{key}={first.folder_of(one).resolve()}" for key, one in folders.items() if one]
        return ",".join([*named, f"name={name}-{number}"])

    def meaning(self, method: Upscaler) -> Meaning:
        """What the method's name means now; kept in ``under-way.json`` when that is new.

        Every run of a method that isn't ``known`` counts as another method.
        """
        made = meaning_of(method, self._settings(method), self.started)
        now = self._now.setdefault(method.name, {})
        if made.sha256 not in now:
            before = self._earlier.get(method.name, {}).values()
            since = min((old.since for old in before if old.may_be(made)), default=made.since)
            now[made.sha256] = replace(made, since=since)
            self._write()
        return now[made.sha256]

    def holds(self, method: Upscaler, sha256: str) -> bool:
        """Whether what the rows say was made by ``sha256`` is what the method makes now.

        That is so where every file that it was made with is unchanged, those among them that
        haven't been loaded yet.
        """
        now = self.meaning(method)
        if sha256 == now.sha256:
            return True
        known = {**self._earlier.get(method.name, {}), **self._now.get(method.name, {})}
        then = known.get(sha256)
        return then is not None and then.may_be(now) and _are_unchanged(then.files, now.files)

    def alike(self, method: Upscaler) -> set[str]:
        """The hashes that may stand for what the method is now, none of its files read again."""
        wanted = (method.specification, self._settings(method), method.weights_sha256)
        return {
            sha256
            for known in (self._earlier, self._now)
            for sha256, one in known.get(method.name, {}).items()
            if (one.specification, one.settings, one.weights_sha256) == wanted
        }

    def _settings(self, method: Upscaler) -> str:
        return method.settings if method.known else f"run of {self.started}"

    def methods(self, kept: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """For the manifest: this run's meanings by name, and earlier ones that are ``kept``.

        The newest comes last.
        """
        found = {}
        for name in sorted({*self._earlier, *self._now}):
            now = self._now.get(name, {})
            earlier = self._earlier.get(name, {}).values()
            old = [one for one in earlier if one.sha256 in kept and one.sha256 not in now]
            found[name] = [asdict(one) for one in (*old, *now.values())]
        return {name: meanings for name, meanings in found.items() if meanings}

    def _write(self) -> None:
        content = UnderWay(
            format=FORMAT,
            started=self.started,
            methods={name: list(known.values()) for name, known in self._now.items()},
            sources=self._sources,
            datasets=self._asked,
            earlier={key: one for key, one in self.lost.items() if key not in self._asked},
            run=self._run,
            journal=self._journal,
            stopped=self.stopped,
            killed=self.runs[self._of_manifest :],
        )
        write_atomic(self._folder.under_way, as_json(asdict(content)) + "\n")


def meaning_of(method: Upscaler, settings: str, since: str) -> Meaning:
    """What a method is now, with what else decides its images in words."""
    sha256 = meaning_sha256(method.sha256, settings)
    files = method.files()
    return Meaning(method.specification, settings, sha256, since, method.weights_sha256, files)


def meaning_sha256(method_sha256: str, settings: str) -> str:
    """The SHA-256 of a method's meaning, from the method's own."""
    return sha256_bytes(f"{method_sha256} {settings}".encode())


def scored_as_another(method: Upscaler, rows: pd.DataFrame) -> bool:
    """Whether ``rows`` of its name are of another method, or of other settings.

    Of what isn't ``known`` that can't be told, and its name counts.
    """
    if not method.known:
        return False
    now = meaning_of(method, method.settings, "")
    for folder, sha256 in rows[["folder", "method_sha256"]].drop_duplicates().to_numpy():
        then = Snapshot.of(Path(folder)).meanings.get(method.name, {}).get(sha256)
        if then is None or not then.may_be(now):
            return True
    return False


def standing(
    folders: Sequence[Snapshot],
    say: Callable[[str], object] = lambda _: None,
    single: bool = False,
) -> pd.DataFrame:
    """The rows of all folders, each with its ``folder``, that hold for the data sets as they are.

    What a method scored before an image joined its data set, or before one changed, is left out
    until the method is run again, and ``say`` is told; not where ``single`` images are wanted
    rather than means. It is told, too, of a run that hasn't ended. Raises DataError where one name
    means two methods, and where one means two data sets.
    """
    frames = []
    held: dict[str, list[tuple[Path, Held]]] = {}
    meanings: dict[tuple[str, str, str], Meaning] = {}
    for folder in folders:
        if folder.unfinished:
            say(folder.unfinished if len(folders) == 1 else f"{folder.path}: {folder.unfinished}")
        if folder.is_first_format:
            say(
                f"{folder.path} was written by sreval 0.1, which did not record what the names of "
                "its methods stood for."
            )
        for name, known in folder.meanings.items():
            meanings |= {(str(folder.path), name, sha256): one for sha256, one in known.items()}
        for key, one in {**folder.datasets, **folder.asked}.items():
            held.setdefault(key, []).append((folder.path, one))
        kept = folder.frame.assign(folder=str(folder.path))
        declare_metrics(kept, [folder])
        kept = of_images(kept) if single else _whole(kept, folder, say)
        frames.append(kept if folder.is_first_format else _unmixed(kept, folder, say))
    for several in held.values():
        for first, second in combinations(several, 2):
            _refuse_two_datasets(first, second)
    frame = pd.concat(frames, ignore_index=True)
    _refuse_two_methods(frame, meanings)
    declare_metrics(frame, folders)
    return frame


def _whole(frame: pd.DataFrame, folder: Snapshot, say: Callable[[str], object]) -> pd.DataFrame:
    """Without what a method scored on a part of a data set as it is now."""
    of_row = [
        tuple(row) for row in frame[["dataset", "scale", "method", "protocol", "metric"]].to_numpy()
    ]
    scored: dict[tuple[Any, ...], set[str]] = {}
    made: dict[tuple[Any, ...], set[str]] = {}
    for key, image in zip(of_row, frame["image"], strict=True):
        scored.setdefault(key, set()).add(image)
        made.setdefault(key[:3], set()).add(image)
    lacking: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for key, there in scored.items():
        dataset, scale, method, *_ = key
        held = folder.datasets.get(place(dataset, scale))
        # what no run has read yet is no method's gap: the folder is unfinished
        images = [
            (name, image)
            for name, image in (held.images.items() if held and there != {""} else ())
            if any(image.pair) or image.failed
        ]
        missing = {name for name, image in images if method not in image.failed} - there
        if missing:
            alike = (dataset, scale, method, len(images), tuple(sorted(missing, key=image_order)))
            lacking.setdefault(alike, []).append(key)
    for (dataset, scale, method, of, missing), keys in lacking.items():
        subject = (dataset, scale, method)
        done = f"{of - len(missing)} of {counted(of, 'image')}"
        if any(
            (one.name, one.scale) == subject[:2] and method in one.methods for one in folder.stopped
        ):
            why = f"Its run was stopped after {done}."
        elif made[subject].isdisjoint(missing):
            why = (
                f"It wasn't run on these images, which are new or have changed: {listed(missing)}."
            )
        else:
            has = "has a value" if of - len(missing) == 1 else "have a value"
            why = f"{done} {has}, but not {listed(missing)}."
        every = [key for key in scored if key[:3] == subject]
        what = "scores" if len(keys) == len(every) else _named(keys, every)
        say(
            f"{dataset}: {what} of {method} {'are' if what == 'scores' else 'is'} left out. {why} "
            f"Run {method} on {dataset} again."
        )
    left_out = {key for keys in lacking.values() for key in keys}
    return frame[[key not in left_out for key in of_row]] if left_out else frame


def _named(keys: Sequence[tuple[Any, ...]], every: Sequence[tuple[Any, ...]]) -> str:
    """The metrics of ``keys``, and the protocols where ``every`` key has others, too."""
    protocols = list(dict.fromkeys(protocol for *_, protocol, _ in keys))
    names = " and ".join(metric_of(one).name for one in in_order({key[-1] for key in keys}))
    all_of_them = len({key[-2] for key in every}) == len(protocols)
    return names if all_of_them else f"{names} under {' and '.join(protocols)}"


def _unmixed(frame: pd.DataFrame, folder: Snapshot, say: Callable[[str], object]) -> pd.DataFrame:
    """Without what a method scored on a data set that a stopped run began to replace."""
    subject = ["dataset", "scale", "method"]
    mixed: list[tuple[Hashable, ...]] = []
    for key, hashes in frame.groupby(subject, sort=False)["method_sha256"].unique().items():
        if not isinstance(key, tuple):  # which several columns always give
            continue
        dataset, _, method = key
        known = folder.meanings.get(method, {})
        told = [known[sha256] for sha256 in hashes if sha256 in known]
        if not all(one.may_be(other) for one, other in combinations(told, 2)):
            mixed.append(key)
            kinds = " and some by ".join(map(str, told))
            say(
                f"{dataset}: scores of {method} are left out. Some of its images were made by "
                f"{kinds}, as a run was stopped. Run {method} on {dataset} again."
            )
    return frame[~pd.MultiIndex.from_frame(frame[subject]).isin(mixed)] if mixed else frame


def _refuse_two_datasets(one: tuple[Path, Held], other: tuple[Path, Held]) -> None:
    pairs = [{name: image.pair for name, image in held.images.items()} for _, held in (one, other)]
    if pairs[0].keys() == pairs[1].keys():
        return  # where files differ, the rows say which methods were run on which
    told = [
        f"{len(held.images)} images of {held.source} in {place}" for place, held in (one, other)
    ]
    raise DataError(
        f"These results hold two data sets called {one[1].name}: {' and '.join(told)}.",
        "Run one of them again as it is now, or under its own name: "
        f"{option('--dataset ', '')}{'hr' if one[1].has_originals else 'lr'}={one[1].source},"
        "name=NAME.",
    )


def _refuse_two_methods(frame: pd.DataFrame, meanings: dict[tuple[str, str, str], Meaning]) -> None:
    found: dict[tuple[int, str], dict[str, tuple[Meaning, dict[str, None]]]] = {}
    columns = ["scale", "method", "method_sha256", "folder", "dataset"]
    for scale, method, sha256, folder, dataset in dict.fromkeys(
        map(tuple, frame[columns].to_numpy())
    ):
        unknown = Meaning(f"a method with SHA-256 {sha256[:12]}", "", sha256, "")
        meaning = meanings.get((folder, method, sha256), unknown)
        of_name = found.setdefault((scale, method), {})
        of_name.setdefault(sha256, (meaning, {}))[1][dataset] = None
    several = frame["folder"].nunique() > 1
    for (_, method), kinds in found.items():
        told = [meaning for meaning, _ in kinds.values()]
        if all(one.may_be(other) for one, other in combinations(told, 2)):
            continue
        parts = [f"{meaning} on {', '.join(datasets)}" for meaning, datasets in kinds.values()]
        latest = max(told, key=lambda meaning: meaning.since)
        names = dict.fromkeys(name for _, datasets in kinds.values() for name in datasets)
        in_python = latest.specification.startswith(IN_PYTHON)
        if several and len({one.specification for one in told}) > 1:
            remedy = "Run one of them under another name into a new folder"
            name, alone = f"{method}-2", ""
        else:
            remedy = f"Run it on {' and '.join(names)} again"
            name, alone = method, " in one call of benchmark" if in_python else " in one command"
        as_in = "" if in_python else f", as in `--method {quote(f'{name}={latest.specification}')}`"
        raise DataError(
            f"These results hold different methods called {method}: {'; '.join(parts)}.",
            f"{remedy}{alone}{as_in}.",
        )


def _are_unchanged(then: dict[str, str], now: dict[str, str]) -> bool:
    """Whether files are still what they were; those in ``now`` have just been read."""
    return all(
        now.get(path) or sha256_or_empty(Path(path)) == sha256 for path, sha256 in then.items()
    )
