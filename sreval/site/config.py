"""What a site is told from outside: its study, its database, its secret, its place on the net."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from sreval import content
from sreval.config import Config, UserPath
from sreval.errors import DataError, UsageError
from sreval.store.database import default_url

SECRET = "site.secret"
_LEAST_SECRET = 32
BODY_BYTES = 64 * 1024
"""The longest body of a request: a questionnaire of twenty full text answers."""


class Rates(Config):
    """How many requests a minute are answered, in each process.

    `link` counts openings of one link by everybody, `visit` those by one browser; the others are
    for one session, or one visit before there is a session.
    """

    link: PositiveInt = 300
    visit: PositiveInt = 30
    form: PositiveInt = 60
    vote: PositiveInt = 240
    device: PositiveInt = 60
    image: PositiveInt = 600


class SiteConfig(Config):
    """One site serves one study.

    `base_url` is the address raters know; https:// there turns on what only makes sense behind
    TLS. `trusted_proxies` is how many proxies are in front and set X-Forwarded-*; 0 ignores
    such headers. `rates` None turns rate limits off, for simulated raters and tests.
    """

    study: UserPath
    database: str = Field(repr=False)
    secret: str | None = Field(default=None, min_length=_LEAST_SECRET, repr=False)
    secret_file: UserPath | None = None
    base_url: str = ""
    trusted_proxies: NonNegativeInt = 0
    rates: Rates | None = Rates()

    @field_validator("base_url")
    @classmethod
    def _is_origin(cls, url: str) -> str:
        url = url.rstrip("/")
        scheme, _, host = url.partition("://")
        if url and (scheme not in ("http", "https") or not host or "/" in host):
            raise ValueError("not of the form https://study.example.org")
        return url

    @classmethod
    def given(cls, **fields: object) -> Self:
        """A checked configuration; what `fields` lack is taken from the environment, if it is
        there: SREVAL_SECRET, SREVAL_SECRET_FILE, SREVAL_BASE_URL, SREVAL_TRUSTED_PROXIES.

        Raises UsageError naming the field, the bad value and the remedy.
        """
        for field in ("secret", "secret_file", "base_url", "trusted_proxies"):
            value = os.environ.get(f"SREVAL_{field.upper()}")
            if value and field not in fields:
                fields[field] = value
        secret = fields.get("secret")
        if isinstance(secret, str) and len(secret) < _LEAST_SECRET:
            raise UsageError(
                f"SREVAL_SECRET is shorter than {_LEAST_SECRET} characters.",
                "Leave it unset, or set it to the output of: openssl rand -hex 32",
            )
        return cls.checked(fields, "site")

    @classmethod
    def from_environment(cls) -> Self:
        """What gunicorn's workers are told, by SREVAL_STUDY, SREVAL_DATABASE and as in `given`.

        Raises UsageError when SREVAL_STUDY is unset or a value makes no sense.
        """
        name = os.environ.get("SREVAL_STUDY")
        if not name:
            raise UsageError("SREVAL_STUDY is not set.", "Set it to the study's name or folder.")
        folder = content.find("studies", name)
        return cls.given(study=folder, database=default_url(folder, None))

    @property
    def tls(self) -> bool:
        """Whether raters come by https."""
        return self.base_url.startswith("https://")

    def secret_key(self) -> str:
        """What session cookies are signed with: as given, else a file's, made at first start.

        Raises DataError when the file can be read by others, is too short or can't be made.
        """
        if self.secret:
            return self.secret
        path = self.secret_path
        try:
            _make_secret(path)
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise DataError(
                    f"{path} can be read by others.",
                    f"Run: chmod 600 {path} - or delete it, which ends all raters' sessions in "
                    "their browsers; their links still work.",
                )
            secret = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"Can't use the secret in {path}: {error}.", "Set SREVAL_SECRET, or fix the file."
            ) from None
        if len(secret) < _LEAST_SECRET:
            raise DataError(f"The secret in {path} is too short.", "Delete the file.")
        return secret

    @property
    def secret_path(self) -> Path:
        """Where the secret is kept, unless it is given itself."""
        return self.secret_file or self.study / SECRET


def _make_secret(path: Path) -> None:
    """Of several workers that start at once, the first one's secret stands for all."""
    if path.exists():
        return
    # only its owner can read what tempfile makes
    with NamedTemporaryFile("w", dir=path.parent, prefix=".", encoding="ascii") as draft:
        draft.write(secrets.token_hex(32) + "\n")
        draft.flush()
        with suppress(FileExistsError):
            os.link(draft.name, path)
