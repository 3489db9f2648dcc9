"""Where the environment says that data, weights, a user's own content and caches lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_path(text: str | Path) -> Path:
    """A path as a user writes it, a leading ~ for the home; ~nobody stays what it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for ~nobody


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
