"""Where content, data, weights, caches and the database lie, as the environment says.

models/, studies/ and web/ are content, not import packages: they lie in a checkout, inside the
wheel and in a user's folders. A name is looked up as an explicit path, then under ./models or
./studies, then under SREVAL_HOME, then in what the package brings. Commands write only to the
first three.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from sreval.errors import UsageError, shown, unknown_name

Kind = Literal["models", "studies", "web"]

SOURCE_LANGUAGE = "en"
"""The language of the sentences in the code, for which there is no translation."""
_MAIN_FILE = {"models": "recipe.toml", "studies": "study.toml", "web": "README.md"}
_ONE = {"models": "model", "studies": "study", "web": "part of the site"}
_NAME_BYTES, _PATH_BYTES = 255, 4095
"""What Linux takes as the name of a file, and as a path."""
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
    named = home()
    return [Path.cwd() / kind, *([named / kind] if named else [])]


def brought(kind: Kind, folder: Path) -> bool:
    """Whether a folder of that kind is one that the package brings, so that nothing may be written
    into it; in a checkout it is the user's own."""
    place, own = folder.resolve().parent, own_folders(kind)
    return place == packaged(kind).resolve() and place not in [home.resolve() for home in own]


def find(kind: Kind, name: str) -> Path:
    """The folder of one model or study, by path or by name.

    A folder of that name without the file that makes it a model or a study hides none that has
    it. Raises UsageError when there is none, with the nearest known name.
    """
    explicit = user_path(name)
    if "/" in name or "\\" in name or name.startswith("."):
        if explicit.is_file():
            raise UsageError(
                f"{name} is a file, not a {_ONE[kind]}.",
                f"Name a {_ONE[kind]}, or its folder, which holds {_MAIN_FILE[kind]}.",
            )
        if explicit.exists():
            return explicit
        raise UsageError(f"No such folder: {name}.", f"{kind}/ names need no path.")
    places = [folder / name for folder in (*own_folders(kind), packaged(kind))]
    there = [place for place in places if place.is_dir()]
    whole = [place for place in there if (place / _MAIN_FILE[kind]).exists()]
    if there:
        return (whole or there)[0]
    here = (explicit / _MAIN_FILE[kind]).is_file()
    remedy = f"For the folder here write ./{name}." if here else ""
    raise unknown_name(_ONE[kind], name, names(kind), remedy)


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


def languages() -> list[str]:
    """The languages that the site's pages speak, by their two letters, sorted."""
    catalogues = packaged("web").glob("translations/*/LC_MESSAGES/messages.po")
    return sorted({SOURCE_LANGUAGE, *(path.parent.parent.name for path in catalogues)})


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


def user_path(text: str | Path) -> Path:
    """A path as a user writes it, a leading ~ for the home; ~nobody stays what it is.

    Raises UsageError for a text that no file can be called.
    """
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for ~nobody
    try:
        names, whole = map(os.fsencode, path.parts), os.fsencode(path)
        too_long = len(whole) > _PATH_BYTES or any(len(name) > _NAME_BYTES for name in names)
        why = "it is too long" if too_long else "it holds a NUL" if "\0" in str(path) else ""
    except UnicodeEncodeError:
        why = "it isn't Unicode text"
    if why:
        raise UsageError(f"No file can be called {shown(str(text))}: {why}.", "Check the name.")
    return path


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return user_path(value) if value else None


def data_dirs() -> list[Path]:
    """Folders searched for data sets, first match first: SREVAL_DATA, then the user's own."""
    return [d for d in (_folder("SREVAL_DATA"), user_data_dir()) if d is not None]


def user_data_dir() -> Path:
    """The folder that ``sreval data fetch`` fills when no other is given."""
    return _user_data() / "data"


def weights_dirs() -> list[Path]:
    """Folders searched for third-party weights: SREVAL_WEIGHTS, then the user's own."""
    own = _user_data() / "weights"
    return [d for d in (_folder("SREVAL_WEIGHTS"), own) if d is not None]


def home() -> Path | None:
    """SREVAL_HOME, the folder of a user's own models/ and studies/; None when unset."""
    return _folder("SREVAL_HOME")


def cache_dir() -> Path:
    """Folder for what can be computed again: SREVAL_CACHE, else the system's cache folder."""
    return _folder("SREVAL_CACHE") or _own("XDG_CACHE_HOME", ".cache", "Caches", "Cache")


def database() -> str | None:
    """SREVAL_DATABASE, the URL of the database of votes; None when unset."""
    return os.environ.get("SREVAL_DATABASE") or None


def _user_data() -> Path:
    return _own("XDG_DATA_HOME", ".local/share", "Application Support", "")


def _own(variable: str, elsewhere: str, mac: str, windows: str) -> Path:
    """The user's folder for sreval: by XDG's variable, or under ~ or ~/Library or LOCALAPPDATA.

    The XDG Base Directory Specification 0.8 has a path in its variables ignored unless absolute.
    """
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac / "sreval"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        # the maker's name before the program's, both sreval
        return Path(local, "sreval", "sreval", windows)
    named = Path(os.environ.get(variable, ""))
    return (named if named.is_absolute() else Path.home() / elsewhere) / "sreval"
