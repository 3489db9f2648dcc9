"""Does a results folder ever print what a fresh one would not?

Random sequences of changes: methods renamed, added, dropped, a name given to another method,
weights trained anew, modules and published images edited, photographs removed, added and replaced,
data sets dropped and added, two folders of one name, runs killed. After each change the benchmark
runs into the old folder and into a fresh one, and the scores are compared, after every other one
the printed tables as well. Writes cache.json and cache.md; exits with 1 when any differ.

Example: python -m benchmarks.cache --sequences 20 --out build/bench
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.run import run
from sreval.errors import DataError, UsageError
from sreval.images.io import write_png
from sreval.report.collect import collect
from sreval.report.scores import score_table

CHANGES = 3
SIDE = 16
NET = """
import numpy as np
import helper

W = np.load("w.npy")

def near(lr):
    return lr.repeat(4, 0).repeat(4, 1) * W * helper.GAIN * {factor}

def flat(lr):
    return np.full((4 * lr.shape[0], 4 * lr.shape[1], 3), near(lr).mean())
"""
SPECS = (
    "nearest",
    "bicubic",
    "lanczos",
    "published:made",
    "python:net:near",
    "python:net:near,weights=w.npy",
    "python:net:flat,weights=w.npy",
)
DATASETS = ("A/set", "B/set", "q")
LABELS = ("one", "two", "three")


def main() -> int:
    """Run the sequences and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin, start = provenance(), time.monotonic()
    out = options.out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        found = differences(Path(folder), options.sequences)
    content = {**origin, **found, "seconds": time.monotonic() - start}
    write_results(out, "cache", content, "A results folder against a fresh one", lines(content))
    print(out / "cache.md")
    return 1 if found["different"] else 0


def differences(folder: Path, sequences: int, changes: int = CHANGES) -> dict[str, Any]:
    """Run sequences in ``folder``; what was changed how often, and every sequence that differed."""
    before = Path.cwd(), sys.dont_write_bytecode, os.fsync
    os.chdir(folder)
    sys.dont_write_bytecode = True  # Python takes a source for unchanged by its size and second
    os.fsync = lambda fd: None  # machines aren't ended here, and runs are many
    try:
        world = World()
        for number in range(sequences):
            world.sequence(number, changes)
            if number % 100 == 99:
                progress(f"{number + 1} sequences, {len(world.different)} differences")
    finally:
        os.chdir(before[0])
        sys.dont_write_bytecode, os.fsync = before[1:]
    return {
        "sequences": sequences,
        "runs": world.runs,
        "changes": dict(sorted(world.made.items())),
        "refused": dict(sorted(world.refused.items())),
        "computed": world.computed,
        "reused": world.reused,
        "different": world.different,
    }


class World:
    """A working directory, a plan, and the results folder ``r`` that is kept through changes."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.runs = self.computed = self.reused = 0
        self.different: list[str] = []
        self._fresh: dict[str, pd.DataFrame] = {}
        self._written: dict[Path, object] = {}
        self._reset(0)
        self._run(Path("first"))

    def sequence(self, number: int, changes: int) -> None:
        """So many changes from the same beginning, each followed by a run and a comparison."""
        self._reset(number)
        shutil.rmtree("r", ignore_errors=True)
        shutil.copytree("first", "r")
        self._note_runs()
        done = []
        for place in range(changes):
            change = self._random.choice(_CHANGES)
            change(self)
            self._write()
            name = change.__name__.lstrip("_")
            self.made[name] += 1
            done.append(name)
            if self._differs(print_all=place % 2 == 1):
                self.different.append(f"{number}: {', '.join(done)}")
                return

    def _reset(self, number: int) -> None:
        self._random = random.Random(number)
        self._methods = {"one": "bicubic", "two": "python:net:near,weights=w.npy"}
        self._datasets = ["A/set", "q"]
        self._files = {"w": 0, "gain": 0, "factor": 0, "made": 0}
        self._images = {"A/set": {"a": 0, "b": 1}, "B/set": {"a": 2}, "q": {"c": 3}}
        self._tags: dict[tuple[str, str], tuple[object, ...]] = {}
        self._runs = 0
        self._write()

    def _write(self) -> None:
        """The files of this moment, each written only where it has changed."""
        made = self._files["made"]
        now: dict[Path, object] = {
            Path("w.npy"): 1 - self._files["w"] / 8,
            Path("helper.py"): f"GAIN = {1 - self._files['gain'] / 8}\n",
            Path("net.py"): NET.format(factor=1 - self._files["factor"] / 8),
            **{Path("made", f"{name}.png"): 100 + made for name in "abcd"},
            **{
                Path(folder, f"{name}.png"): content
                for folder, images in self._images.items()
                for name, content in images.items()
            },
        }
        for path in self._written.keys() - now.keys():
            path.unlink()
        for path, content in now.items():
            if self._written.get(path) == content:
                continue
            if path.suffix == ".png":
                write_png(path, _noise(content))
            elif path.suffix == ".npy":
                np.save(path, np.asarray(content))
            else:
                path.write_text(str(content))
        self._written = now

    def _rename(self) -> None:
        label = self._random.choice(list(self._methods))
        spec = self._methods.pop(label)
        self._methods[self._free(label)] = spec

    def _mean_another(self) -> None:
        label = self._random.choice(list(self._methods))
        self._methods[label] = self._random.choice(SPECS)

    def _add_or_drop_a_method(self) -> None:
        if len(self._methods) > 1:
            self._methods.pop(self._random.choice(list(self._methods)))
        else:
            self._methods[self._free("")] = self._random.choice(SPECS)

    def _free(self, label: str) -> str:
        return self._random.choice([n for n in LABELS if n not in {*self._methods, label}])

    def _retrain(self) -> None:
        self._edit("w")

    def _edit_a_helper(self) -> None:
        self._edit("gain")

    def _edit_the_module(self) -> None:
        self._edit("factor")

    def _edit_the_published(self) -> None:
        self._edit("made")

    def _edit(self, name: str) -> None:
        self._files[name] = self._random.choice([n for n in range(3) if n != self._files[name]])

    def _change_an_image(self) -> None:
        images = self._images[self._random.choice(DATASETS)]
        name = self._random.choice("abcd")
        if name in images and len(images) > 1 and self._random.random() < 0.5:
            del images[name]
        else:
            images[name] = self._random.randrange(4)

    def _add_or_drop_a_data_set(self) -> None:
        if len(self._datasets) > 1:
            self._datasets.remove(self._random.choice(self._datasets))
        else:
            self._datasets.append("q" if "q" not in self._datasets else "A/set")

    def _take_the_other_folder(self) -> None:
        kept = [spec for spec in self._datasets if spec == "q"]
        self._datasets = [*kept, self._random.choice(("A/set", "B/set"))]

    def _kill_a_run(self) -> None:
        self._edit_the_module()
        self._write()
        try:
            self._run(Path("r"), killed=True)
        except KeyboardInterrupt:
            return
        except UsageError:
            return

    def _plan(self) -> BenchmarkPlan:
        return BenchmarkPlan(
            methods=[f"{label}={spec}" for label, spec in self._methods.items()],
            datasets=list(self._datasets),
            protocols=["rgb"],
            metrics=["psnr"],
            workers=1,
            device="cpu",
        )

    def _run(self, out: Path, killed: bool = False) -> pd.DataFrame:
        """The rows that were asked for."""

        def stop(*_: object) -> None:
            if killed:
                raise KeyboardInterrupt

        resolved = Resolved.of(self._plan())
        outcome = run(resolved, out, stop)
        assert not outcome.failures, outcome.failures
        self.computed += outcome.computed
        self.reused += outcome.reused
        return resolved.asked(outcome.frame)

    def _content(self, spec: str) -> tuple[object, ...]:
        """What a method, or a data set, comes to at this moment."""
        if spec.startswith("python"):
            return spec, *(self._files[name] for name in ("w", "gain", "factor"))
        folder = re.sub(r"hr=.*/([AB]/set),.*", r"\1", spec)
        return spec, repr(self._images.get(folder)), self._files["made"] * spec.startswith("pub")

    def _note_runs(self) -> None:
        """What each name stands for on each data set after a run that has ended."""
        self._runs += 1
        for label, spec in self._methods.items():
            unnamed = spec.startswith("python") and "," not in spec
            for dataset in self._datasets:
                tag = self._content(spec) if spec.startswith("python") else (spec,)
                self._tags[label, dataset] = (*tag, self._runs * unnamed)

    def _differs(self, print_all: bool) -> bool:
        """Whether values differ, or with ``print_all`` tables: that is what takes time."""
        try:
            asked = self._run(Path("r"))
        except UsageError as error:
            self.refused["two data sets of one name"] += 1
            remedy = re.search(r"as in `'(\S+)'`", str(error))
            if remedy is None:
                raise
            self._datasets = [one if one == "q" else remedy[1] for one in self._datasets]
            asked = self._run(Path("r"))
        self._note_runs()
        self.runs += 1
        specs = [*self._methods.values(), *self._datasets]
        key = repr((list(self._methods), [self._content(spec) for spec in specs]))
        if key not in self._fresh:
            shutil.rmtree("fresh", ignore_errors=True)
            self._fresh[key] = self._run(Path("fresh"))
        fresh = self._fresh[key]
        return _values(asked) != _values(fresh) or (print_all and self._shows_otherwise(fresh))

    def _shows_otherwise(self, fresh: pd.DataFrame) -> bool:
        """Whether the whole folder's table has other figures, or is refused and should not be.

        It holds earlier names, too: of these no more is asked than that they are not mixed up.
        """
        mixed = any(
            len({tag for (name, _), tag in self._tags.items() if name == label}) > 1
            for label in LABELS
        )
        try:
            rows = collect([Path("r")])
        except DataError:
            self.refused["a column of two methods"] += mixed
            return not mixed
        datasets = [re.sub(".*name=|.*/", "", spec) for spec in self._datasets]
        asked = rows["method"].isin(list(self._methods)) & rows["dataset"].isin(datasets)
        return mixed or _printed(rows[asked]) != _printed(fresh)


_CHANGES: tuple[Callable[[World], None], ...] = (
    World._rename,
    World._mean_another,
    World._add_or_drop_a_method,
    World._retrain,
    World._edit_a_helper,
    World._edit_the_module,
    World._edit_the_published,
    World._change_an_image,
    World._change_an_image,
    World._add_or_drop_a_data_set,
    World._take_the_other_folder,
    World._kill_a_run,
)


def _noise(seed: Any) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def _values(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(rows[["dataset", "method", "image", "value"]].itertuples(index=False, name=None))


def _printed(rows: pd.DataFrame) -> str:
    """The table of some rows as text."""
    return score_table(rows).to_text()


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    made = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in content["changes"].items())
    refused = ", ".join(f"{name} {n}" for name, n in content["refused"].items())
    return [
        f"{content['sequences']} sequences of {CHANGES} random changes to one results folder; "
        "after each its scores are compared with those of a fresh folder, after every other change "
        "the printed table, which is refused where a name stands for two methods. Goal: no "
        "difference.",
        "",
        "| runs compared | different | images computed | taken over | time |",
        "| ---: | ---: | ---: | ---: | ---: |",
        f"| {content['runs']} | {len(content['different'])} | {content['computed']} | "
        f"{content['reused']} | {content['seconds']:.0f} s |",
        "",
        f"Changes: {made}. Refused, rightly: {refused or 'nothing'}.",
    ]


if __name__ == "__main__":
    sys.exit(main())
