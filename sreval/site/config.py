"""What a site is told from outside: its study, its database, its secret, its place on the net."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Self
from urllib.parse import urlsplit

import idna
from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from sreval import content
from sreval.config import Config, UserPath
from sreval.errors import DataError, UsageError
from sreval.store.answers import longest
from sreval.store.database import default_url
from sreval.study.questions import Question

SECRET = "site.secret"
_LEAST_SECRET = 32
EXPLAINED = 8
"""A body of up to so many times the limit is refused by the site itself, its form filled in."""
_PLAIN_BODY = 64 * 1024
_ENCODED = 12
"""Bytes of a form for a character of four bytes of UTF-8, as emoji have: %F0%9F%98%80."""


def body_limit(questions: Iterable[Question]) -> int:
    """Bytes of the longest request: answers to all of these, each as long as an answer may be."""
    return _PLAIN_BODY + longest(questions) * _ENCODED


_FROM_ENVIRONMENT = (
    *("secret", "secret_file", "base_url"),
    *("trusted_proxies", "create_tables", "metrics"),
)
_LOCAL = "http://127.0.0.1:8000"
"""Where `sreval serve` listens unless it is told otherwise."""
_MOST_PORTS = 65535
_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")


def origin(url: str) -> str:
    """The address of a site as browsers say it in `Origin`: scheme, host and, if it isn't the
    scheme's own, port. The host is in lower case, an international one in its ASCII form.

    Raises ValueError for what isn't the address of a site.
    """
    try:
        parts = urlsplit(url.strip())
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        if ":" not in host:  # an IPv6 address has no other form; a name has
            host = idna.encode(host, uts46=True).decode() if not host.isascii() else host
            fit = _HOST.fullmatch(host) is not None
        else:
            host, fit = f"[{ipaddress.IPv6Address(host)}]", True
        rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username)
    except (ValueError, UnicodeError):  # idna's errors are the latter's
        fit = False
    if not fit or scheme not in _PORTS or any(rest) or port == 0:
        raise ValueError("not of the form https://study.example.org")
    return f"{scheme}://{host}" + (f":{port}" if port not in (None, _PORTS[scheme]) else "")


def listening_address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, [IPV6]:PORT or PORT, which is one of this machine alone.

    Raises ValueError for anything else.
    """
    host, _, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= _MOST_PORTS):
        raise ValueError(f"not of the form 127.0.0.1:9100, with a port from 1 to {_MOST_PORTS}")
    return host.strip("[]") or "127.0.0.1", int(port)


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


class Surroundings(Config):
    """What a site shares with every command on its database.

    `base_url` is the address raters know, as `origin` has it; https:// there turns on what only
    makes sense behind TLS. `create_tables` says whether an empty database gets its tables when
    the site starts or somebody is invited; older tables never change by that.
    """

    base_url: str = ""
    create_tables: bool = True

    @field_validator("base_url")
    @classmethod
    def _is_origin(cls, url: str) -> str:
        return origin(url) if url else ""

    @property
    def links_at(self) -> str:
        """The address that links begin with."""
        return self.base_url or _LOCAL

    @classmethod
    def given(cls, **fields: object) -> Self:
        """A checked configuration; what `fields` lack is taken from the environment, if it is
        there: SREVAL_BASE_URL for `base_url`, and so on.

        Raises UsageError naming the field, the bad value and the remedy.
        """
        variables = {}
        for field in cls.model_fields.keys() & set(_FROM_ENVIRONMENT):
            name = f"SREVAL_{field.upper()}"
            value = os.environ.get(name)
            if value and field not in fields:
                fields[field] = value
                variables[field] = name if field == "secret" else f"{name}={value}"
        secret = fields.get("secret")
        if isinstance(secret, str) and len(secret) < _LEAST_SECRET:
            raise UsageError(
                f"SREVAL_SECRET is shorter than {_LEAST_SECRET} characters.",
                "Leave it unset, or set it to the output of: openssl rand -hex 32",
            )
        return cls.checked(fields, "site", changed=variables)


class SiteConfig(Surroundings):
    """One site serves one study.

    `trusted_proxies` is how many proxies are in front and set X-Forwarded-*; 0 ignores such
    headers. `metrics` is a private address for Prometheus, HOST:PORT or a port of this machine
    alone; empty, there is none. `rates` None turns rate limits off, for simulated raters and tests.
    """

    study: UserPath
    database: str = Field(repr=False)
    secret: str | None = Field(default=None, min_length=_LEAST_SECRET, repr=False)
    secret_file: UserPath | None = None
    trusted_proxies: NonNegativeInt = 0
    metrics: str = ""
    rates: Rates | None = Rates()

    @field_validator("metrics")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if text:
            listening_address(text)
        return text

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
