"""The frozen stimuli as bytes, checked every time they leave."""

from __future__ import annotations

import errno
from pathlib import Path

from sreval.errors import DataError, StoreError
from sreval.files import sha256_bytes
from sreval.study.manifest import STIMULI, Manifest

_PASSING = (errno.EMFILE, errno.ENFILE)


class StimulusError(DataError):
    """A stimulus whose bytes are not those that were frozen."""


class Stimuli:
    """A study's stimuli by SHA-256; a name that the manifest lacks never becomes a path."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder / STIMULI
        self.sizes = {s.sha256: (s.width, s.height) for s in manifest.stimuli}
        self.refused: set[str] = set()

    def missing(self) -> list[str]:
        """The SHA-256 of every stimulus whose file is absent."""
        return [sha for sha in self.sizes if not self._path(sha).is_file()]

    def read(self, sha256: str) -> bytes:
        """The PNG's bytes.

        Raises StimulusError when the file is gone or its bytes have changed, StoreError when it
        can't be read just now, KeyError for a hash that is not the study's. Half a megabyte is
        hashed in under a millisecond, so no cache is needed.
        """
        if sha256 not in self.sizes:
            raise KeyError(sha256)
        path = self._path(sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            if error.errno in _PASSING:
                raise StoreError(
                    f"Can't read {path}: {error.strerror}.", "Allow more open files: ulimit -n."
                ) from None
            self.refused.add(sha256)
            raise StimulusError(f"Can't read {path}: {error.strerror}.", _REMEDY) from None
        if sha256_bytes(data) != sha256:
            self.refused.add(sha256)
            raise StimulusError(f"{path} has changed since it was frozen.", _REMEDY)
        self.refused.discard(sha256)
        return data

    def recheck(self, sha256: str) -> None:
        """Raise StimulusError for a stimulus that was refused and still must be."""
        if sha256 in self.refused:
            self.read(sha256)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.png"


_REMEDY = "It isn't shown any more. Put the frozen file back from a backup; no restart is needed."
