"""What is done with data sets beside scoring on them: list, fetch, check, downscale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

from sreval import content
from sreval.errors import DataError, ImageError, UsageError, counted, option, unknown_name
from sreval.files import sha256_bytes, write_atomic
from sreval.frames import image_order, is_frame, unit_of
from sreval.images import fetch as fetching
from sreval.images.datasets import Dataset, Item, open_dataset, published
from sreval.images.degradations import Degradation, known_degradation
from sreval.images.degrade import degrade, pixels_sha256
from sreval.images.degraded import DegradedImage, open_record, read_record, write_record
from sreval.images.folders import ImageFolder, composed, left_out_note
from sreval.images.io import encode_png, read_image
from sreval.images.known import (
    KNOWN,
    UNVERIFIED,
    PublicSet,
    UnverifiedSet,
    known_set,
    unverified_set,
)
from sreval.images.resize import BORDERS, crop_to_multiple, downscale, require_lr_size
from sreval.images.scales import checked_scale
from sreval.progress import progress_line

if TYPE_CHECKING:
    from sreval.metrics.weights import Weights

UInt8 = npt.NDArray[np.uint8]

TRUNKS = ("lpips-alex", "lpips-vgg", "vgg19")
OF_METRICS = ("dists", "brisque", "clip-iqa", "fid", "kid")
FETCHABLE = (*(name for name in KNOWN if name != "demo"), *TRUNKS, *OF_METRICS)


def known_datasets() -> list[dict[str, Any]]:
    """The data sets known by name, and where each lies.

    Keys: name, scales_known, scales_at_hand, folder ("" where there is none), about, licence, home.
    """
    rows = []
    every: list[PublicSet | UnverifiedSet] = [*KNOWN.values(), *UNVERIFIED.values()]
    for known in every:
        here = {scale: _where(known, scale) for scale in known.scales or (0,)}
        folders = [folder for folder in here.values() if folder]
        rows.append(
            {
                "name": known.name,
                "scales_known": list(known.scales),
                "scales_at_hand": [scale for scale in known.scales if here[scale]],
                "folder": folders[0] if folders else "",
                "about": known.about,
                "licence": known.licence,
                "home": known.home,
            }
        )
    return rows


def _where(known: PublicSet | UnverifiedSet, scale: int) -> str:
    """The folder that holds a whole set, or one without checksums; else ""."""
    if isinstance(known, UnverifiedSet):
        try:
            known.pairs(scale)
        except DataError:
            return ""
    return "scikit-image" if known.name == "demo" else str(known.locate(scale) or "")


def fetch(
    names: Sequence[str],
    scales: Sequence[float] = (4,),
    to: Path | None = None,
    mirror: str | None = None,
    progress: bool = False,
) -> Path:
    """Fetch data sets into ``to`` (None: the user's data folder), and networks' weights; ``to``.

    ``names`` are of FETCHABLE, in any case. ``progress``: whether to say on stderr what is fetched
    and how far it is. Raises UsageError for an unknown name or scale, DataError for what can't be
    fetched.
    """
    by_case = {name.lower(): name for name in FETCHABLE}
    scales = list(map(checked_scale, scales))
    for name in names:
        if unverified := unverified_set(name):
            raise UsageError(f"{unverified.name} can't be fetched.", unverified.remedy())
        if name.lower() not in by_case:
            raise unknown_name("data set", name, (*FETCHABLE, *UNVERIFIED))
    folder = to or content.user_data_dir()
    for name in (by_case[name.lower()] for name in names):
        if name == "vgg19":
            _fetch_vgg19(progress)
        elif name in TRUNKS:
            _fetch_trunk(name, progress)
        elif name in OF_METRICS:
            from sreval.metrics.packages import WEIGHTS

            _fetch_weights(name, WEIGHTS[name], progress)
        else:
            _fetch_set(name, scales, folder, mirror, progress)
    return folder


def _fetch_set(
    name: str, scales: Sequence[float], folder: Path, mirror: str | None, progress: bool
) -> None:
    known = KNOWN[name]
    files = list(dict.fromkeys(file for scale in scales for file in known.files(scale)))
    total = sum(file.size for file in files)
    _say(
        f"{name}: {len(files)} files, {total / 1e6:.0f} MB, from {mirror or known.home} "
        f"(licence: {known.licence})",
        progress,
    )
    with progress_line(total, name, "B", progress) as line:
        brought = fetching.fetch(files, folder, mirror, lambda file: line.update(file.size))
    _say(f"{name}: {brought} fetched, {len(files) - brought} were there.", progress)


def _fetch_trunk(name: str, progress: bool) -> None:
    from sreval.metrics.lpips import TRUNKS

    trunk = TRUNKS[name.removeprefix("lpips-")]
    if trunk.is_here():
        trunk.load()  # a damaged file is not there
    _fetch_weights(name, (trunk,), progress)


def _fetch_weights(name: str, files: Sequence[Weights], progress: bool) -> None:
    for weights in files:
        if weights.is_here():
            _say(f"{name}: already at {weights.file()}", progress)
            continue
        _say(f"{name}: downloading {weights.url}, {weights.megabytes} MB", progress)
        _say(f"{name}: {weights.download()}", progress)


def _fetch_vgg19(progress: bool) -> None:
    from sreval.networks.vgg import fetch_torchvision_vgg

    _say("vgg19: downloading torchvision's VGG19, 548 MB", progress)
    _say(f"vgg19: {fetch_torchvision_vgg()}", progress)


@dataclass(frozen=True)
class Checked:
    """What a check of a data set found; ``print`` shows it as ``sreval data check`` does.

    ``sequences`` is how many its images are frames of, 0 where they are stills. ``summary`` says
    how the LR images came about, ``left_out`` names images of a kind that isn't read, ``problems``
    is empty where everything is in order.
    """

    dataset: str
    images: int
    summary: str
    left_out: tuple[str, ...]
    problems: tuple[str, ...]
    sequences: int = 0

    def __str__(self) -> str:
        of = f"{self.images} images"
        if self.sequences:
            frames, sequences = counted(self.images, "frame"), counted(self.sequences, "sequence")
            of = f"{frames} of {sequences}"
        lines = [f"{self.dataset}: {of}, {self.summary}"]
        lines += [f"  {left_out_note(self.left_out)}"] * bool(self.left_out)
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])


def check(
    spec: str, scale: float = 4, recipe: Degradation | None = None, progress: bool = False
) -> Checked:
    """Checksums where they are known, else whether every image can be used.

    ``spec`` and ``recipe`` are as in ``open_dataset``, whose errors it raises; DataError for a
    public set of which no file is here.
    """
    known, scale = known_set(spec), checked_scale(scale)
    wrong: list[str] = []
    kinds: list[str] = []
    made_here = known is None or known.name == "demo" or known.hr_scale(scale) != scale
    if known is None or (made_here and known.scales):
        dataset = open_dataset(spec, scale, recipe)
        hashes = "; no checksums of it are known" if unverified_set(spec) else ""
        hashes += f"; {dataset.lr_note}" if dataset.lr_note else ""
    else:
        copy = known.best_copy(scale)
        dataset = published(copy)
        dataset = dataset.by(recipe) if recipe else dataset
        total, wrong = len(known.files(copy.scale)), copy.faults()
        hashes = f"; {total - len(wrong)} of {total} files have the published SHA-256"
    with progress_line(len(dataset.items), f"checking {dataset.name}", "image", progress) as line:
        for item in dataset.items:
            try:
                kinds.append(_origin(dataset, item))
            except ImageError as error:
                if made_here:
                    wrong.append(str(error))
            line.update()
    summary = ", ".join(f"{kinds.count(kind)} LR {kind}" for kind in dict.fromkeys(kinds))
    return Checked(
        dataset.name,
        len(dataset.items),
        (summary or "none usable") + hashes,
        dataset.left_out,
        tuple(wrong),
        len({unit_of(item.image) for item in dataset.items if is_frame(item.image)}),
    )


def _origin(dataset: Dataset, item: Item) -> str:
    """How the LR image comes about. Raises ImageError for a pair that can't be used.

    Raises DataError for a damaged record of a degradation.
    """
    pair = dataset.pair(item)
    if pair.hr is None:
        return "without an original"
    assert item.hr is not None
    cropped = " (HR cropped)" if pair.cropped else ""
    if item.lr is None:
        return f"to be made by {dataset.degradation}{cropped}"
    folder = item.folder_of(item.lr)
    name = composed(item.lr.relative_to(folder).with_suffix("").as_posix())
    record = read_record(folder)
    if record and not pair.recipe_sha256 and name in record.images:
        record.require(name, pixels_sha256(pair.hr), pair.lr_sha256, folder)
    for border in BORDERS:
        if np.array_equal(downscale(pair.hr, dataset.scale, border), pair.lr):
            return f"MATLAB bicubic, {border} border{cropped}"
    made = f"by {dataset.degradation}" if pair.recipe_sha256 else "made in another way"
    return f"{made}{cropped}"


@dataclass(frozen=True)
class Downscaled:
    """The LR images of a folder: where they are, how many, and by file name why one is missing."""

    folder: Path
    written: int
    failed: Mapping[str, str]


def downscale_folder(
    source: Path,
    target: Path,
    scale: float = 4,
    degradation: Degradation | None = None,
    *,
    crop: bool = False,
    progress: bool = False,
) -> Downscaled:
    """Write the LR image of every image in ``source`` to ``target``, as PNG of the same name.

    Frames stay in the folders of their sequences. ``degradation``: how, by default ``bicubic``;
    ``degradation.json`` in ``target`` records it. ``crop``: first cut each to what the LR image
    covers, see ``images.scales``. An image that can't be used stops none of the others. Raises
    UsageError for one folder given as both, an invalid scale and one that the degradation doesn't
    have, ImageError or DataError for a folder that can't be read or written, or that holds LR
    images made otherwise.
    """
    scale = checked_scale(scale)
    degradation = degradation or known_degradation("bicubic")
    degradation.require_scale(scale)
    if "=" in str(source) and not source.exists():
        raise UsageError(
            f"{source} is no folder of originals.", "Name the folder of the HR images alone."
        )
    if target.resolve() == source.resolve():
        raise UsageError(
            f"{target} holds the images themselves; they would be overwritten.",
            "Name another folder.",
        )
    folder = ImageFolder.with_frames(source, apart=[target])
    images = folder.by_name()
    if others := folder.left_out():
        _say(f"{source}: {left_out_note(others)}", progress)
    record = open_record(target, degradation, scale)
    made, failed = dict(record.images), {}
    write_record(target, record)
    with progress_line(len(images), "downscaling", "image", progress) as line:
        for name, path in images.items():
            try:
                hr = read_image(path).pixels
                cropped = crop_to_multiple(hr, scale)
                hr = cropped if crop else _fitting(hr, scale)
                lr, drawn = degrade(hr, record.degradation, scale)
                data = encode_png(lr)
                write_atomic(target / f"{name}.png", data)
                made[name] = DegradedImage(
                    hr_pixels_sha256=pixels_sha256(hr), lr_sha256=sha256_bytes(data), drawn=drawn
                )
            except ImageError as error:
                failed[path.relative_to(source).as_posix()] = str(error)
            line.update()
    there = {
        name: made[name]
        for name in sorted(made, key=image_order)
        if (target / f"{name}.png").is_file()
    }
    write_record(target, record.model_copy(update={"images": there}))
    return Downscaled(target, len(images) - len(failed), failed)


def _fitting(hr: UInt8, scale: float) -> UInt8:
    """The image as it is. Raises ImageError where it must be cropped first."""
    try:
        require_lr_size(hr, scale)
    except ImageError as error:
        remedy = f"Add {option('--crop', 'crop=True')}, or crop it yourself."
        raise ImageError(error.message, remedy) from None
    return hr


def _say(text: str, aloud: bool) -> None:
    if aloud:
        click.echo(text, err=True)
