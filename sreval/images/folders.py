"""What a folder of images holds, and how their names are compared: one rule for all commands."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Self

from sreval.errors import DataError, ImageError, listed
from sreval.files import no_folder, require_text
from sreval.frames import image_order, is_frame
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


def names_of(images: Iterable[str], common: Mapping[str, str] | None = None) -> dict[str, str]:
    """Images by every name that a user may call them by, for ``find_image``.

    These are their own in any case, those in ``common``, and of a frame ``calendar_0001``, as a
    folder without folders of sequences names its file.
    """
    own = list(dict.fromkeys(images))
    flat: dict[str, set[str]] = {}
    for image in filter(is_frame, own):
        flat.setdefault(one_name(image.replace("/", "_")), set()).add(image)
    return {
        **{name: frames.pop() for name, frames in flat.items() if len(frames) == 1},
        **{one_name(name): image for name, image in (common or {}).items()},
        **{one_name(image): image for image in own},
        **{image: image for image in own},
    }


def find_image(text: str, names: Mapping[str, str]) -> str | None:
    """The image that a user calls ``text``, by its name in ``names_of`` or as the path of its file.

    Folders above it and its ending may stand there or not; ``/`` and a backslash separate alike.
    """
    *above, file = text.replace("\\", "/").split("/")
    ending = PurePath(file).suffix
    is_image = ending.lower() in SUFFIXES or _OTHER_KINDS.fullmatch(ending)
    for name in (file, *[file.removesuffix(ending)] * bool(is_image)):
        for called in (*["/".join([*above[-1:], name])] * bool(above), name):
            for form in (called, one_name(called)):
                if form in names:
                    return names[form]
    return None


class ImageFolder:
    """The image files of a folder, those of its folders too if ``deep``.

    Hidden files are left out, links are followed, and a folder reached twice by links is read once.
    Raises ImageError if a folder can't be read.
    """

    def __init__(self, folder: Path, deep: bool = False) -> None:
        self._folder, self._files = folder, _files(folder, deep)

    @classmethod
    def with_frames(cls, folder: Path, apart: Sequence[Path | None] = ()) -> Self:
        """A folder of images, or one whose folders are sequences and hold their frames.

        ``apart`` are folders that may lie in it and don't belong to it. Raises DataError for images
        both in it and in folders of it, and for images in folders of these.
        """
        found = cls(folder)
        every = _files(folder, deep=True, apart=[one for one in apart if one is not None])
        by_depth: dict[int, list[Path]] = {}
        for file in every:
            by_depth.setdefault(len(file.relative_to(folder).parts), []).append(file)
        images = {depth: sorted(filter(_is_image, by_depth[depth])) for depth in by_depth}
        depths = sorted(depth for depth in images if images[depth])
        if depths and depths[-1] > 2 and 1 not in depths:
            first = images[depths[-1]][0]
            inside = first.parents[1]
            whole = {
                depth - len(inside.relative_to(folder).parts)
                for depth in depths
                if any(file.is_relative_to(inside) for file in images[depth])
            }
            raise DataError(
                f"{folder} holds images in folders of its folders: {first}.",
                "Name the folder that holds a folder of frames for each sequence, such as "
                f"{inside}."
                if whole == {2}
                else "Put the frames of each sequence into one folder, and these folders into one.",
            )
        if len(depths) > 1:
            raise DataError(
                f"{folder} holds images, such as {images[1][0].name}, and a folder of images: "
                f"{images[depths[1]][0].parent}.",
                "Move one or the other elsewhere: a folder holds images, or a folder of "
                "frames for each sequence.",
            )
        if depths == [2]:
            found._files += by_depth[2]
        return found

    @property
    def has_images(self) -> bool:
        """Whether there is any image."""
        return any(map(_is_image, self._files))

    def images(self) -> list[Path]:
        """Its images by name.

        Raises ImageError if there is none, UsageError for a name that isn't text.
        """
        found = sorted(filter(_is_image, self._files))
        if not found:
            raise ImageError(f"{self._folder} holds no images.", KINDS)
        for file in found:
            require_text(self._place(file))
        return found

    def by_name(self) -> dict[str, Path]:
        """Its images by name, in NFC: a still's is its stem, a frame's ``SEQUENCE/STEM``.

        Frames are in the order of their numbers, padded or not. Raises DataError, too, when two
        share a name.
        """
        found: dict[str, Path] = {}
        for path in self.images():
            name = composed(self._place(path).removesuffix(path.suffix))
            if name in found:
                raise DataError(
                    f"{self._folder} holds {self._place(found[name])} and {self._place(path)}: two "
                    "images with one name.",
                    "Rename or remove one.",
                )
            found[name] = path
        if any(map(is_frame, found)):
            return {name: found[name] for name in sorted(found, key=image_order)}
        return found

    def left_out(self) -> list[str]:
        """The names of images of kinds that aren't read here, by name."""
        return sorted(self._place(f) for f in self._files if is_other_kind(f.name))

    def matching(self, names: re.Pattern[str]) -> list[Path]:
        """Its files, of whatever kind, in whose names the pattern is found, by name."""
        return sorted(file for file in self._files if names.search(file.name))

    def _place(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()


def left_out_note(names: Sequence[str]) -> str:
    """A sentence on images that were left out, the first of them named."""
    return f"{len(names)} of other kinds left out: {listed(names)}. {KINDS}"


def is_other_kind(name: str) -> bool:
    """Whether a file's name has the ending of an image of a kind that isn't read here."""
    return bool(_OTHER_KINDS.fullmatch(PurePath(name).suffix))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _files(folder: Path, deep: bool, apart: Iterable[Path] = ()) -> list[Path]:
    """The files of a folder, and deeply those below it, without hidden ones and those ``apart``."""
    if not folder.is_dir():
        raise ImageError(*no_folder(folder))
    found: list[Path] = []
    seen = {folder.resolve(), *(path.resolve() for path in apart)}

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
