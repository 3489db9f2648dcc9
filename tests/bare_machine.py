"""Run by test_bare_machine.py: Python in which only some packages exist, then sreval's work.

Arguments: the packages' modules joined by commas; then what is to be done, and what with: `train`
or `jobs` with a folder of photographs and a folder to fill, or `pytest` and its arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from pkgutil import walk_packages


class Some(PathFinder):
    """Finds the standard library, and of all that is installed the modules in `names`."""

    names: frozenset[str] = frozenset()

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        known = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if not known and top not in cls.names:
            return None
        return PathFinder.find_spec(fullname, path)


def main(names: str, what: str, *arguments: str) -> None:
    Some.names = frozenset(names.split(","))
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Some]
    if what == "pytest":
        import pytest

        sys.exit(pytest.main([*arguments]))
    (train if what == "train" else jobs)(*map(Path, arguments))


def train(photographs: Path, out: Path) -> None:
    """Score, train, show and upscale."""
    import sreval.training.run  # noqa: F401
    from sreval.images.io import read_image
    from sreval.metrics.protocol import PROTOCOLS
    from sreval.metrics.scorer import Reference

    command("models", "show", "srresnet-mse")
    one = read_image(min(photographs.iterdir())).pixels
    found = Reference(one).score(one, list(PROTOCOLS.values()), ["psnr", "ssim", "lpips"])
    assert {s.value for s in found if s.metric == "psnr"} == {float("inf")}
    assert {s.value for s in found if s.metric == "ssim"} == {1.0}
    assert {s.value for s in found if s.metric == "lpips"} == {0.0}
    smoke = ["--profile", "smoke", "--device", "cpu", "--out", out / "run"]
    smoke += ["--set", f"run.dataset={photographs}"]
    command("train", "srresnet-mse", "--data", photographs, *smoke)
    weights = out / "run" / "weights.safetensors"
    command("upscale", photographs, "--method", weights, "--out", out / "large")


STUDY = """
name = "tiny"
title = "Tiny"
instructions = "Look, then rate."
raters = 1
seed = 1

[images]
methods = ["nearest", "bicubic"]

[[images.datasets]]
name = "photographs"

[order]
scene_distance = 1

[consent]
version = "1"
text = "I agree."
"""


def jobs(photographs: Path, out: Path) -> None:
    """Import every module there is; then a benchmark, a study by HTTP, and tables of both."""
    import sreval

    for module in walk_packages(sreval.__path__, "sreval."):
        if not module.name.startswith(NO_LIBRARY):
            import_module(module.name)
    results, study, votes = out / "results", out / "study", out / "votes.sqlite"
    methods = ["--method", "nearest", "--method", "bicubic"]
    images = ["--dataset", photographs, "--protocol", "matlab"]
    command("benchmark", *methods, *images, "--out", results)
    command("table", results, "--baseline", "nearest")
    study.mkdir()
    (study / "study.toml").write_text(STUDY, encoding="utf-8")
    command("study", "freeze", study, "--results", results)
    command("study", "check", study)
    command("study", "simulate", study, "--raters", "1", "--database", votes)
    command("study", "export", study, "--database", votes, "--out", out / "export")
    command("opinions", out / "export" / "votes.csv")


NO_LIBRARY = ("sreval.__main__", "sreval.site.wsgi", "sreval.store.migrations")
"""Programs that run when they are imported, and migrations, which Alembic runs."""


def command(*args: object) -> None:
    """One command line; it must end well."""
    from sreval.cli import main

    try:
        main([str(arg) for arg in args])
    except SystemExit as ended:
        if ended.code:
            raise


if __name__ == "__main__":
    main(*sys.argv[1:])
