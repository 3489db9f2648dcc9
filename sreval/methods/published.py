"""Images that others made, taken from a folder as they are.

Which file is the result for which image is told by names, by numbers, or by a CSV.
"""

from __future__ import annotations

import copy
import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sreval.content import user_path
from sreval.errors import DataError, ImageError, listed
from sreval.files import exists, no_folder
from sreval.frames import is_frame, unit_of
from sreval.hashes import sha256_of
from sreval.images.datasets import Dataset, Item
from sreval.images.folders import ImageFolder, find_image, names_of, one_name
from sreval.images.io import read_image
from sreval.images.scales import hr_size
from sreval.methods.base import Original, UInt8, Upscaler

PAIRS = "pairs.csv"
"""The file in a folder of images that says which of them belongs to which image of a data set."""


@dataclass(frozen=True)
class Matching:
    """The file of each image, by the image's name, and ``how`` it was found."""

    how: str
    files: dict[str, Path]


class PublishedImages(Upscaler):
    """A folder of SR images, matched to a data set's as ``match_files`` says.

    A sub-folder named as the data set is taken before the folder itself.
    """

    quick = True

    def __init__(self, folder: str) -> None:
        self._folder = user_path(folder)
        if not self._folder.is_dir():
            raise DataError(*no_folder(self._folder, "Check the path after published:."))
        self.name = self._folder.resolve().name
        self.specification = f"published:{self._folder.resolve()}"
        self._matched: dict[str, Matching] = {}
        self._told: dict[Path, str] = {}

    def prepare(self, dataset: Dataset) -> None:
        """Match the folder's files to the items. Raises DataError where the match isn't clear."""
        inside = self._folder / dataset.name
        folder = inside if inside.is_dir() else self._folder
        self._matched[dataset.name] = match_files(folder, dataset)

    def on_crops(self) -> Upscaler:
        """The HR images, which cost as much to read: of crops there are no published ones."""
        stand_in = Original()
        stand_in.name = self.name
        return stand_in

    def pairing(self) -> dict[str, Any]:
        """Which file was taken for which image, by data set, and how it was found."""
        return {
            name: {
                "by": matching.how,
                "files": {image: str(file) for image, file in matching.files.items()},
            }
            for name, matching in self._matched.items()
        }

    def source(self, item: Item) -> Path | None:
        """The published file. Raises ImageError where there is none."""
        return self._file(item)

    def with_sources(self, at: Mapping[str, Path]) -> PublishedImages:
        """See ``Upscaler.with_sources``."""
        moved = copy.copy(self)
        moved._told = {}
        moved._matched = {
            name: replace(
                matching,
                files={image: at.get(str(file), file) for image, file in matching.files.items()},
            )
            for name, matching in self._matched.items()
        }
        return moved

    def source_sha256(self, item: Item) -> str:
        """The hash of the published file, which ``upscale`` then holds it to."""
        path = self._file(item)
        try:
            self._told[path] = sha256_of(path)
        except OSError as error:
            raise ImageError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
        return self._told[path]

    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """The published image of ``item``; its size is checked, nothing is resized."""
        path = self._file(item)
        file = read_image(path)
        if self._told.get(path, file.sha256) != file.sha256:
            raise ImageError(f"{path} has changed since this run began.", "Run it again.")
        image = file.pixels
        expected = hr_size(lr.shape, scale)
        if image.shape[:2] != expected:
            raise ImageError(
                f"{path} is {image.shape[1]}x{image.shape[0]} pixels; "
                f"{item.dataset}/{item.image} needs {expected[1]}x{expected[0]} "
                f"at scale {scale:g}.",
                "Provide the image at the data set's size.",
            )
        return image

    def _file(self, item: Item) -> Path:
        try:
            return self._matched[item.dataset].files[item.image]
        except KeyError:
            raise ImageError(
                f"No file of {self._folder} matches {item.dataset}/{_both_names(item)}.",
                f"Name it {' or '.join(dict.fromkeys((item.image, item.name)))}, or add it to "
                f"{PAIRS} there.",
            ) from None


def match_files(folder: Path, dataset: Dataset) -> Matching:
    """Match a folder's images to those of a data set.

    ``pairs.csv`` in the folder decides, where there is one. Otherwise names do: a file's stem
    holds the image's stem or common name, set off from the rest, if need be with the scale as
    LR images have it (``img_001_SRF_4_SRCNN``, ``babyx4_SwinIR``); of a stem that holds several,
    the longest counts. Where no name fits, the numbers in the names do (``out_7`` for
    ``img_007``), if both sides have the same ones. Images may lack a file, but not while another
    file is left over that is named as the matched ones are: the numbering may then be another.
    Frames are matched so within the folder of their sequence; in a folder without such folders,
    ``calendar_0001`` is the frame ``calendar/0001``.

    Raises DataError, naming the images and files and saying how to write ``pairs.csv``, where none
    of this shows which is which.
    """
    if (folder / PAIRS).is_file():
        return Matching(PAIRS, _by_csv(folder, dataset))
    sequences = _sequences(folder, dataset)
    if sequences:
        return _joined(sequences)
    files = ImageFolder(folder).images()
    named = _by_name(dataset, files)
    twice = _twice(named)
    found = {item.image: file for item, (file, *_) in named.items()}
    if found and not twice and not _numbered_otherwise(dataset, files, found):
        return Matching("name", found)
    by_number = _by_number(dataset, files)
    if by_number:
        return Matching("number", by_number)
    sample = io.StringIO()
    csv.writer(sample, lineterminator="").writerow((dataset.items[0].image, files[0].name))
    raise DataError(
        f"{folder}: {_why(dataset, files, found, twice)}.",
        f"Name each file after its image, or write {folder / PAIRS} with the line `image,file` and "
        f"a line such as `{sample.getvalue()}` for each image.",
    )


def _sequences(folder: Path, dataset: Dataset) -> dict[str, Matching]:
    """The matching within the folder of each sequence that has one, by the sequence's name."""
    if not any(is_frame(item.image) for item in dataset.items):
        return {}
    _, folders, _ = next(os.walk(folder), ("", [], []))
    inside = {one_name(name): folder / name for name in sorted(folders)}
    frames: dict[str, list[Item]] = {}
    for item in dataset.items:
        frames.setdefault(unit_of(item.image), []).append(item)
    found = {}
    for sequence, items in frames.items():
        if one_name(sequence) in inside:
            name, before = f"{dataset.name}/{sequence}", f"{sequence}/"
            own = tuple(
                replace(
                    item,
                    dataset=name,
                    image=item.image.removeprefix(before),
                    name=item.name.removeprefix(before),
                )
                for item in items
            )
            part = replace(dataset, name=name, items=own)
            found[sequence] = match_files(inside[one_name(sequence)], part)
    return found


def _joined(sequences: Mapping[str, Matching]) -> Matching:
    files = {
        f"{sequence}/{image}": file
        for sequence, matching in sequences.items()
        for image, file in matching.files.items()
    }
    return Matching(", ".join(sorted({matching.how for matching in sequences.values()})), files)


def _by_name(dataset: Dataset, files: Sequence[Path]) -> dict[Item, list[Path]]:
    """The files whose stem holds an item's name, the one that is nothing else alone."""
    labels: dict[str, list[Item]] = {}
    for item in dataset.items:
        for label in _labels(item):
            labels.setdefault(label, []).append(item)
    found: dict[Item, list[Path]] = {}
    for file in files:
        stem = one_name(file.stem)
        # a label that is the whole stem is the longest in it
        held = (
            [stem]
            if stem in labels
            else [one for one in labels if one in stem and _holds(stem, one, dataset.scale)]
        )
        longest = max(map(len, held), default=0)
        for item in dict.fromkeys(i for one in held if len(one) == longest for i in labels[one]):
            found.setdefault(item, []).append(file)
    for item, own in found.items():
        whole = [file for file in own if one_name(file.stem) in _labels(item)]
        found[item] = whole or own
    return found


def _labels(item: Item) -> list[str]:
    """The names of an image as the stem of a file may hold them."""
    return list(dict.fromkeys(one_name(name).replace("/", "_") for name in (item.image, item.name)))


def _holds(stem: str, label: str, scale: float) -> bool:
    """Whether a stem holds a label that no letter or digit touches, but for x and the scale."""
    pattern = rf"(?<![^\W_]){re.escape(label)}(x{re.escape(f'{scale:g}')})?(?![^\W_])"
    return re.search(pattern, stem) is not None


def _twice(named: Mapping[Item, list[Path]]) -> str:
    """What is matched twice, in words; empty where every match is one to one."""
    owners: dict[Path, Item] = {}
    for item, own in named.items():
        if len(own) > 1:
            return f"{own[0].name} and {own[1].name} both match {item.dataset}/{_both_names(item)}"
        other = owners.setdefault(own[0], item)
        if other is not item:
            images = f"{_both_names(other)} and {_both_names(item)}"
            return f"{own[0].name} matches both {images} of {item.dataset}"
    return ""


def _both_names(item: Item) -> str:
    return item.image if item.name == item.image else f"{item.image} ({item.name})"


def _numbered_otherwise(
    dataset: Dataset, files: Sequence[Path], found: Mapping[str, Path]
) -> list[Path]:
    """Files left over that differ from matched ones by a number alone, while images lack one."""
    if len(found) == len(dataset.items):
        return []
    matched = set(found.values())
    forms = {_form(file.stem) for file in matched if _form(file.stem) != file.stem}
    return [file for file in files if file not in matched and _form(file.stem) in forms]


def _form(stem: str) -> str:
    """A stem with every number in it alike."""
    return re.sub(r"\d+", "0", stem)


def _by_number(dataset: Dataset, files: Sequence[Path]) -> dict[str, Path]:
    """Each image's file by the one number that tells the names apart; empty if that fails."""
    images = _numbers([item.image for item in dataset.items])
    numbers = _numbers([file.stem for file in files])
    if not images or set(images) != set(numbers):
        return {}
    return {dataset.items[place].image: files[numbers[n]] for n, place in images.items()}


def _numbers(stems: Sequence[str]) -> dict[int, int]:
    """The place of each stem by its number; empty unless they differ in exactly one number."""
    if len({_form(stem) for stem in stems}) != 1:
        return {}
    numbers = [[int(number) for number in re.findall(r"\d+", stem)] for stem in stems]
    columns = zip(*numbers, strict=True)
    telling = [column for column in columns if len(set(column)) > 1 or len(stems) == 1]
    if len(telling) != 1 or len(set(telling[0])) != len(stems):
        return {}
    return {number: place for place, number in enumerate(telling[0])}


def _why(dataset: Dataset, files: Sequence[Path], found: Mapping[str, Path], twice: str) -> str:
    if twice:
        return twice
    lacking = [item.image for item in dataset.items if item.image not in found]
    left = [file.name for file in files if file not in set(found.values())]
    return (
        f"neither names nor numbers show which file belongs to which image of {dataset.name}; no "
        f"file for {listed(lacking, 3)}, no image for {listed(left, 3)}"
    )


def _by_csv(folder: Path, dataset: Dataset) -> dict[str, Path]:
    """What ``pairs.csv`` says: a line per image, its file below the folder or by its full path."""
    path = folder / PAIRS
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Can't read {path} ({error}).", "Save it as UTF-8.") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    items = [item.image for item in dataset.items]
    names = names_of(items, {item.name: item.image for item in dataset.items})
    found: dict[str, Path] = {}
    try:
        if not {"image", "file"} <= set(rows.fieldnames or ()):
            raise DataError(f"{path} begins with other columns.", "Begin it with: image,file")
        for row in rows:
            named, file = (row["image"] or "").strip(), (row["file"] or "").strip()
            line = f"{path}, line {rows.line_num}"
            image = find_image(named, names)
            if image is None:
                raise DataError(
                    f"{line}: {dataset.name} has no image '{named}'.",
                    f"Its images are {listed(items, 3)}.",
                )
            forms = (file, file.replace("\\", "/"))  # a name may hold a backslash, but on Windows
            there = [folder / form for form in forms if form and exists(str(folder / form))]
            if not there:
                raise DataError(f"{line}: there is no file '{file}'.", f"Name one in {folder}.")
            if image in found or there[0] in found.values():
                what = image if image in found else file
                raise DataError(f"{line}: {what} is there twice.", "Remove one of the lines.")
            found[image] = there[0]
    except csv.Error as error:
        raise DataError(f"{path} is damaged ({error}).", "Write it again.") from None
    return found
