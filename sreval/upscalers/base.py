"""What a method is to the benchmark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from sreval.errors import UsageError
from sreval.images.datasets import Dataset, Item
from sreval.images.io import Pixels

UInt8 = npt.NDArray[np.uint8]


class Upscaler(ABC):
    """A super-resolution method under one name.

    ``weights_sha256`` is the hash of the weights it runs with, empty for a method without any.
    ``parallel`` says whether several threads may call ``upscale`` at once.
    """

    name: str
    weights_sha256: str = ""
    parallel: bool = True

    def prepare(self, dataset: Dataset) -> None:  # noqa: B027
        """Look at a data set before its images come. Raises what makes the method unusable."""

    def pairing(self) -> dict[str, Any]:
        """For the manifest: where each image's result is looked up; empty for what makes it."""
        return {}

    def fingerprint(self, item: Item) -> str:
        """What changes whenever the SR image of ``item`` may; empty when the code alone decides."""
        return ""

    @abstractmethod
    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """The SR image of an LR image (h, w[, 3]): uint8 (scale h, scale w[, 3]).

        ``item`` says which image it is, for methods that look their result up.
        Raises ImageError or DataError when the method has no result for this image.
        """

    def enlarge(self, pixels: Pixels, scale: int) -> Pixels:
        """A picture of a user's own (h, w[, 3]), uint8 or uint16, ``scale`` times as large.

        Raises UsageError for a method that only has results for known images.
        """
        raise UsageError(
            f"{self.name} can't enlarge pictures of one's own.",
            "Use nearest, bicubic, lanczos or a network.",
        )
