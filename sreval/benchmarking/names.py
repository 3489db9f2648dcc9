"""What the names in a results folder mean: every method and data set, and since when."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from sreval.benchmarking.results import (
    FORMAT,
    MANIFEST,
    UNDER_WAY,
    first_method_sha256,
    is_first_format,
    place,
    read_datasets,
    read_manifest,
)
from sreval.errors import DataError, UsageError, option
from sreval.files import sha256_bytes, sha256_or_empty, write_atomic
from sreval.images.datasets import Dataset
from sreval.images.known import KNOWN
from sreval.methods import Upscaler


@dataclass(frozen=True)
class Meaning:
    """What a method's name means, ``since`` a run's start (ISO 8601, UTC).

    ``sha256`` stands in the rows as ``method_sha256``; ``files`` are the SHA-256 of the files that
    the method consists of, by absolute path.
    """

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


class Names:
    """The names of one results folder, while a run into it is under way.

    Their meanings are kept in the manifest when the run ends, until then in ``under-way.json``,
    so that a killed run continues as the same run.
    """

    def __init__(self, folder: Path) -> None:
        """Read what an earlier run left. Raises DataError for a manifest that can't be read."""
        self._folder = folder
        there = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
        killed = _under_way(folder / UNDER_WAY)
        self.started: str = killed.get("started") or datetime.now(UTC).isoformat()
        self._earlier = read_meanings(there, folder / MANIFEST)
        self._now = read_meanings(killed, folder / UNDER_WAY)
        self.datasets = read_datasets(there, folder / MANIFEST)
        sources = {name: one.source for name, one in self.datasets.items()}
        self._sources: dict[str, str] = {**sources, **killed.get("sources", {})}

    def begin(self, datasets: Collection[Dataset], sources: Mapping[str, str]) -> None:
        """Note what this run works on; ``sources`` say by name where the data sets come from.

        Raises UsageError for a data set whose name another one has in this folder.
        """
        for dataset in datasets:
            name, here = place(dataset.name, dataset.scale), sources[dataset.name]
            there = self._sources.get(name, here)
            if there != here and (there in KNOWN or Path(there).is_dir()):
                renamed = self._renamed(dataset)
                raise UsageError(
                    f"{self._folder} has results of another data set called {dataset.name!r}: "
                    f"{there}, not {here}.",
                    f"Give this one its own name, as in "
                    f"`{option(f'--dataset {quote(renamed)}', repr(renamed))}`, or name another "
                    f"{option('--out')}.",
                )
            self._sources[name] = here
        self._write()

    def _renamed(self, dataset: Dataset) -> str:
        first, number = dataset.items[0], 2
        here = str(first.hr.resolve().parent)
        while self._sources.get(place(f"{dataset.name}-{number}", dataset.scale), here) != here:
            number += 1
        low = f",lr={first.lr.resolve().parent}" if first.lr else ""
        return f"hr={here}{low},name={dataset.name}-{number}"

    def meaning(self, method: Upscaler) -> Meaning:
        """What the method's name means now; kept in ``under-way.json`` when that is new.

        Every run of a method that isn't ``known`` counts as another method.
        """
        settings = self._settings(method)
        sha256 = sha256_bytes(f"{method.sha256} {settings}".encode())
        now = self._now.setdefault(method.name, {})
        if sha256 not in now:
            made = Meaning(
                method.specification,
                settings,
                sha256,
                self.started,
                method.weights_sha256,
                method.files(),
            )
            before = self._earlier.get(method.name, {}).values()
            since = min((old.since for old in before if old.may_be(made)), default=made.since)
            now[sha256] = Meaning(**{**asdict(made), "since": since})
            self._write()
        return now[sha256]

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
        content = {
            "format": FORMAT,
            "started": self.started,
            "methods": {
                name: [asdict(meaning) for meaning in meanings.values()]
                for name, meanings in self._now.items()
            },
            "sources": self._sources,
        }
        write_atomic(self._folder / UNDER_WAY, json.dumps(content, indent=1) + "\n")


def read_meanings(content: dict[str, Any], path: Path) -> dict[str, dict[str, Meaning]]:
    """What the manifest at ``path`` says of methods, by name and hash, the newest last.

    Raises DataError where its content makes no sense.
    """
    try:
        if is_first_format(content):
            return _first_meanings(content)
        return {
            name: {one["sha256"]: Meaning(**one) for one in meanings}
            for name, meanings in content.get("methods", {}).items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({error}).", "Run the benchmark again into a new folder."
        ) from None


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


def _under_way(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.get("format") == FORMAT else {}


def _are_unchanged(then: dict[str, str], now: dict[str, str]) -> bool:
    """Whether files are still what they were; those in ``now`` have just been read."""
    return all(
        now.get(path) or sha256_or_empty(Path(path)) == sha256 for path, sha256 in then.items()
    )
