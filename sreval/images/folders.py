"""What a folder of images holds, and how their names are compared: one rule for all commands."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from sreval.errors import DataError, ImageError, listed
from sreval.files import require_text
from sreval.images.io import SUFFIXES

KINDS = f"Known kinds: {', '.join(sorted(SUFFIXES))}."

_OTHER_KINDS = re.compile(
    r"\.(apng|arw|avif|bpg|cr[23w]|dds|dib|dng|eps|exr|fits?|gif|hdr|hei[cf]|hif|icns|ico|jfif|jls|"
    r"jp[2cefxm]|j2[ck]|jxl|jxr|mpo|nef|nrw|orf|p[abgnfp]m|pcx|pef|psb|psd|qoi|raf|ras|raw|rw2|sgi|"
    r"sr2|srw|svgz?|tga|wbmp|wdp|xbm|xcf|xpm)",
    re.IGNORECASE,
)
"""Endings of images that aren't read from folders: left out, but never without a word."""


def composed(text: str) -> str:
    """A name in Unicode's form NFC: file systems, archives and keyboards differ in it."""
    return unicodedata.normalize("NFC", text)


def one_name(text: str) -> str:
    """A name in the form in which the names of images are compared: NFC, in lower case."""
    return composed(text).casefold()


class ImageFolder:
    """The image files of a folder, those of its folders too if ``deep``.

    Hidden files are left out, links are followed, and a folder reached twice by links is read once.
    Raises ImageError if a folder can't be read.
    """

    def __init__(self, folder: Path, deep: bool = False) -> None:
        self._folder, self._files = folder, _files(folder, deep)

    def images(self) -> list[Path]:
        """Its images by name.

        Raises ImageError if there is none, UsageError for a name that isn't text.
        """
        found = sorted(file for file in self._files if file.suffix.lower() in SUFFIXES)
        if not found:
            raise ImageError(f"{self._folder} holds no images.", KINDS)
        for file in found:
            require_text(file.name)
        return found

    def by_stem(self) -> dict[str, Path]:
        """Its images by stem, in NFC. Raises DataError, too, when two share one."""
        found: dict[str, Path] = {}
        for path in self.images():
            stem = composed(path.stem)
            if stem in found:
                raise DataError(
                    f"{self._folder} holds {found[stem].name} and {path.name}: two images with "
                    "one name.",
                    "Rename or remove one.",
                )
            found[stem] = path
        return found

    def left_out(self) -> list[str]:
        """The names of images of kinds that aren't read here, by name."""
        return sorted(f.name for f in self._files if _OTHER_KINDS.fullmatch(f.suffix))


def left_out_note(names: Sequence[str]) -> str:
    """A sentence on images that were left out, the first of them named."""
    return f"{len(names)} of other kinds left out: {listed(names)}. {KINDS}"


def _files(folder: Path, deep: bool) -> list[Path]:
    """The files of a folder, and deeply those below it, hidden ones left out."""
    if not folder.is_dir():
        raise ImageError(f"No such folder: {folder}.", "Check the path.")
    found: list[Path] = []
    seen = {folder.resolve()}

    def unreadable(error: OSError) -> None:
        raise ImageError(f"Can't read {error.filename}: {error.strerror}.", "Check the path.")

    for at, inside, files in os.walk(folder, onerror=unreadable, followlinks=True):
        found += [Path(at) / name for name in files if not name.startswith(".")]
        shown = [Path(at) / name for name in inside if deep and not name.startswith(".")]
        inside.clear()
        # a folder goes before the links to it, so that its files keep their own path
        for path in sorted(shown, key=lambda path: (path.is_symlink(), path)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                inside.append(path.name)
    return found
