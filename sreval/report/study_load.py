"""A study with all its data, read from its folder and its database.

The store is imported only when a study is read: tables without opinions need no database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote

from sreval.content import address
from sreval.errors import UsageError, option
from sreval.study.data import StudyData
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest


def load(
    folder: Path,
    database: str | None = None,
    *,
    allow_open: bool | None = False,
    means: bool = False,
) -> StudyData:
    """The study in ``folder``, its votes from ``database``, else SREVAL_DATABASE, else its folder.

    A look at results that the design lets be seen before the study is closed is kept in the
    audit log. Raises UsageError for a study that is not closed unless ``allow_open``, and what
    the folder and the store raise; where ``means`` of methods are to be shown, also for one that
    is not closed and whose design hides them. ``allow_open`` None lets a rehearsed study through,
    one that only simulated raters have taken part in: of it nothing is hidden, and no look is kept.
    """
    from sreval.store.database import default_url, open_store
    from sreval.store.frames import record_look, study_data
    from sreval.store.overview import Overview
    from sreval.store.studies import Studies

    name, manifest = load_design(folder).name, load_manifest(folder)
    url = default_url(folder, database)
    assert url is not None  # there is a folder
    store = open_store(url)
    try:
        row = Studies(store).get(name)
        rehearsed = False
        if allow_open is None and row.state != "closed":
            raters = Overview.of(store, name).raters
            rehearsed = bool(raters) and all(rater.simulated for rater in raters)
        if row.state != "closed" and not rehearsed:
            close = f"Close it: sreval study close {_named(folder, database)}."
            if means and not row.design.analysis.look_before_close:
                raise UsageError(
                    f"Study {name} is {row.state}, and its design hides its results until it is "
                    "closed.",
                    close,
                )
            if not allow_open:
                raise UsageError(
                    f"Study {name} is {row.state}: its results may still change.",
                    f"{close} Or look before the end: {option('--allow-open', 'allow_open=True')}.",
                )
        data = study_data(store, name, manifest)
        if rehearsed:
            return replace(data, rehearsed=True)
        return record_look(store, data)
    finally:
        store.dispose()


def _named(folder: Path, database: str | None) -> str:
    """The study as a command's arguments; a URL that may hold a password is left to the user."""
    named = quote(address("studies", folder))
    if database is None:
        return named
    return f"{named} --database {'URL' if '@' in database else quote(database)}"
