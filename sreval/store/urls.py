"""Which database a study's votes go to."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sreval import settings
from sreval.content import own_folders, packaged
from sreval.errors import StoreError, UsageError, option

_URLS = "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."


def parse_url(url: str) -> URL:
    """A database URL, PostgreSQL by psycopg; text without :// is the path of a SQLite file.

    Raises StoreError for what is neither.
    """
    if "://" not in url:
        return URL.create("sqlite", database=str(settings.user_path(url)))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("The database's URL can't be read.", _URLS) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{parsed.drivername} isn't a database that sreval can use.", _URLS)
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("Votes are not kept in memory.", _URLS)
    return parsed


def default_url(folder: Path | None, given: str | None) -> str | None:
    """The database of the study in ``folder``: ``given``, else SREVAL_DATABASE, else its own file.

    None when there is no folder either. Raises UsageError for a study that the package brings:
    nothing is written there.
    """
    named = given or settings.database()
    if named or folder is None:
        return named
    home = folder.resolve().parent
    own = [place.resolve() for place in own_folders("studies")]
    if home == packaged("studies").resolve() and home not in own:
        raise UsageError(
            f"{folder.name} belongs to the package and can't take votes.",
            f"Copy it: sreval study new NAME --from {folder.name}; or name a "
            f"{option('--database')}.",
        )
    return f"sqlite:///{folder.resolve() / 'votes.sqlite'}"


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite database, None for another kind."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)
