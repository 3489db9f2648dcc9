"""A study's design: everything that is decided before the first rater, as data.

studies/NAME/study.toml holds it, every key commented there. Unknown keys are refused. The design
is locked by its hash when the first rater enrols: what was asked, shown and planned can't change
under votes that are already cast.
"""

from __future__ import annotations

import datetime
import itertools
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from sreval import content
from sreval.config import Config, load_config
from sreval.errors import UsageError
from sreval.files import sha256_bytes, write_atomic
from sreval.opinions.units import DEFAULT_UNIT
from sreval.study.manifest import DESIGN

NAME = r"^[a-z0-9][a-z0-9._-]*$"
_NAME_LINE = re.compile(r"^name[ \t]*=.*$", re.MULTILINE)
When = Literal["before", "after"]


class Scale(Config):
    """Absolute category rating with five words, worst first (ITU-T P.910 (2008) clause 6.1)."""

    words: tuple[str, str, str, str, str] = ("bad", "poor", "fair", "good", "excellent")


class DatasetPart(Config):
    """One data set's share: all images unless `images` names some; `without` lists the methods
    of the study that are left out here (the asterisks in the paper's table 2)."""

    name: str
    images: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _images_differ(self) -> DatasetPart:
        if len(set(self.images)) < len(self.images):
            raise ValueError("an image is given twice")
        return self


class Images(Config):
    """What is rated: every method on every image of every data set, less what is left out."""

    scale: int = Field(default=4, ge=2, le=8)
    methods: tuple[str, ...] = Field(min_length=1)
    datasets: tuple[DatasetPart, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_known(self) -> Images:
        if len(set(self.methods)) < len(self.methods):
            raise ValueError("a method is given twice")
        if len({part.name for part in self.datasets}) < len(self.datasets):
            raise ValueError("a data set is given twice")
        for part in self.datasets:
            unknown = sorted(set(part.without) - set(self.methods))
            if unknown:
                raise ValueError(
                    f"{part.name} leaves out {unknown[0]!r}, which isn't a method of this study"
                )
            if set(part.without) == set(self.methods):
                raise ValueError(f"{part.name} leaves out every method")
        return self

    def methods_of(self, dataset: str) -> tuple[str, ...]:
        """The methods rated on one data set, in the design's order."""
        without = next(part.without for part in self.datasets if part.name == dataset)
        return tuple(method for method in self.methods if method not in without)


class Anchor(Config):
    """A calibration item: a version, and the score that it is meant to show."""

    method: str
    score: int = Field(ge=1, le=5)


class Calibration(Config):
    """Items shown first, with their intended score, and rated; they never count as votes.

    `images` of `dataset`, drawn by the study's seed, each in every version of `anchors`.
    """

    dataset: str
    images: PositiveInt
    anchors: tuple[Anchor, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _anchors_differ(self) -> Calibration:
        if len({anchor.method for anchor in self.anchors}) < len(self.anchors):
            raise ValueError("two anchors are of one method")
        return self


class WarmUp(Config):
    """Items that look like all others and don't count: `images` of `dataset`, one method each."""

    dataset: str
    images: PositiveInt
    methods: tuple[str, ...] = Field(min_length=1)


class Repeat(Config):
    """Hidden repeats: `images` of a data set in one method's version, shown `times` more.

    The showings lie at least `distance` positions apart.
    """

    dataset: str
    method: str
    images: PositiveInt
    times: PositiveInt = 1
    distance: PositiveInt = 20


class Gold(Config):
    """Items with a known answer: a score outside low..high fails the item. They never count."""

    dataset: str
    method: str
    images: PositiveInt
    low: int = Field(ge=1, le=5)
    high: int = Field(ge=1, le=5)

    @model_validator(mode="after")
    def _has_range(self) -> Gold:
        if self.low > self.high:
            raise ValueError(f"no score lies within {self.low}..{self.high}")
        return self


class Order(Config):
    """What holds in every rater's order.

    Between two showings of one scene lie at least `scene_distance` - 1 other items. With
    `methods_alternate`, no method comes twice in a row wherever that is possible.
    """

    scene_distance: PositiveInt = 2
    methods_alternate: bool = True


class Sittings(Config):
    """How long a sitting takes. `items` per sitting (0: all in one), a break of `break_seconds`
    after every `break_every` items (0: none), and at least `rest_minutes` between two sittings."""

    items: NonNegativeInt = 0
    break_every: NonNegativeInt = 0
    break_seconds: NonNegativeInt = 60
    rest_minutes: NonNegativeInt = 0


class Viewing(Config):
    """How an image is shown: at least `least_ms` before a vote counts, after `grey_ms` of grey.

    `seconds_an_item` is what a rater is expected to take and feeds the times that are announced.
    """

    least_ms: NonNegativeInt = 500
    grey_ms: NonNegativeInt = 500
    seconds_an_item: float = Field(default=4.0, gt=0)
    phones: bool = False


class Consent(Config):
    """What a rater agrees to. A changed text needs a changed version."""

    version: str
    text: str = Field(min_length=1)


class Question(Config):
    """One question of a questionnaire. `screens_out` lists answers that end the session."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    when: When = "before"
    text: str = Field(min_length=1)
    kind: Literal["choice", "number", "text"] = "choice"
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    required: bool = True
    screens_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _options_fit(self) -> Question:
        if (self.kind == "choice") != bool(self.options):
            raise ValueError("options belong to a choice, and a choice needs them")
        unknown = sorted(set(self.screens_out) - set(self.options))
        if unknown:
            raise ValueError(f"screens_out names {unknown[0]!r}, which isn't an option")
        return self


class Rule(Config):
    """One reason for which a session's votes are not used, or the session is not paid.

    `kind`: `gold` (share of gold items failed above `limit`), `too-fast` (share of votes faster
    than `viewing.least_ms` + 200 ms above `limit`), `straight-lining` (longest run of one score
    above `limit`), `repeats` (mean absolute difference of repeated votes above `limit`),
    `incomplete` (share of the plan's items that were rated below `limit`).
    """

    kind: Literal["gold", "too-fast", "straight-lining", "repeats", "incomplete"]
    limit: float
    used: bool = False
    paid: bool = True
    reason: str = Field(min_length=1)

    @model_validator(mode="after")
    def _limit_fits(self) -> Rule:
        shares = ("gold", "too-fast", "incomplete")
        if self.limit < 0 or (self.kind in shares and self.limit > 1):
            raise ValueError(
                f"{self.kind} takes a limit {'0..1' if self.kind in shares else '> 0'}"
            )
        return self


class Outcomes(Config):
    """What a rater is shown at the end, one for each way it can end: a code, or an http(s) URL."""

    complete: str = ""
    screened_out: str = ""
    failed_check: str = ""
    withdrew: str = ""


class Analysis(Config):
    """The analysis planned before the first vote; the report says so wherever it departs.

    `unit`: what varies in intervals and tests. Over raters a claim is on raters in general and
    these images; over images the reverse, and of few images no test can be significant.
    """

    unit: Literal["rater", "image"] = DEFAULT_UNIT
    alpha: float = Field(default=0.05, gt=0, lt=1)
    correction: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    comparisons: tuple[tuple[str, str], ...] = ()
    look_before_close: bool = False


class StudyDesign(Config):
    """The whole design of an opinion study."""

    name: str = Field(pattern=NAME)
    title: str = Field(min_length=1)
    instructions: str = Field(min_length=1)
    language: str = Field(default="en", pattern=r"^[a-z]{2}$")
    raters: PositiveInt
    seed: int = Field(ge=0, lt=2**63)
    pilot: bool = False
    retention: datetime.date | None = None
    scale: Scale = Scale()
    images: Images
    subset: PositiveInt | None = None
    calibration: Calibration | None = None
    warm_up: WarmUp | None = None
    repeats: tuple[Repeat, ...] = ()
    gold: tuple[Gold, ...] = ()
    order: Order = Order()
    sittings: Sittings = Sittings()
    viewing: Viewing = Viewing()
    consent: Consent
    questions: tuple[Question, ...] = ()
    acceptance: tuple[Rule, ...] = ()
    outcomes: Outcomes = Outcomes()
    analysis: Analysis = Analysis()

    @model_validator(mode="after")
    def _parts_fit(self) -> StudyDesign:
        keys = [question.key for question in self.questions]
        if len(set(keys)) < len(keys):
            raise ValueError("two questions have the same key")
        names = {part.name for part in self.images.datasets}
        for repeat in self.repeats:
            if repeat.dataset not in names:
                raise ValueError(f"repeats name {repeat.dataset!r}, which is not rated")
            if repeat.method not in self.images.methods_of(repeat.dataset):
                raise ValueError(f"repeats name {repeat.method!r}, not rated on {repeat.dataset}")
        if len({(gold.dataset, gold.method) for gold in self.gold}) < len(self.gold):
            raise ValueError("two gold ranges are for one method on one data set")
        for pair in self.analysis.comparisons:
            unknown = sorted(set(pair) - set(self.images.methods))
            if unknown:
                raise ValueError(f"analysis compares {unknown[0]!r}, which is not rated")
            if pair[0] == pair[1]:
                raise ValueError(f"analysis compares {pair[0]!r} with itself")
        pairs = Counter(frozenset(pair) for pair in self.analysis.comparisons)
        for pair in self.analysis.comparisons:
            if pairs[frozenset(pair)] > 1:
                raise ValueError(f"analysis compares {pair[0]!r} and {pair[1]!r} twice")
        return self

    def comparisons_on(self, dataset: str) -> tuple[tuple[str, str], ...]:
        """The comparisons planned on one data set: all pairs where the design names none."""
        methods = self.images.methods_of(dataset)
        if not self.analysis.comparisons:
            return tuple(itertools.combinations(methods, 2))
        return tuple(pair for pair in self.analysis.comparisons if set(pair) <= set(methods))

    def as_json(self) -> str:
        """The design as one canonical line of JSON with all defaults: what databases keep."""
        return _canonical(self.model_dump(mode="json"))

    @property
    def sha256(self) -> str:
        """SHA-256 of what differs from the defaults: a key that is added later changes no hash.

        Nor does a default that is changed later: the unit is told where it isn't "image", which
        hashes have always assumed.
        """
        told = self.model_dump(mode="json", exclude_defaults=True)
        analysis = told.pop("analysis", {}) | {"unit": self.analysis.unit}
        if analysis["unit"] == "image":
            del analysis["unit"]
        if analysis:
            told["analysis"] = analysis
        return sha256_bytes(_canonical(told).encode())

    def with_unit_of(self, kept: StudyDesign) -> StudyDesign:
        """This design with the unit that ``kept`` plans, if it names none of its own.

        A plan made before the first vote stays, even if a later version has another default.
        """
        if "unit" in self.analysis.model_fields_set:
            return self
        analysis = self.analysis.model_copy(update={"unit": kept.analysis.unit})
        return self.model_copy(update={"analysis": analysis})


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def load_design(folder: Path) -> StudyDesign:
    """The design in a study's folder.

    Raises UsageError naming the file, the field, the bad value and the remedy.
    """
    return load_config(folder / DESIGN, StudyDesign)


def json_schema() -> dict[str, Any]:
    """The design's JSON schema, for editors that check and complete study.toml."""
    return StudyDesign.model_json_schema()


def copy_study(name: str, source: Path) -> Path:
    """Copy the design in `source`, its comments with it, to a user's own study of that name.

    It goes to the last of `content.own_folders`: SREVAL_HOME where set, else ./studies.
    Returns the new study.toml. Raises UsageError for a name that is taken or can't be one, and
    for a source that holds no valid design.
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"{name!r} can't be a study's name.", "Use a-z, 0-9, '.', '_' and '-', no dash first."
        )
    folder = content.own_folders("studies")[-1] / name
    if name in content.names("studies") or folder.exists():
        raise UsageError(f"There is a study {name!r} already.", "Choose another name.")
    load_design(source)
    text = (source / DESIGN).read_text(encoding="utf-8-sig")
    top = re.split(r"^\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = _NAME_LINE.sub(f'name = "{name}"', top, count=1) + text[len(top) :]
    if StudyDesign.model_validate(tomllib.loads(text)).name != name:
        raise UsageError(
            f"{source / DESIGN} has no line that begins with 'name ='.", "Give it one at the top."
        )
    write_atomic(folder / DESIGN, text)
    return folder / DESIGN
