"""The images at hand for a study that is not frozen yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sreval import settings
from sreval.benchmark.results import read_frame
from sreval.errors import SrevalError
from sreval.images.datasets import KNOWN, known_files, open_dataset
from sreval.study.design import StudyDesign
from sreval.study.manifest import Key
from sreval.study.parts import Pool
from sreval.upscalers.interpolation import INTERPOLATIONS

_MADE = ("hr", *INTERPOLATIONS)


def pool_at_hand(design: StudyDesign) -> Pool:
    """The images of every data set that a design names, as far as they are on this machine."""
    parts = [design.calibration, design.warm_up, *design.gold]
    names = [part.name for part in design.images.datasets]
    names += [part.dataset for part in parts if part]
    pool = {}
    for name in dict.fromkeys(names):
        with suppress(SrevalError):
            pool[name] = _images(name, design.images.scale)
    return pool


def stimuli_at_hand(design: StudyDesign, results: Sequence[Path]) -> Callable[[Key], bool]:
    """What freezing would find: interpolations and originals anywhere, others in `results`.

    Raises DataError for a folder that holds no results.
    """
    keys: set[Key] = set()
    for folder in results:
        frame = read_frame(folder)
        rows = frame[frame["scale"] == design.images.scale]
        keys.update(zip(rows["dataset"], rows["image"], rows["method"], strict=True))
    return lambda key: key[2] in _MADE or key in keys


def _images(name: str, scale: int) -> dict[str, str]:
    if name in KNOWN and not KNOWN[name].scales:
        return _photographs(name)
    return {item.image: item.scene for item in open_dataset(name, scale).items}


def _photographs(name: str) -> dict[str, str]:
    """The photographs of a public pool, e.g. BSDS300-train, each a scene of its own."""
    folders = settings.data_dirs()
    stems = [
        (folder / file.path).stem
        for file in known_files(name)
        if any((folder / file.path).is_file() for folder in folders)
        for folder in folders[:1]
    ]
    return {stem: f"{name}/{stem}" for stem in stems}
