"""Images that others made, taken from a folder as they are."""

from __future__ import annotations

from pathlib import Path

from sreval.errors import DataError, ImageError
from sreval.images.datasets import Dataset, Item
from sreval.images.io import hash_image, list_images, read_image
from sreval.upscalers.base import UInt8, Upscaler


class PublishedImages(Upscaler):
    """A folder of SR images, matched to the data set by stem, common name or order.

    A sub-folder named as the data set is taken before the folder itself. A file matches when
    its stem is the item's stem or common name, alone or as the beginning or end of the file's
    stem, set off by ``_``, ``-`` or ``.`` (``img_001_SRF_4_SRCNN``, ``baby-x4``). Where no file
    matches any item so, and there are as many files as items, they are taken in order.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder).expanduser()
        if not self._folder.is_dir():
            raise DataError(f"No such folder: {folder}.", "Check the path after published:.")
        self.name = self._folder.resolve().name
        self._matched: dict[tuple[str, str], Path] = {}

    def prepare(self, dataset: Dataset) -> None:
        """Match the folder's files to the items.

        Raises DataError when two files match one item or one file matches two, naming both.
        """
        inside = self._folder / dataset.name
        files = list_images(inside if inside.is_dir() else self._folder)
        matched = {item: path for item in dataset.items if (path := _match(item, files))}
        if not matched and len(files) == len(dataset.items):
            matched = dict(zip(dataset.items, files, strict=True))
        owner: dict[Path, Item] = {}
        for item, path in matched.items():
            if path in owner:
                raise DataError(
                    f"{path} matches both {owner[path].image} ({owner[path].name}) and "
                    f"{item.image} ({item.name}) of {dataset.name}.",
                    "Rename it as one of them.",
                )
            owner[path] = item
            self._matched[item.dataset, item.image] = path

    def fingerprint(self, item: Item) -> str:
        """The hash of the published file."""
        return hash_image(self._file(item))

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """The published image of ``item``; its size is checked, nothing is resized."""
        path = self._file(item)
        image = read_image(path)
        expected = (lr.shape[0] * scale, lr.shape[1] * scale)
        if image.shape[:2] != expected:
            raise ImageError(
                f"{path} is {image.shape[1]}x{image.shape[0]} pixels; "
                f"{item.dataset}/{item.image} wants {expected[1]}x{expected[0]}.",
                "Bring the image at the data set's size.",
            )
        return image

    def _file(self, item: Item) -> Path:
        try:
            return self._matched[item.dataset, item.image]
        except KeyError:
            raise ImageError(
                f"No file of {self._folder} matches {item.dataset}/{item.image} ({item.name}).",
                f"Name it {' or '.join(dict.fromkeys((item.image, item.name)))}.",
            ) from None


def _match(item: Item, files: list[Path]) -> Path | None:
    for label in dict.fromkeys((item.image.lower(), item.name.lower())):
        whole = [file for file in files if file.stem.lower() == label]
        matches = whole or [file for file in files if _is_part(label, file.stem.lower())]
        if len(matches) > 1:
            raise DataError(
                f"{matches[0]} and {matches[1].name} both match "
                f"{item.dataset}/{item.image} ({item.name}).",
                "Keep one of them in the folder.",
            )
        if matches:
            return matches[0]
    return None


def _is_part(label: str, stem: str) -> bool:
    return any(stem.startswith(label + mark) or stem.endswith(mark + label) for mark in "_-.")
