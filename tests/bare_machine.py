"""Run by test_bare_machine.py: Python in which only some packages exist, then sreval's work.

Arguments: the packages' modules joined by commas; then a folder of photographs and a folder to
fill, or what pytest is to be run with.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path


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


def main(names: str, *arguments: str) -> None:
    Some.names = frozenset(names.split(","))
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Some]
    if "pytest" in Some.names:
        import pytest

        sys.exit(pytest.main([*arguments]))
    work(*map(Path, arguments))


def work(photographs: Path, out: Path) -> None:
    """Score, train, list and upscale."""
    import sreval.training.run  # noqa: F401
    from sreval.images.io import read_image
    from sreval.metrics.protocol import PROTOCOLS
    from sreval.metrics.scorer import score

    command("models", "list")
    one = read_image(min(photographs.iterdir()))
    found = score(one, one, list(PROTOCOLS.values()), ["psnr", "ssim", "lpips"])
    assert {s.value for s in found if s.metric == "psnr"} == {float("inf")}
    assert {s.value for s in found if s.metric == "ssim"} == {1.0}
    assert {s.value for s in found if s.metric == "lpips"} == {0.0}
    smoke = ["--profile", "smoke", "--device", "cpu", "--out", out / "run"]
    command("train", "srresnet-mse", "--data", photographs, *smoke)
    weights = out / "run" / "weights.safetensors"
    command("upscale", photographs, "--method", weights, "--out", out / "large")


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
