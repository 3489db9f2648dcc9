"""A method that fails on the first images that it is asked for isn't asked for the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection

from sreval.errors import ImageError

FIRST = 3
"""Images that a method may fail on before it has made any."""


class FirstImages:
    """Who is still asked for images, by method.

    The first images are those that come first in the run, however many are worked on at once, so
    that results don't depend on the number of workers. For that an image is kept back while those
    before it may decide. Images that can't be read, and those taken over, don't count.
    """

    def __init__(self, proven: Collection[str], say: Callable[[str], object]) -> None:
        """``proven`` methods are asked for every image; ``say`` is told who is dropped."""
        self._proven, self._say = set(proven), say
        self._failed: dict[str, dict[int, str]] = defaultdict(dict)
        self._through: dict[str, set[int]] = defaultdict(set)
        self._told: set[str] = set()

    def is_known(self, method: str, number: int) -> bool:
        """Whether the images before ``number``, from 0, can no longer decide that it isn't asked.

        Where they can, one of them must be through first.
        """
        if method in self._proven or self._is_dropped(method):
            return True
        pending = number - sum(other < number for other in self._through[method])
        return pending + len(self._failed[method]) < FIRST

    def refusal(self, method: str) -> ImageError | None:
        """Why a method is no longer asked; None where it is."""
        if not self._is_dropped(method):
            return None
        if method not in self._told:
            self._told.add(method)
            self._say(
                f"{method} is dropped from the rest of this run: it failed on its first "
                f"{FIRST} images."
            )
        first = min(self._failed[method].items())[1]
        return ImageError(f"not tried, as it failed on its first {FIRST} images. {first}")

    def ended(self, method: str, number: int, failure: str = "") -> None:
        """The method was asked for image ``number``, and made it or failed."""
        if not failure:
            self._proven.add(method)
        elif method not in self._proven:
            self._failed[method][number] = failure

    def through(self, methods: Collection[str], number: int) -> None:
        """Image ``number`` is through with all of them, whether they were asked for it or not."""
        for method in methods:
            self._through[method].add(number)

    def _is_dropped(self, method: str) -> bool:
        return method not in self._proven and len(self._failed[method]) >= FIRST
