"""An operator with a browser."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from sreval.store.models import Base
from sreval.store.operators import Operators, Role
from sreval.store.overview import Overview
from tests.site.conftest import Visitor

PASSWORD = "correct horse battery"


@dataclass
class Clock:
    """A clock that a test sets."""

    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def __call__(self) -> dt.datetime:
        return self.now

    def wait(self, **duration: float) -> None:
        self.now += dt.timedelta(**duration)


def everything(site: Visitor) -> dict[str, list[str]]:
    """All rows of the database but for when a login was last seen."""
    with site.store.read() as tx:
        return {
            table.name: sorted(repr(tuple(row)) for row in tx.execute(select(table)))
            for table in Base.metadata.sorted_tables
            if table.name != "login"
        }


@dataclass
class Desk:
    """A browser of an operator at a site of one study, "small"."""

    site: Visitor
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.site.app.test_client()

    def log_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        page = self.client.get("/operator/login")
        data = {"csrf_token": Visitor.csrf_of(page), "name": name, "password": password}
        return self.client.post("/operator/login", data=data)

    def account(self, role: Role, name: str = "") -> Desk:
        """Logged in as somebody of this role."""
        Operators(self.site.store).add(name or role, role, PASSWORD)
        assert self.log_in(name or role).status_code == 303
        return self

    def get(self, path: str = "") -> TestResponse:
        return self.client.get(f"/operator/studies/small{path}")

    def text(self, path: str = "") -> str:
        page = self.get(path)
        assert page.status_code == 200, page.text
        return page.text

    def csrf(self) -> str:
        """From any page with a form: all have one to log out."""
        return Visitor.csrf_of(self.client.get("/operator/"))

    def post(self, path: str, **data: Any) -> TestResponse:
        """Send a form of a page that was loaded just now."""
        form = {"csrf_token": self.csrf(), "made_from": self.made_from(), **data}
        return self.client.post(f"/operator/studies/small{path}", data=form)

    def made_from(self) -> str:
        """What the forms of a page carry that is loaded now; all pages carry the same."""
        found = re.search(r'name="made_from" value="(\d+)"', self.text("/steer"))
        return found.group(1) if found else "0"

    def raters(self) -> list[str]:
        return [rater.rater for rater in Overview.of(self.site.store, "small").raters]


def cells(text: str) -> list[list[str]]:
    """The rows of all tables of a page, as texts."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.DOTALL)
    return [
        [
            re.sub(r"<[^>]+>", "", cell).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in rows
    ]
