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
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    PrivateAttr,
    StrictBool,
    field_validator,
    model_validator,
)

from sreval import content
from sreval.config import Config, FieldError, config_text
from sreval.errors import UsageError, counted, listed, shown, suggestion
from sreval.files import sha256_bytes, write_atomic
from sreval.frames import unit_name, unit_of
from sreval.images.scales import UpscalingFactor
from sreval.opinions.units import Chosen, Spending, default_unit
from sreval.reading import from_toml
from sreval.study.groups import NAME, NAME_LETTERS, Group, Quota
from sreval.study.manifest import DESIGN
from sreval.study.panel import CODE, Panel, placeholders, refuse_placeholders
from sreval.study.questions import Comment, Question, refuse_conditions
from sreval.study.task import DEGRADATION, REFERENCE, Choice, Scale, Task
from sreval.study.texts import LANGUAGE, Texts, in_language, missing, refuse_misfits
from sreval.study.viewing import ViewingChecks

_Where = tuple[str | int, ...]
_OF_A_PAIR = 2
_TASK_AND_SCALE = ("task", "scale")
_APART = 2
"""The least `order.scene_distance` with which no image stands next to itself."""
_NAMED_TEXTS = 8
"""How many missing texts an error names; `study check` names all."""
_ENDS_AFTER = 2
"""A rule never ends a session at its first rated item."""
_NAME_LINE = re.compile(r"^name[ \t]*=.*$", re.MULTILINE)
ItemKind = Literal["calibration", "warm-up", "stabilising", "vote", "repeat", "gold", "same"]
RATING: tuple[ItemKind, ...] = ("vote", "repeat", "gold", "same")
"""The kinds of the rating part; what goes before is calibration, warm-up and, at the start of every
sitting, stabilising items."""


class DatasetPart(Config):
    """A data set that is rated. Methods left out on it are the asterisks of the paper's table 2."""

    name: str
    """As `sreval data list` or the results have it; it may be a folder of originals, too."""
    source: str = ""
    """What `--dataset` was given where that isn't the name, such as `lr=photos`."""
    images: tuple[str, ...] = ()
    """Names of its images; empty: all of them."""
    without: tuple[str, ...] = ()
    """Methods of the study that are left out on this data set."""

    @model_validator(mode="after")
    def _images_differ(self) -> DatasetPart:
        if len(set(self.images)) < len(self.images):
            raise ValueError("an image is given twice")
        return self


class Images(Config):
    """What is rated: every method on every image of every data set, less what is left out."""

    scale: UpscalingFactor = 4
    """The factor of enlargement; the frozen results have it too."""
    methods: tuple[str, ...] = Field(min_length=1)
    """Names as in the results of `sreval benchmark`; `hr` is the original."""
    datasets: tuple[DatasetPart, ...] = Field(min_length=1)
    """One block for each data set."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Images:
        if len(set(self.methods)) < len(self.methods):
            twice = next(m for m in self.methods if self.methods.count(m) > 1)
            raise FieldError(f"{shown(twice)} is given twice", "methods")
        for number, part in enumerate(self.datasets):
            if part.name in [before.name for before in self.datasets[:number]]:
                raise FieldError("this data set is given twice", "datasets", number, "name")
            place = ("datasets", number, "without")
            for method in part.without:
                if method not in self.methods:
                    raise _not_rated(method, self.methods, *place)
            if set(part.without) == set(self.methods):
                raise FieldError("every method is left out", *place)
        return self

    def source_of(self, dataset: str) -> str:
        """What a data set is opened by, rated or not: its ``source``, by default its name."""
        return next((part.source for part in self.datasets if part.name == dataset), "") or dataset

    def methods_of(self, dataset: str) -> tuple[str, ...]:
        """The methods rated on one data set, in the design's order."""
        without = next(part.without for part in self.datasets if part.name == dataset)
        return tuple(method for method in self.methods if method not in without)


def _not_rated(name: str, rated: Iterable[str], *place: str | int, where: str = "") -> FieldError:
    """What is said of a method or a data set that isn't among those that are rated."""
    return FieldError(f"{shown(name)} isn't rated{where}", *place, remedy=suggestion(name, rated))


class Anchor(Config):
    """A calibration item: a version, and the score that it is meant to show."""

    method: str
    """The version that is shown."""
    score: int
    """The score that the rater is told."""


class Calibration(Config):
    """Items shown first and rated, which show what scores are meant; they never count as votes."""

    dataset: str
    """Where the images come from; it needn't be rated."""
    images: PositiveInt
    """How many of its images, drawn by the study's seed."""
    anchors: tuple[Anchor, ...] = Field(min_length=1)
    """The versions in which every one of these images is shown."""
    feedback: StrictBool = False
    """Whether the score that is meant is told after the rater's own, and not before."""

    @model_validator(mode="after")
    def _anchors_differ(self) -> Calibration:
        if len({anchor.method for anchor in self.anchors}) < len(self.anchors):
            raise ValueError("two anchors are of one method")
        return self


class WarmUp(Config):
    """Practice: items that look like all others and don't count, one method an image."""

    dataset: str
    """Where the images come from; it needn't be rated."""
    images: PositiveInt
    """How many of its images, drawn by the study's seed."""
    methods: tuple[str, ...] = Field(min_length=1)
    """The methods that take turns over these images; with `pair`, all pairs of them do."""
    feedback: StrictBool = False
    """Whether a rater is told after each answer which picture was the photograph, where the
    question asks for it."""


class Stabilising(Config):
    """Items at the start of every sitting that look like all others and don't count, one method an
    image: judgements settle on them (dummy presentations, ITU-R BT.500-13 section 2.7; from memory
    about five at first and about three later).
    """

    dataset: str
    """Where the images come from; it needn't be rated."""
    images: PositiveInt
    """How many of its images, drawn by the study's seed, open the first sitting."""
    later: PositiveInt | None = None
    """How many of these open each later sitting; absent: all."""
    methods: tuple[str, ...] = Field(min_length=1)
    """The methods that take turns over these images; with `pair`, all pairs of them do."""

    @model_validator(mode="after")
    def _later_is_no_more(self) -> Stabilising:
        if self.later is not None and self.later > self.images:
            raise FieldError(
                f"there are {self.images} images, so {self.later} can't open a sitting", "later",
                remedy=f"Set it to {self.images} or less, or images to {self.later} or more.",
            )  # fmt: skip
        return self


class Repeat(Config):
    """Hidden repeats: what is rated again, to see whether raters agree with themselves.

    Each time a pair comes again its sides are exchanged against the time before.
    """

    dataset: str
    """A data set that is rated."""
    method: str
    """A method that is rated on it."""
    against: str = ""
    """The other method of a `pair`."""
    images: PositiveInt
    """How many of its images come again, drawn by the study's seed."""
    times: PositiveInt = 1
    """How many times each comes again."""
    distance: PositiveInt = 20
    """The least distance in positions between two showings of one stimulus."""


class Gold(Config):
    """Items with a known answer. They never count.

    A score outside the range fails one; of a `pair`, any other choice than `method`.
    """

    dataset: str
    """Where the images come from."""
    method: str
    """The version that is shown."""
    against: str = ""
    """The version beside it in a `pair`."""
    images: PositiveInt
    """How many of its images, drawn by the study's seed."""
    low: int | None = None
    """The lowest score that passes; none in a `pair`."""
    high: int | None = None
    """The highest score that passes; none in a `pair`."""

    @model_validator(mode="after")
    def _has_range(self) -> Gold:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"no score lies within {self.low}..{self.high}")
        return self


class Same(Config):
    """Items of a `pair` whose pictures are one: they show a habit of one side. They never count."""

    dataset: str
    """Where the images come from."""
    method: str
    """The version that is shown twice."""
    images: PositiveInt
    """How many of its images, drawn by the study's seed."""


class Pairs(Config):
    """Which pairs a rater judges; `subset` says how many, without it all.

    `balanced`: every pair of methods on every image equally often, fixed by the seed. `active`:
    those that tell most about the methods by what all raters before have judged.
    """

    plan: Literal["balanced", "active"] = "balanced"
    """How the pairs are chosen, see above."""


class Order(Config):
    """What holds in every rater's order, across breaks and sittings."""

    scene_distance: PositiveInt = 2
    """The least distance in positions between two showings of one scene."""
    methods_alternate: StrictBool = True
    """Whether a method follows itself only where no order avoids it."""


class Sittings(Config):
    """How long a sitting takes, with its breaks and the rest after it."""

    items: NonNegativeInt = 0
    """Items in a sitting; 0: all in one."""
    break_every: NonNegativeInt = 0
    """Items between two breaks; 0: no breaks."""
    break_seconds: int = Field(default=60, ge=0, le=86_400)
    """The least length of a break."""
    rest_minutes: int = Field(default=0, ge=0, le=525_600)
    """The least time between two sittings."""


class Viewing(Config):
    """How an image is shown."""

    least_ms: int = Field(default=500, ge=0, le=3_600_000)
    """Milliseconds for which an image is seen before a vote counts."""
    grey_ms: int = Field(default=500, ge=0, le=60_000)
    """Milliseconds of grey before each image."""
    seconds_an_item: float = Field(default=4.0, gt=0, le=3600)
    """How long a rater is expected to take; the announced times follow from it."""
    phones: StrictBool = False
    """Whether phones are let in."""
    screen: tuple[PositiveInt, PositiveInt] = (1920, 1080)
    """Width and height of the smallest screen that raters are expected to have, in its pixels.
    Of a study that is frozen, `study check` refuses a `dcr` or `pair` whose pictures don't fit."""
    checks: ViewingChecks = ViewingChecks()
    """What is measured of a rater's screen and eyes first."""


class Consent(Config):
    """What a rater agrees to. A changed text needs a changed version."""

    version: str
    """Stored with every consent."""
    text: str = Field(min_length=1)
    """What a rater reads and agrees to, in the Markdown of `instructions`."""


class Rule(Config):
    """One reason for which a session's votes are not used, or the session is not paid.

    `kind`: `gold` (share of gold items failed above `limit`), `too-fast` (share of votes faster
    than `viewing.least_ms` + 200 ms above `limit`, by the browser's times or by the site's own),
    `straight-lining` (longest run of one score or answer above `limit`), `repeats` (mean absolute
    difference of repeated votes above `limit`; of a `pair` the share of repeats with another
    answer), `incomplete` (share of the plan's items that were rated below `limit`).
    """

    kind: Literal["gold", "too-fast", "straight-lining", "repeats", "incomplete"]
    """What is measured, see above."""
    limit: float
    """A share (0 to 1), for `straight-lining` votes, for `repeats` points, of a `pair` a share."""
    used: StrictBool = False
    """Whether the votes of a session that breaks the rule are used all the same."""
    paid: StrictBool = True
    """Whether such a session is paid. A session that the rule doesn't judge is paid, see `ends`."""
    ends: StrictBool | None = None
    """Whether such a session ends at the gold item after which no further vote can mend it.
    Absent: if it isn't paid. No rule acts before it judges: `gold` and `repeats` judge from 4 of
    their items on, `too-fast` from 10 votes, or from all that are planned where these are fewer."""
    ends_after: int = Field(default=_ENDS_AFTER, ge=2)
    """How many items of the rating part are rated before the rule can end a session."""
    reason: str = Field(min_length=1)
    """What the export and the report say of it."""

    @property
    def ends_early(self) -> bool:
        """Whether the rule ends a session before its last item."""
        return not self.paid if self.ends is None else self.ends

    @model_validator(mode="after")
    def _can_end(self) -> Rule:
        if self.ends and self.kind == "incomplete":
            raise FieldError(
                "who is incomplete may go on, so this rule can't end a session", "ends",
                remedy="Leave it out.",
            )  # fmt: skip
        if self.ends_after != _ENDS_AFTER and not self.ends_early:
            raise FieldError(
                "the rule ends no session", "ends_after",
                remedy="Leave it out, or set ends = true.",
            )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _limit_fits(self) -> Rule:
        shares = ("gold", "too-fast", "incomplete")
        if self.limit < 0 or (self.kind in shares and self.limit > 1):
            raise ValueError(
                f"{self.kind} takes a limit {'0..1' if self.kind in shares else '> 0'}"
            )
        return self


class Outcomes(Config):
    """What a rater is shown at the end, one for each way it can end: a code, or an http(s) URL.

    `{code}` in it is a code that each rater has alone, and `{PARAMETER}` a parameter of `[panel]`.
    In a URL they stand behind the host.
    """

    complete: str = ""
    """After the last item."""
    screened_out: str = ""
    """After an answer that ends the session."""
    quota_full: str = ""
    """After an answer of which the study has enough raters."""
    failed_check: str = ""
    """Where a rule says that the session isn't paid."""
    ended_early: str = ""
    """Where a rule ends a session that is paid."""
    withdrew: str = ""
    """After the rater has left the study."""
    declined: str = ""
    """After the rater has not agreed; nothing is stored of them."""
    ended: str = ""
    """Where the study ends, or the place is given to somebody else, before the rater is done."""

    @field_validator("*")
    @classmethod
    def _stripped(cls, text: str) -> str:
        return text.strip()

    @property
    def has_codes(self) -> bool:
        """Whether raters have codes of their own."""
        return any(CODE in placeholders(text) for _, text in self)


class Analysis(Config):
    """The analysis planned before the first vote; the report says so wherever it departs.

    `unit`: what varies in intervals and tests. Over "both" a claim is on raters and images in
    general; over raters on raters in general and these images; over images the reverse, and of few
    images no test can be significant. Frames of one sequence count as one image. Without it, "both"
    on a data set with at least five raters and five images, else "rater".
    """

    unit: Literal["both", "rater", "image"] | None = None
    """What varies in intervals and tests, see above."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """The rate of false alarms of all planned tests on one data set."""
    correction: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    """The adjustment of p values for the number of tests."""
    comparisons: tuple[tuple[str, str], ...] = ()
    """Pairs of methods to be compared; empty: all pairs."""
    look_before_close: StrictBool = False
    """Whether means may be seen while the study is open; every look is logged."""
    looks: tuple[PositiveInt, ...] = ()
    """After how many raters the tests are made, at a level that keeps `alpha` over all looks; the
    last look is at the end. Absent: at the end alone."""
    spending: Spending = "obrien-fleming"
    """How `alpha` is divided among the looks: hardly any for the first, or about alike."""

    @model_validator(mode="before")
    @classmethod
    def _looks_are_named(cls, given: Any) -> Any:
        looks = given.get("looks") if isinstance(given, dict) else None
        if isinstance(looks, int) or (isinstance(looks, str) and looks.isdigit()):
            raise FieldError(
                f"{looks} doesn't say after how many raters each look is taken",
                "looks",
                remedy="Name them in a list, as in [4, 8, 12] for a study of 12 raters.",
            )
        return given

    @model_validator(mode="after")
    def _looks_fit(self) -> Analysis:
        if any(after <= before for before, after in itertools.pairwise(self.looks)):
            raise FieldError(
                f"the numbers of raters don't rise: {', '.join(map(str, self.looks))}",
                "looks",
                remedy=f"Write {sorted(set(self.looks))}.",
            )
        if self.looks and not self.look_before_close:
            raise FieldError(
                "looks before the end need look_before_close = true",
                "looks",
                remedy="Set that too, or leave looks out.",
            )
        return self


class StudyDesign(Config):
    """The whole design of an opinion study."""

    name: str = Field(pattern=NAME, max_length=NAME_LETTERS)
    """What commands, folders and the database call the study."""
    title: str = Field(min_length=1)
    """What raters and operators read above their pages."""
    instructions: str = Field(min_length=1)
    """What raters read before the first item. Markdown's paragraphs, lists, emphasis and links."""
    language: str = Field(default="en", pattern=LANGUAGE)
    """Language of the design's own texts, in which answers are stored; `study check` refuses one
    without a file in web/translations."""
    texts: dict[str, Texts] = {}  # noqa: RUF012 - pydantic copies it
    """What raters of further languages read, by the two letters of each."""
    raters: int = Field(ge=1, le=1_000_000)
    """How many raters are wanted; exposures are balanced for them."""
    seed: int = Field(ge=0, lt=2**63)
    """All chance of the study comes from this number."""
    pilot: StrictBool = False
    """Marks every vote as a pilot's."""
    retention: datetime.date | None = None
    """The day after which raters' personal data are to be deleted."""
    task: Task = Task()
    """What raters do."""
    scale: Scale = Scale()
    """The rating scale; with `dcr` its words are those of that task, in English. Without a `pair`,
    which has none."""
    images: Images
    """What is rated."""
    subset: PositiveInt | None = None
    """How many stimuli each rater sees, balanced over raters; absent: all. With `pair`, how many
    pairs."""
    pairs: Pairs = Pairs()
    """Which pairs a rater judges."""
    calibration: Calibration | None = None
    """Examples with the score that is meant."""
    warm_up: WarmUp | None = None
    """Practice."""
    stabilising: Stabilising | None = None
    """Items at the start of every sitting that don't count."""
    repeats: tuple[Repeat, ...] = ()
    """Stimuli that come again."""
    groups: tuple[Group, ...] = ()
    """Groups of raters who are asked for different things."""
    quotas: tuple[Quota, ...] = ()
    """Answers of which the study wants so many raters and no more."""
    gold: tuple[Gold, ...] = ()
    """Items with a known answer."""
    same: tuple[Same, ...] = ()
    """Pairs of two identical pictures."""
    order: Order = Order()
    """What holds in every rater's order."""
    sittings: Sittings = Sittings()
    """Breaks and rests."""
    viewing: Viewing = Viewing()
    """How an image is shown."""
    consent: Consent
    """What a rater agrees to."""
    questions: tuple[Question, ...] = ()
    """The questionnaire."""
    comment: Comment | None = None
    """What raters write on every picture; absent: nothing."""
    acceptance: tuple[Rule, ...] = ()
    """Rules by which a session is set aside."""
    panel: Panel | None = None
    """The panel that sends participants."""
    outcomes: Outcomes = Outcomes()
    """What a rater is shown at the end."""
    analysis: Analysis = Analysis()
    """The planned analysis."""
    _whole: Images | None = PrivateAttr(default=None)
    """Of the design of a group, what the study rates."""

    @property
    def answers(self) -> Scale | Choice:
        """What a rater's answer may be."""
        return Choice(self.task.third) if self.task.pair else self.scale

    @property
    def languages(self) -> tuple[str, ...]:
        """The two letters of every language of its texts, the design's own first."""
        return (self.language, *sorted(self.texts))

    def in_language(self, language: str) -> StudyDesign:
        """The design as raters of one of its languages read it; answers stay those of its own.

        A text that is missing is the design's own. Raises KeyError for another language.
        """
        return in_language(self, language)

    @property
    def missing_texts(self) -> tuple[str, ...]:
        """The place of every text that one of its languages lacks, as in `texts.ar.consent`."""
        return tuple(missing(self))

    def require_texts(self) -> None:
        """Raise UsageError naming every text that one of its languages lacks."""
        if lacking := self.missing_texts:
            raise UsageError(
                f"Study {self.name!r} lacks {counted(len(lacking), 'text')}: "
                f"{listed(lacking, _NAMED_TEXTS)}.",
                "Write them in study.toml, or leave out the tables of those languages.",
            )

    @property
    def pays(self) -> bool:
        """Whether raters are known apart from their votes: by a panel's ids, or codes of theirs."""
        return self.panel is not None or self.outcomes.has_codes

    @model_validator(mode="before")
    @classmethod
    def _has_the_words_of_its_task(cls, given: Any) -> Any:
        task, scale = (given.get(k, {}) if isinstance(given, dict) else {} for k in _TASK_AND_SCALE)
        if isinstance(task, dict) and task.get("kind") == "dcr" and isinstance(scale, dict):
            return given | {"scale": {"words": DEGRADATION} | scale}
        return given

    @model_validator(mode="after")
    def _parts_fit(self) -> StudyDesign:
        self._refuse_faults()
        return self

    def _refuse_faults(self) -> None:
        """Raise FieldError for parts that don't fit together."""
        self._refuse_keys_of_other_tasks()
        refuse_placeholders(self.outcomes, self.panel)
        if self.task.question == "photograph":
            self._refuse_without_reference('the question "photograph"')
        self._refuse_what_is_not_rated()
        for code in self.texts:
            if not re.fullmatch(LANGUAGE, code):
                raise FieldError("it must be a language's two letters", "texts", code)
        keys = [question.key for question in self.questions]
        _refuse_doubles(keys, "another question has this key", "questions", "key")
        refuse_misfits(self)
        refuse_conditions(self.questions)
        what = "these two methods" if self.task.pair else "this method"
        answers = [(gold.dataset, frozenset((gold.method, gold.against))) for gold in self.gold]
        _refuse_doubles(
            answers, f"{what} on this data set have an answer already", "gold", "method"
        )
        shown = [(same.dataset, same.method) for same in self.same]
        _refuse_doubles(shown, "this method on this data set is given already", "same", "method")
        for number, pair in enumerate(self.analysis.comparisons):
            place = ("analysis", "comparisons", number)
            if pair[0] == pair[1]:
                raise FieldError("a method is compared with itself", *place)
            if set(pair) in map(set, self.analysis.comparisons[:number]):
                raise FieldError("these two are compared already", *place)
        self._refuse_what_lacks_an_answer()
        self._refuse_off_scale()
        if self.task.pair:
            self._refuse_what_makes_no_pair()
        if self.task.with_reference:
            self._refuse_without_reference(f"the task {self.task.kind}")
        if self.warm_up and self.warm_up.feedback and self.task.question != "photograph":
            raise FieldError(
                "no answer is right or wrong, so there is nothing to tell of it", "warm_up",
                "feedback",
                remedy='Leave it out, or ask for the "photograph". Scores are taught by '
                "calibration.feedback.",
            )  # fmt: skip
        if self.stabilising and self.stabilising.later and not self.sittings.items:
            raise FieldError(
                "the study has one sitting, so none is later", "stabilising", "later",
                remedy="Leave it out, or set sittings.items.",
            )  # fmt: skip
        self._refuse_groups()
        self._refuse_quotas()
        looks = self.analysis.looks
        if looks and looks[-1] != self.raters:
            what = f"the last look is after {looks[-1]} raters, and the study has {self.raters}"
            remedy = f"Let the last look be {self.raters}."
            raise FieldError(what, "analysis", "looks", remedy=remedy)

    def _refuse_groups(self) -> None:
        """Raise FieldError for groups that together aren't the study, or that can't be filled."""
        if not self.groups:
            return
        names = [group.name for group in self.groups]
        _refuse_doubles(names, "another group has this name", "groups", "name")
        total = sum(group.raters for group in self.groups)
        if total != self.raters:
            raise FieldError(
                f"the groups have {total} raters in all, and the study has {self.raters}", "groups",
                remedy=f"Set raters to {total}, or change those of the groups.",
            )  # fmt: skip
        if self.pairs.plan == "active":
            raise FieldError(
                "an active plan goes by the answers of all raters, so they can't be in groups",
                "groups", remedy='Leave [[groups]] out, or set pairs.plan to "balanced".',
            )  # fmt: skip
        if self.analysis.looks and not self.groups_rate_alike:
            raise FieldError(
                "the tests at each look take all raters to rate the same, and the groups don't",
                "analysis", "looks", remedy="Leave it out.",
            )  # fmt: skip
        for number, group in enumerate(self.groups):
            self._refuse_parts_of(group, number)
            try:
                self.of_group(group.name)._refuse_empty_plan()
            except FieldError as error:
                raise FieldError(
                    f"the group {group.name!r} can't be filled: {error}", "groups", number,
                    remedy="Name other methods or data sets.",
                ) from None  # fmt: skip

    def _refuse_parts_of(self, group: Group, number: int) -> None:
        """Raise FieldError for a part of a group that the design doesn't rate."""
        datasets = [part.name for part in self.images.datasets]
        for key, known in (("methods", self.images.methods), ("datasets", datasets)):
            chosen = getattr(group, key)
            for name in chosen:
                if name not in known:
                    raise _not_rated(name, known, "groups", number, key)
                if chosen.count(name) > 1:
                    raise FieldError(f"{shown(name)} is given twice", "groups", number, key)

    def _refuse_empty_plan(self) -> None:
        """Raise FieldError where the raters of a group have nothing that their task can be on."""
        for part in self.images.datasets:
            if not self.images.methods_of(part.name):
                raise FieldError(f"none of its methods is rated on {part.name}")
        if self.task.question == "photograph" or self.task.with_reference:
            self._refuse_without_reference(f"the task {self.task.kind}")
        if self.task.pair:
            self._refuse_what_makes_no_pair()

    def _refuse_quotas(self) -> None:
        """Raise FieldError for a quota on what nobody is asked, or that keeps raters away."""
        asked = {q.key: q for q in self.questions if q.when == "before" and q.kind == "choice"}
        pairs = [(quota.question, quota.option) for quota in self.quotas]
        _refuse_doubles(pairs, "this answer has a quota already", "quotas", "option")
        for number, quota in enumerate(self.quotas):
            question = asked.get(quota.question)
            if question is None:
                raise FieldError(
                    "no choice of this key is asked before the first item", "quotas", number,
                    "question", remedy=suggestion(quota.question, asked),
                )  # fmt: skip
            if quota.option not in question.options:
                raise FieldError(
                    f"it isn't an option of {quota.question!r}", "quotas", number, "option",
                    remedy=suggestion(quota.option, question.options),
                )  # fmt: skip
            if quota.option in question.screens_out:
                raise FieldError(
                    "this answer ends every session", "quotas", number, "option",
                    remedy="Leave the quota out, or take the answer out of screens_out.",
                )  # fmt: skip
        for key in dict.fromkeys(quota.question for quota in self.quotas):
            own = {quota.option: quota.raters for quota in self.quotas if quota.question == key}
            let_in = [o for o in asked[key].options if o not in asked[key].screens_out]
            most = sum(own.get(option, self.raters) for option in let_in)
            if asked[key].required and most < self.raters:
                raise FieldError(
                    f"the answers to {key!r} let {most} raters in at most, and the study has "
                    f"{self.raters}", "quotas", remedy="Raise a quota, or set raters lower.",
                )  # fmt: skip

    @property
    def groups_rate_alike(self) -> bool:
        """Whether all raters rate the same, whatever their group."""
        return all(group.rates_all for group in self.groups)

    @property
    def by_group(self) -> dict[str, StudyDesign]:
        """The design of each group, by its name; this one, by "", where there are no groups."""
        return {name: self.of_group(name) for name in [g.name for g in self.groups] or [""]}

    def of_group(self, name: str) -> StudyDesign:
        """The design as the raters of one group have it, with its number of raters and without
        what the group doesn't rate; itself for "".

        Calibration, practice and checks are those of all. Raises UsageError for an unknown group.
        """
        if not name:
            return self
        group = next((group for group in self.groups if group.name == name), None)
        if group is None:
            known = [one.name for one in self.groups]
            raise UsageError(
                f"{self.name} has no group {shown(name)}.",
                suggestion(name, known) if known else "Its design has no [[groups]].",
            )
        methods = tuple(m for m in self.images.methods if m in (group.methods or (m,)))
        images = self.images.model_copy(
            update={
                "methods": methods,
                "datasets": tuple(
                    part.model_copy(
                        update={"without": tuple(m for m in part.without if m in methods)}
                    )
                    for part in self.images.datasets
                    if part.name in (group.datasets or (part.name,))
                ),
            }
        )
        rated = {part.name: images.methods_of(part.name) for part in images.datasets}
        analysis = self.analysis.model_copy(
            update={
                "looks": (),
                "comparisons": tuple(
                    pair for pair in self.analysis.comparisons if set(pair) <= set(methods)
                ),
            }
        )
        own = self.model_copy(
            update={
                "groups": (),
                "quotas": (),
                "raters": group.raters,
                "instructions": group.instructions or self.instructions,
                "images": images,
                "analysis": analysis,
                "repeats": tuple(
                    repeat
                    for repeat in self.repeats
                    if {repeat.method, repeat.against or repeat.method}
                    <= set(rated.get(repeat.dataset, ()))
                ),
            }
        )
        own._whole = self.images
        return own

    @property
    def study_datasets(self) -> tuple[DatasetPart, ...]:
        """The data sets that the study rates, also where this is the design of a group."""
        return (self._whole or self.images).datasets

    def _refuse_off_scale(self) -> None:
        """Raise FieldError for a score of an example or a gold item that no rater could give."""
        anchors = self.calibration.anchors if self.calibration else ()
        scores: list[tuple[tuple[str | int, ...], int | None]] = [
            (("calibration", "anchors", number, "score"), anchor.score)
            for number, anchor in enumerate(anchors)
        ]
        for number, gold in enumerate(self.gold):
            scores += [(("gold", number, "low"), gold.low), (("gold", number, "high"), gold.high)]
        for place, score in scores:
            if score is not None and self.scale.answer(score) is None:
                raise FieldError(
                    "it isn't on the scale", *place, remedy=f"Scores are {self.scale.scores}."
                )

    def _refuse_what_is_not_rated(self) -> None:
        """Raise FieldError for a repeat or a comparison of what the design doesn't rate."""
        names = [part.name for part in self.images.datasets]
        for number, repeat in enumerate(self.repeats):
            if repeat.dataset not in names:
                raise _not_rated(repeat.dataset, names, "repeats", number, "dataset")
            methods = self.images.methods_of(repeat.dataset)
            for key in ("method", "against")[: 1 + self.task.pair]:
                if (method := getattr(repeat, key)) and method not in methods:
                    where = f" on {repeat.dataset}"
                    raise _not_rated(method, methods, "repeats", number, key, where=where)
        for number, pair in enumerate(self.analysis.comparisons):
            for method in pair:
                if method not in self.images.methods:
                    place = ("analysis", "comparisons", number)
                    raise _not_rated(method, self.images.methods, *place)
            if not self.pairs_of(pair):
                raise FieldError(
                    "these two are never shown together, as one of a pair is the photograph",
                    "analysis", "comparisons", number,
                    remedy=f"Compare methods with {REFERENCE!r}.",
                )  # fmt: skip

    @property
    def _with_a_second_method(self) -> list[tuple[str, Sequence[Repeat | Gold]]]:
        """The blocks that name two methods in a pair, by the name of their tables."""
        return [("repeats", self.repeats), ("gold", self.gold)]

    def _refuse_keys_of_other_tasks(self) -> None:
        """Raise FieldError for what belongs to a pair alone, or to all tasks but a pair."""
        pair, kind = self.task.pair, self.task.kind
        of_a_pair: list[tuple[object, _Where]] = [
            (self.same, ("same",)),
            (self.pairs != Pairs(), ("pairs", "plan")),
        ]
        of_scores: list[tuple[object, _Where]] = [
            (self.scale != Scale(), ("scale",)),
            (self.calibration, ("calibration",)),
            (self.analysis.looks, ("analysis", "looks")),
        ]
        of_a_pair += [
            (block.against, (name, number, "against"))
            for name, blocks in self._with_a_second_method
            for number, block in enumerate(blocks)
        ]
        of_scores += [
            (getattr(gold, key) is not None, ("gold", number, key))
            for number, gold in enumerate(self.gold)
            for key in ("low", "high")
        ]
        places = [place for told, place in (of_scores if pair else of_a_pair) if told]
        if not places:
            return
        what = "a pair is chosen from, not scored" if pair else "it belongs to a pair"
        _, *others = dict.fromkeys(
            ".".join(str(part) for part in place if isinstance(part, str)) for place in places
        )
        also = f"; the same holds of {listed(others)}" if others else ""
        remedy = f"Leave {'them all' if others else 'it'} out"
        raise FieldError(
            f"{what}, and the task is {kind}{also}", *places[0],
            remedy=f"{remedy}." if pair else f'{remedy}, or set task.kind to "pair".',
        )  # fmt: skip

    def _refuse_what_lacks_an_answer(self) -> None:
        """Raise FieldError for a repeat or a check that nobody could answer rightly or wrongly."""
        pair = self.task.pair
        for name, blocks in self._with_a_second_method:
            for number, block in enumerate(blocks):
                if pair and not block.against:
                    raise FieldError(
                        "a pair needs a second method", name, number,
                        remedy="Name it with against.",
                    )  # fmt: skip
                if block.against == block.method:
                    raise FieldError(
                        "a method can't be compared with itself", name, number, "against",
                        remedy="Name another one. Pairs of identical pictures belong in [[same]].",
                    )  # fmt: skip
        for number, gold in enumerate(self.gold):
            for key in ("low", "high"):
                if not pair and getattr(gold, key) is None:
                    raise FieldError(
                        f"it has no {key}, so nobody knows which scores pass", "gold", number,
                        remedy=f"Write {key} = NUMBER.",
                    )  # fmt: skip

    def _refuse_what_makes_no_pair(self) -> None:
        """Raise FieldError where there are not two pictures to choose from, or none is right."""
        for number, rule in enumerate(self.acceptance):
            if rule.kind == "repeats" and rule.limit > 1:
                raise FieldError(
                    "of a pair it is the share of repeats with another answer",
                    "acceptance", number, "limit", remedy="Write a limit from 0 to 1.",
                )  # fmt: skip
        for number, part in enumerate(self.images.datasets):
            if len(self.images.methods_of(part.name)) < _OF_A_PAIR:
                place: _Where = ("datasets", number, "without") if part.without else ("methods",)
                raise FieldError(
                    f"a pair needs two methods on {shown(part.name)}", "images", *place,
                    remedy="Name another method, or leave out fewer.",
                )  # fmt: skip
        for name, turns in (("warm_up", self.warm_up), ("stabilising", self.stabilising)):
            if turns and len(set(turns.methods)) < len(turns.methods):
                raise FieldError("a method is given twice", name, "methods")
            if turns and not self.pairs_of(turns.methods):
                needed = f", one of them {REFERENCE!r}" if len(turns.methods) > 1 else ""
                raise FieldError(
                    f"a pair needs two methods{needed}", name, "methods",
                    remedy="Name another method.",
                )  # fmt: skip
        for name, blocks in self._with_a_second_method:
            for number, block in enumerate(blocks):
                asked = block.method if name == "gold" else {block.method, block.against}
                if self.task.question == "photograph" and REFERENCE not in asked:
                    raise FieldError(
                        f"the photograph is {REFERENCE!r}", name, number, "method",
                        remedy=f"Write method = {REFERENCE!r}.",
                    )  # fmt: skip
        self._refuse_active_plan()

    def _refuse_active_plan(self) -> None:
        """Raise FieldError for an active plan that has nothing to choose."""
        if self.pairs.plan == "active" and self.task.question == "photograph":
            raise FieldError(
                'the question "photograph" leaves no pairs to choose among', "pairs", "plan",
                remedy="Leave it out.",
            )  # fmt: skip
        if self.pairs.plan == "active" and self.subset is None:
            raise FieldError(
                "an active plan chooses among the pairs, so a rater can't judge all of them",
                "pairs", "plan", remedy="Set subset to how many a rater judges.",
            )  # fmt: skip
        if self.pairs.plan == "active" and self.repeats:
            raise FieldError(
                "nobody knows which pairs an active plan will show, so none can be shown again",
                "repeats", remedy='Leave [[repeats]] out, or set pairs.plan to "balanced".',
            )  # fmt: skip

    def _refuse_without_reference(self, what: str) -> None:
        """Raise FieldError where the original of some image isn't rated, or may stand next to
        another version of the image."""
        if REFERENCE not in self.images.methods:
            remedy = f"Add {REFERENCE!r}, the original, or set task.kind to another."
            if self.task.pair:
                remedy = f"Add {REFERENCE!r}, the original, or ask another question."
            raise FieldError(
                f"{what} needs {REFERENCE!r} among them", "images", "methods", remedy=remedy,
            )  # fmt: skip
        for number, part in enumerate(self.images.datasets):
            if REFERENCE in part.without:
                place = ("images", "datasets", number, "without")
                raise FieldError(
                    f"{what} needs {REFERENCE!r} on every data set", *place,
                    remedy=f"Take {REFERENCE!r} out of it.",
                )  # fmt: skip
        if not self.task.pair and self.order.scene_distance < _APART:
            raise FieldError(
                f"{what} keeps the original from standing next to its versions",
                "order", "scene_distance", remedy=f"Set it to {_APART} or more.",
            )  # fmt: skip

    def trials_on(self, dataset: str) -> tuple[tuple[str, ...], ...]:
        """The methods of every trial on an image of a data set: one each, or two in a `pair`."""
        methods = self.images.methods_of(dataset)
        return self.pairs_of(methods) if self.task.pair else tuple((one,) for one in methods)

    def pairs_of(self, methods: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """The pairs of these methods that are shown; one is the photograph where that is asked."""
        photograph = self.task.question == "photograph"
        pairs = itertools.combinations(methods, 2)
        return tuple(pair for pair in pairs if not photograph or REFERENCE in pair)

    def comparisons_on(self, dataset: str) -> tuple[tuple[str, str], ...]:
        """The comparisons planned on one data set: all pairs where the design names none.

        Where the photograph is asked for, that are those with the photograph.
        """
        methods = self.images.methods_of(dataset)
        if not self.analysis.comparisons:
            return self.pairs_of(methods)
        return tuple(pair for pair in self.analysis.comparisons if set(pair) <= set(methods))

    def unit_on(self, images: Collection[str]) -> Chosen:
        """The unit of the analysis planned on a data set with these images."""
        if self.analysis.unit is not None:
            return Chosen(self.analysis.unit)
        return default_unit(self.raters, len(set(map(unit_of, images))), unit_name(images))

    def rating_items(self, trials: int) -> dict[ItemKind, int]:
        """What the rating part of a rater's plan holds where so many stimuli or pairs are rated."""
        return {
            "vote": min(self.subset or trials, trials),
            "repeat": sum(repeat.images * repeat.times for repeat in self.repeats),
            "gold": sum(gold.images for gold in self.gold),
            "same": sum(same.images for same in self.same),
        }

    @property
    def gives_feedback(self) -> bool:
        """Whether raters are told after some of their answers what was meant."""
        parts = (self.calibration, self.warm_up)
        return any(part is not None and part.feedback for part in parts)

    def stabilising_items(self, sitting: int) -> int:
        """How many stabilising items open a sitting, counted from 0."""
        if self.stabilising is None:
            return 0
        later = self.stabilising.later if sitting else None
        return later or self.stabilising.images

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


def _refuse_doubles(names: Sequence[Hashable], why: str, blocks: str, field: str) -> None:
    """Raise FieldError, saying why, for the first block whose name an earlier one has."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise FieldError(why, blocks, number, field)


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def load_design(folder: Path) -> StudyDesign:
    """The design in a study's folder.

    Raises UsageError naming the file, the field, the bad value and the remedy.
    """
    return StudyDesign.load(folder / DESIGN)


def copy_study(name: str, source: Path) -> Path:
    """Copy the design in `source`, its comments with it, to a user's own study of that name.

    It goes to the last of `content.own_folders`: SREVAL_HOME where set, else ./studies.
    Returns the new study.toml. Raises UsageError for a name that is taken or can't be one, and
    for a source that holds no valid design.
    """
    if not re.fullmatch(NAME, name) or len(name) > NAME_LETTERS:
        raise UsageError(
            f"{shown(name)} can't be a study's name.",
            f"Use a-z, 0-9, '.', '_' and '-', no dash first, {NAME_LETTERS} letters or fewer.",
        )
    folder = content.own_folders("studies")[-1] / name
    if name in content.names("studies") or folder.exists():
        raise UsageError(f"There is a study {name!r} already.", "Choose another name.")
    load_design(source)
    text = config_text(source / DESIGN)
    top = re.split(r"^\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    text = _NAME_LINE.sub(f'name = "{name}"', top, count=1) + text[len(top) :]
    if StudyDesign.model_validate(from_toml(text)).name != name:
        raise UsageError(
            f"{source / DESIGN} has no line that begins with 'name ='.", "Give it one at the top."
        )
    write_atomic(folder / DESIGN, text)
    return folder / DESIGN
