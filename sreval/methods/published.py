"""Images that others made, taken from a folder as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sreval.errors import DataError, ImageError
from sreval.files import sha256_file
from sreval.images.datasets import Dataset, Item
from sreval.images.io import read_image
from sreval.methods.base import UInt8, Upscaler
from sreval.methods.matching import PAIRS, Matching, match_files
from sreval.settings import user_path


class PublishedImages(Upscaler):
    """A folder of SR images, matched to a data set's as ``match_files`` says.

    A sub-folder named as the data set is taken before the folder itself.
    """

    def __init__(self, folder: str) -> None:
        self._folder = user_path(folder)
        if not self._folder.is_dir():
            raise DataError(f"No such folder: {folder}.", "Check the path after published:.")
        self.name = self._folder.resolve().name
        self.specification = f"published:{self._folder.resolve()}"
        self._matched: dict[str, Matching] = {}
        self._told: dict[Path, str] = {}

    def prepare(self, dataset: Dataset) -> None:
        """Match the folder's files to the items. Raises DataError where the match isn't clear."""
        inside = self._folder / dataset.name
        folder = inside if inside.is_dir() else self._folder
        self._matched[dataset.name] = match_files(folder, dataset)

    def pairing(self) -> dict[str, Any]:
        """Which file was taken for which image, by data set, and how it was found."""
        return {
            name: {
                "by": matching.how,
                "files": {image: str(file) for image, file in matching.files.items()},
            }
            for name, matching in self._matched.items()
        }

    def source_sha256(self, item: Item) -> str:
        """The hash of the published file, which ``upscale`` then holds it to."""
        path = self._file(item)
        try:
            self._told[path] = sha256_file(path)
        except OSError as error:
            raise ImageError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
        return self._told[path]

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """The published image of ``item``; its size is checked, nothing is resized."""
        path = self._file(item)
        file = read_image(path)
        if self._told.get(path, file.sha256) != file.sha256:
            raise ImageError(f"{path} has changed since this run began.", "Run it again.")
        image = file.pixels
        expected = (lr.shape[0] * scale, lr.shape[1] * scale)
        if image.shape[:2] != expected:
            raise ImageError(
                f"{path} is {image.shape[1]}x{image.shape[0]} pixels; "
                f"{item.dataset}/{item.image} needs {expected[1]}x{expected[0]}.",
                "Provide the image at the data set's size.",
            )
        return image

    def _file(self, item: Item) -> Path:
        try:
            return self._matched[item.dataset].files[item.image]
        except KeyError:
            raise ImageError(
                f"No file of {self._folder} matches {item.dataset}/{item.image} ({item.name}).",
                f"Name it {' or '.join(dict.fromkeys((item.image, item.name)))}, or add it to "
                f"{PAIRS} there.",
            ) from None
