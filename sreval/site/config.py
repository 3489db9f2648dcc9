"""What a site is told from outside: its study, its database, its secret, its place on the net."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, field_validator

from sreval import content
from sreval.config import Config, UserPath, config_error
from sreval.errors import DataError, UsageError
from sreval.files import temporary_beside
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

    @property
    def tls(self) -> bool:
        """Whether raters come by https."""
        return self.base_url.startswith("https://")


def site_config(**fields: object) -> SiteConfig:
    """A checked SiteConfig. Raises UsageError naming the field, the bad value and the remedy."""
    try:
        return SiteConfig.model_validate(fields)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("secret",):
            raise UsageError(
                f"SREVAL_SECRET is shorter than {_LEAST_SECRET} characters.",
                "Leave it unset, or set it to the output of: openssl rand -hex 32",
            ) from None
        raise config_error("site", error) from None


def from_environment() -> SiteConfig:
    """What gunicorn's workers are told: SREVAL_STUDY, SREVAL_DATABASE, SREVAL_SECRET,
    SREVAL_SECRET_FILE, SREVAL_BASE_URL, SREVAL_TRUSTED_PROXIES.

    Raises UsageError when SREVAL_STUDY is unset or a value makes no sense.
    """
    name = os.environ.get("SREVAL_STUDY")
    if not name:
        raise UsageError("SREVAL_STUDY is not set.", "Set it to the study's name or folder.")
    folder = content.find("studies", name)
    given = from_variables("secret", "secret_file", "base_url", "trusted_proxies")
    return site_config(study=folder, database=default_url(folder, None), **given)


def from_variables(*fields: str) -> dict[str, str]:
    """Those fields of SiteConfig whose variable, SREVAL_ and the name in capitals, is set."""
    values = {field: os.environ.get(f"SREVAL_{field.upper()}") for field in fields}
    return {field: value for field, value in values.items() if value}


def secret_key(config: SiteConfig) -> str:
    """What session cookies are signed with: as given, else a file's, made at first start.

    Raises DataError when the file can be read by others, is too short or can't be made.
    """
    if config.secret:
        return config.secret
    path = config.secret_file or config.study / SECRET
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


def _make_secret(path: Path) -> None:
    """Of several workers that start at once, the first one's secret stands for all."""
    if path.exists():
        return
    draft = temporary_beside(path)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
