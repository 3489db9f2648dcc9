"""The images that crops are cut from: photographs, also at smaller sizes, and their LR images."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

from sreval.errors import DataError
from sreval.images.degradations import Degradation
from sreval.images.degrade import degrade
from sreval.images.resize import crop_to_multiple, downscale, imresize
from sreval.training.packs import Photographs
from sreval.training.recipe import Data

UInt8 = npt.NDArray[np.uint8]

Version = tuple[UInt8, UInt8]
"""An image (H, W, 3) and its LR image."""


class Versions:
    """What becomes of each photograph of a pack under a recipe: itself, then at smaller sizes.

    `members` are the places of the photographs that are trained on.
    """

    def __init__(self, pack: Photographs, data: Data, members: list[int], seed: int) -> None:
        """Raises DataError for a size at which no photograph holds a crop."""
        self.pack, self.data, self.members, self.seed = pack, data, members, seed
        self.scale, self.fractions = pack.scale, (1.0, *data.smaller)
        for fraction in data.smaller:
            if not any(self.shape(member, fraction) for member in range(len(members))):
                raise DataError(
                    f"No image at {fraction:g} of its size holds a crop of {data.crop} pixels.",
                    "Leave that size out of data.smaller, or make data.crop smaller.",
                )

    @property
    def renewed(self) -> bool:
        """Whether a photograph's LR image is another one each time it is made."""
        return self.data.degrade is not None and self.data.degrade.draws

    def name(self, member: int) -> str:
        """The file of a photograph."""
        return self.pack.photographs[self.members[member]].file

    def shape(self, member: int, fraction: float) -> tuple[int, int] | None:
        """Height and width at low resolution, of a photograph `fraction` as large.

        None where it holds no crop.
        """
        photograph = self.pack.photographs[self.members[member]]
        height, width = (
            math.ceil(fraction * side) // self.scale
            for side in (photograph.height, photograph.width)
        )
        return (height, width) if min(height, width) >= self.data.crop // self.scale else None

    def pixels(self, member: int) -> int:
        """Pixels at low resolution of all versions of a photograph."""
        shapes = (self.shape(member, fraction) for fraction in self.fractions)
        return sum(shape[0] * shape[1] for shape in shapes if shape)

    def made(self, member: int, fraction: float, number: int = 0) -> Version:
        """A photograph `fraction` as large, as it is when it is made for the n-th time from 0."""
        place = self.members[member]
        image = self.pack.image(place)
        if fraction == 1:
            recipe = self.data.degrade
            return image, self.pack.small(place) if recipe is None else self._low(image, number)
        small = imresize(image, fraction).astype(np.uint8, copy=False)
        high = np.ascontiguousarray(crop_to_multiple(small, self.scale))
        return high, self._low(high, number)

    def all_made(self, member: int, number: int) -> list[Version | None]:
        """All versions of a photograph, None where one holds no crop."""
        return [
            self.made(member, fraction, number) if self.shape(member, fraction) else None
            for fraction in self.fractions
        ]

    def _low(self, high: UInt8, number: int) -> UInt8:
        recipe = self.data.degrade
        if recipe is None:
            return downscale(high, self.scale)
        low, _ = degrade(np.asarray(high), drawn_anew(recipe, self.seed, number), self.scale)
        return low


def drawn_anew(recipe: Degradation, seed: int, number: int) -> Degradation:
    """A degradation as it is drawn for the n-th entrance of a photograph, from 0.

    The seed is made of the recipe's own, the run's and the entrance; `degrade` adds to it the
    photograph's pixels.
    """
    digest = hashlib.sha256(f"{recipe.seed} {seed} {number}".encode()).digest()
    return recipe.model_copy(update={"seed": int.from_bytes(digest[:8], "big") >> 1})
