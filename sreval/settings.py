"""Where the environment says that data, weights, a user's own content and caches lie."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None


def data_dirs() -> list[Path]:
    """Folders searched for data sets, first match first: SREVAL_DATA, then the user's own."""
    return [d for d in (_folder("SREVAL_DATA"), user_data_dir()) if d is not None]


def user_data_dir() -> Path:
    """The folder that ``sreval data fetch`` fills when no other is given."""
    return Path(platformdirs.user_data_dir("sreval")) / "data"


def weights_dirs() -> list[Path]:
    """Folders searched for third-party weights: SREVAL_WEIGHTS, then the user's own."""
    own = Path(platformdirs.user_data_dir("sreval")) / "weights"
    return [d for d in (_folder("SREVAL_WEIGHTS"), own) if d is not None]


def home() -> Path | None:
    """SREVAL_HOME, the folder of a user's own models/ and studies/; None when unset."""
    return _folder("SREVAL_HOME")


def cache_dir() -> Path:
    """Folder for what can be computed again: SREVAL_CACHE, else the system's cache folder."""
    return _folder("SREVAL_CACHE") or Path(platformdirs.user_cache_dir("sreval"))


def database() -> str | None:
    """SREVAL_DATABASE, the URL of the database of votes; None when unset."""
    return os.environ.get("SREVAL_DATABASE") or None
