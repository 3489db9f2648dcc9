"""What a study's report is made of: parts, each with sentences, tables and figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pandas as pd

from sreval.errors import attempted
from sreval.opinions.units import INTERVAL_OF
from sreval.report.cells import Table
from sreval.report.sections import (
    Columns,
    Request,
    Section,
    printed,
    stand_in_note,
)
from sreval.study.acceptance import rules_of
from sreval.study.data import StudyData


@dataclass(frozen=True)
class Picture:
    """A figure: its SVG element, and what it shows in a sentence that also serves as its label."""

    title: str
    svg: str
    caption: str = ""


@dataclass
class Part:
    """One part of the report under its heading. ``not_done``: what can't be computed, and why."""

    title: str
    sentences: list[str] = field(default_factory=list)
    blocks: list[Section | Table | Picture] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The part's address within the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def attempt(self, what: str, make: Callable[[], Iterable[Section | Table | Picture]]) -> None:
        """Add what ``make`` gives, or say why it can't be computed."""
        made, why = attempted(lambda: list(make()))
        if made is None:
            self.not_done.append(f"{what}: {why}")
        else:
            self.blocks += made


def marks(data: StudyData) -> list[str]:
    """The words shown on every part, table and figure of a report; empty for a plain one."""
    words = ["simulated"] if data.simulated else []
    words += ["stand-ins"] if data.stand_ins else []
    words += ["interim"] if data.state != "closed" else []
    return words + (["pilot"] if data.design.pilot else [])


def warnings(data: StudyData) -> list[str]:
    """What the marks mean, a sentence each, for the head of the report."""
    said = []
    if data.simulated:
        said.append("SIMULATED: no person gave these votes; a program drew them.")
    if data.stand_ins:
        said.append(stand_in_note(data.stand_ins).replace("Stand-ins", "STAND-INS", 1))
    if data.state != "closed":
        seen = "means of methods are hidden" if data.hidden else "results may still change"
        said.append(f"INTERIM: the study is {data.state}; {seen}.")
    if data.design.pilot:
        said.append("PILOT: made to try the study out, not to be published as its result.")
    return said


def request_of(data: StudyData, scores: pd.DataFrame | None = None) -> Request:
    """What the design plans to ask of the votes."""
    analysis = data.design.analysis
    return Request(
        unit=analysis.unit,
        interval=INTERVAL_OF[analysis.unit],
        adjustment=analysis.correction,
        alpha=analysis.alpha,
        rules=rules_of(data.design),
        scores=scores,
    )


def section(
    title: str, frame: pd.DataFrame, columns: Columns, notes: Iterable[str] = ()
) -> Section:
    """A table of the report; its name within files is made of its title."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Section(name, title, frame, printed(frame, columns), list(notes))
