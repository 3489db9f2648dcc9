"""Where models/, studies/ and web/ lie: in a checkout, inside the wheel, in a user's folders.

They are content, not import packages. A name is looked up as an explicit path, then under
./models or ./studies, then under SREVAL_HOME, then in what the package brings. Commands
write only to the first three.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from sreval import settings
from sreval.errors import UsageError, unknown_name

Kind = Literal["models", "studies", "web"]

_MAIN_FILE = {"models": "recipe.toml", "studies": "study.toml", "web": "README.md"}
_ONE = {"models": "model", "studies": "study", "web": "part of the site"}
_PACKAGE = Path(__file__).resolve().parent


def packaged(kind: Kind) -> Path:
    """The folder of that kind which the package brings, in a wheel or in a checkout."""
    in_wheel = _PACKAGE / "_content" / kind
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / kind


def document(name: str) -> Path:
    """A page of docs/reference/ that travels with the program."""
    in_wheel = _PACKAGE / "_content" / "docs" / name
    return in_wheel if in_wheel.is_file() else _PACKAGE.parent / "docs" / "reference" / name


def own_folders(kind: Kind) -> list[Path]:
    """A user's own folders of that kind, first match first; these may be written to."""
    home = settings.home()
    return [Path.cwd() / kind, *([home / kind] if home else [])]


def find(kind: Kind, name: str) -> Path:
    """The folder of one model or study, by path or by name.

    A folder of that name without the file that makes it a model or a study hides none that has
    it. Raises UsageError when there is none, with the nearest known name.
    """
    if "/" in name or "\\" in name or name.startswith("."):
        explicit = settings.user_path(name)
        if explicit.exists():
            return explicit
        raise UsageError(f"No such folder: {name}.", f"{kind}/ names need no path.")
    places = [folder / name for folder in (*own_folders(kind), packaged(kind))]
    there = [place for place in places if place.is_dir()]
    whole = [place for place in there if (place / _MAIN_FILE[kind]).exists()]
    if there:
        return (whole or there)[0]
    raise unknown_name(_ONE[kind], name, names(kind))


def explicit(folder: Path) -> str:
    """A path as text that ``find`` takes for no name."""
    text = str(folder)
    return text if len(folder.parts) > 1 or text == "." else f"./{text}"


def address(kind: Kind, folder: Path) -> str:
    """What a command calls a model's or study's folder: its name where that finds it."""
    known = folder.name in names(kind) and find(kind, folder.name).resolve() == folder.resolve()
    return folder.name if known else explicit(folder)


def name_of(folder: Path) -> str:
    """The name under which a folder is seen, a link's own one; `.` and `..` have one, too."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100


def names(kind: Kind) -> list[str]:
    """Every model or study that ``find`` knows by name, sorted."""
    found = {
        entry.name
        for folder in (*own_folders(kind), packaged(kind))
        if folder.is_dir()
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith((".", "_"))
    }
    return sorted(found)
