"""The files of weights that metrics are computed with: where they lie, and where they come from.

They are found in SREVAL_WEIGHTS or where torch keeps what it has downloaded. Nothing is downloaded
here but by ``Weights.download``.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sreval import content
from sreval.errors import DataError
from sreval.files import read_named_hash

LOADING = threading.Lock()
"""Held while a network is made: several threads may ask for the same one at once."""

sent: list[Path] = []
"""Folders of files that the machine which asks for the scores has sent to this one: they count."""


@dataclass(frozen=True)
class Weights:
    """A file of weights: what it is, what ``sreval data fetch`` calls it, its address and size.

    In a weights folder one of ``others`` may stand in its place. ``sha256`` is the file's where it
    is known; else it begins with the hexadecimal digits behind the address's last dash, if any.
    """

    what: str
    fetched_as: str
    url: str
    megabytes: int
    others: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def file_name(self) -> str:
        """The name of the file that the address gives."""
        return self.url.rpartition("/")[2]

    def file(self) -> Path:
        """The file that the weights come from. Raises DataError when there is none."""
        places = self._places()
        for place in places:
            if place.is_file():
                return place
        raise DataError(
            f"The weights of {self.what} are not on this machine: none of "
            f"{', '.join(map(str, places))} exists.",
            f"Run `sreval data fetch {self.fetched_as}` once, or leave the metric out.",
        )

    def is_here(self) -> bool:
        """Whether this machine has the weights."""
        return any(place.is_file() for place in self._places())

    def _places(self) -> list[Path]:
        names = (*self.others, self.file_name)
        places = [folder / name for folder in (*sent, *content.weights_dirs()) for name in names]
        return [*places, self._cached()]

    def _cached(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file_name

    def download(self) -> Path:
        """Let torch download the file into its own cache; the file.

        Raises DataError, saying where to get the file and where to put it, when that fails.
        """
        target = self._cached()
        named = torch.hub.HASH_REGEX.search(self.file_name)
        digits = self.sha256 or (named[1] if named else None)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(target), digits)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{self.url} could not be downloaded ({error}).",
                "Download it on a machine with a network connection, and put it into "
                f"{content.weights_dirs()[0]}.",
            ) from None
        return self.file()


def trunk_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a trunk's file. Raises DataError for one that is damaged."""
    if path.suffix != ".safetensors":
        state: dict[str, torch.Tensor] = loaded(path)
        return state
    try:
        return load_file(path)
    except Exception as error:
        raise _damaged(path, error) from None


def loaded(path: Path) -> Any:
    """What a file of torch's holds, none of its code run. Raises DataError if it is damaged."""
    try:
        data = (
            read_named_hash(path) if torch.hub.HASH_REGEX.search(path.name) else path.read_bytes()
        )
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged ({error}).", "Remove it and fetch it again.")
