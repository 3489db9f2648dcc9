"""What is known of one study at one moment, as frames, and how its collection goes.

The store fills `StudyData`. `Monitoring` is what an operator watches while the study runs, and what
its report repeats; nothing there tells a method's mean score, so that all of it may be seen before
the study is closed.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, numbered
from sreval.opinions.arrays import Ratings
from sreval.opinions.reliability import Reliability
from sreval.opinions.screening import Screening, apply
from sreval.opinions.sequential import nominal_levels
from sreval.opinions.votes import STIMULUS, accepted_votes
from sreval.study.acceptance import Acceptance
from sreval.study.design import RATING, StudyDesign
from sreval.study.manifest import Manifest, Stimulus, Trial

State = Literal["open", "paused", "closed"]
ORPHAN = "the rater is not in the study (deleted since?)"
UNDER_WAY = "under way"
_BIN_S, _BINS = 0.5, 20


@dataclass(frozen=True)
class Look:
    """One look at the results before the study was closed; ``when`` in ISO 8601, UTC."""

    when: str
    who: str
    votes: int


@dataclass(frozen=True)
class PlannedLook:
    """The last planned look that a study has come to: the tests are its tests until the next.

    ``number`` is 0 before the first, 1 at it. ``shares`` are those of the planned raters after
    which it and the looks before it are taken. ``raters`` are the first that finished, so many as
    the look takes; at the last look of a closed study all of them.
    """

    number: int
    of: int
    shares: tuple[float, ...]
    raters: tuple[str, ...]
    level: float
    """Below which the p of a single comparison must lie, NaN before the first look."""

    def __str__(self) -> str:
        """Of whose votes its results are, and the level of its tests."""
        return (
            f"Look {self.number} of {self.of}: the {len(self.raters)} raters who finished first. "
            f"Of a single comparison p must lie below {self.level:.2g}."
        )


def rated_of(manifest: Manifest, design: StudyDesign) -> tuple[Stimulus, ...]:
    """The stimuli that a design rates, in the manifest's order."""
    wanted = {
        part.name: (set(part.images), set(design.images.methods_of(part.name)))
        for part in design.images.datasets
    }
    return tuple(
        stimulus
        for stimulus in manifest.stimuli
        if stimulus.dataset in wanted
        and stimulus.method in wanted[stimulus.dataset][1]
        and (not wanted[stimulus.dataset][0] or stimulus.image in wanted[stimulus.dataset][0])
    )


def trials_of(manifest: Manifest, design: StudyDesign) -> tuple[Trial, ...]:
    """What is voted on in a design, in the manifest's order: its stimuli, or pairs of them."""
    rated = rated_of(manifest, design)
    if not design.task.pair:
        return tuple(stimulus.key for stimulus in rated)
    images = dict.fromkeys(stimulus.key[:2] for stimulus in rated)
    return tuple(
        (dataset, image, *pair) for dataset, image in images for pair in design.trials_on(dataset)
    )


@dataclass(frozen=True, eq=False)
class StudyData:
    """A study's design and all that was collected.

    ``votes`` are checked votes, as texts or codes (``opinions.votes.with_codes``), and may be
    empty. Of pairs they
    have the columns of an export's votes.csv, and ``score``: -1 for the left picture, 1 for the
    right, 0 for neither. ``sessions`` has a row per session: session, rater, group ("" without
    groups), slot, stage, outcome, votes, accepted, reason, decided (by an operator: true, false, or
    nothing), paid, started_at, ended_at, sittings, simulated, site (of a study joined from
    several), language, and facts on the device. ``invited`` counts personal links, None where that
    isn't known; ``deleted`` raters whose data were deleted at their wish. ``design_sha256`` is that
    under which the votes were cast.
    """

    design: StudyDesign
    design_sha256: str
    manifest: Manifest
    votes: pd.DataFrame
    sessions: pd.DataFrame
    answers: pd.DataFrame = field(default_factory=pd.DataFrame)
    state: State = "closed"
    looks: Sequence[Look] = ()
    invited: int | None = None
    deleted: int = 0
    rehearsed: bool = False
    """Whether only simulated raters took part so far: then there is nothing to be hidden."""

    @property
    def simulated(self) -> bool:
        """Whether any vote or session is of a simulated rater."""
        return any(
            bool(frame["simulated"].any())
            for frame in (self.votes, self.sessions)
            if "simulated" in frame
        )

    @cached_property
    def rated(self) -> tuple[Stimulus, ...]:
        """The stimuli whose votes count, in the manifest's order."""
        return rated_of(self.manifest, self.design)

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """What is voted on, in the manifest's order: the stimuli, or the pairs of each image."""
        return trials_of(self.manifest, self.design)

    @property
    def raters_by_group(self) -> dict[str, tuple[int, int, int]]:
        """For each group how many raters began, came to the end and were wanted."""
        ends = self.sessions.get("outcome"), self.sessions.get("group")
        if not self.design.groups or ends[1] is None:
            return {}
        return {
            group.name: (
                int((ends[1] == group.name).sum()),
                int(((ends[1] == group.name) & (ends[0] == "complete")).sum()),
                group.raters,
            )
            for group in self.design.groups
        }

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Rated methods that a stand-in replaces, in the design's order."""
        found = {stimulus.method for stimulus in self.rated if stimulus.stand_in}
        return tuple(method for method in self.design.images.methods if method in found)

    @property
    def hidden(self) -> bool:
        """Whether mean scores of methods must not be shown yet."""
        may_look = self.design.analysis.look_before_close or self.rehearsed
        return self.state != "closed" and not may_look

    @property
    def opinions(self) -> pd.DataFrame:
        """The votes that count: of kind 'vote' and accepted. May be empty."""
        return accepted_votes(self.votes)

    @cached_property
    def judgements(self) -> pd.DataFrame:
        """The answers to pairs, of every kind, as ``read_judgements`` gives them. May be empty."""
        from sreval.opinions.pairs.judgements import COLUMNS, read_judgements

        if self.votes.empty:
            return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
        return read_judgements(self.votes).frame

    @cached_property
    def monitoring(self) -> Monitoring:
        """How the collection of these votes goes."""
        return Monitoring(self)

    @cached_property
    def look(self) -> PlannedLook | None:
        """The planned look that was reached, None where the design plans none."""
        looks, analysis = self.design.analysis.looks, self.design.analysis
        if not looks:
            return None
        used = set(self.opinions["rater"])
        raters = [rater for rater in self._finished if rater in used]
        number = bisect.bisect_right(looks, len(raters))
        shares = tuple(look / looks[-1] for look in looks[:number])
        at_end = number == len(looks) and self.state == "closed"
        return PlannedLook(
            number,
            len(looks),
            shares,
            tuple(raters if at_end else raters[: looks[number - 1] if number else 0]),
            nominal_levels(shares, analysis.alpha, analysis.spending)[-1] if number else math.nan,
        )

    @property
    def _finished(self) -> list[str]:
        """The raters who went to the end, in the order in which they did."""
        done = self.sessions[self.sessions["outcome"] == "complete"]
        if "ended_at" in done:
            done = done.sort_values("ended_at", kind="stable")
        return done["rater"].astype(str).tolist()

    @cached_property
    def analysed(self) -> pd.DataFrame:
        """The votes of which results are made: all, or those of the planned look that was reached.

        The look has the votes, accepted or not, of who had finished by then. Raises StatisticsError
        before the first look.
        """
        look = self.look
        if look is None:
            return self.votes
        if not look.number:
            raise StatisticsError(
                f"The first look is after {self.design.analysis.looks[0]} raters have finished.",
                "Wait for it.",
            )
        last = self._finished.index(look.raters[-1])
        return self.votes[self.votes["rater"].isin(self._finished[: last + 1])]

    @property
    def alpha(self) -> float:
        """Below which the p of a single comparison must lie: the design's, or that of the look."""
        look = self.look
        return look.level if look and look.number else self.design.analysis.alpha

    def without_orphans(self) -> StudyData:
        """This with votes of raters who have no session marked as not accepted, the reason said.

        An export from before a rater's deletion still holds their votes.
        """
        orphans = ~self.votes["rater"].isin(self.sessions["rater"])
        if not orphans.any():
            return self
        votes = self.votes.copy()
        reason = votes["reason"] if "reason" in votes else pd.Series(None, votes.index, object)
        votes["reason"] = reason.mask(orphans, ORPHAN)
        votes["accepted"] &= ~orphans
        return replace(self, votes=votes)


@dataclass(frozen=True)
class ResponseTimes:
    """How long votes took, in seconds; ``counts`` in steps of half a second, the last open.

    ``median``, ``first`` and ``third`` quartile are NaN where no vote has a time.
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    n: int
    median: float
    first: float
    third: float


class Monitoring:
    """How the collection of a study's votes goes, by cell, by rater and by rule.

    Votes that are counted by stimulus are the accepted ones. What the rules say is a proposal:
    nothing is dropped here.
    """

    def __init__(self, data: StudyData) -> None:
        self.data = data
        self._acceptance = Acceptance(data.design)

    @property
    def outcomes(self) -> dict[str, int]:
        """How many raters were invited, enrolled and ended, by outcome, in a session's order."""
        data = self.data
        ends = data.sessions["outcome"].fillna(UNDER_WAY).astype(str)
        known = (
            "complete", UNDER_WAY, "screened_out", "quota_full", "failed_check", "ended_early",
            "withdrew", "expired",
        )  # fmt: skip
        counts = {} if data.invited is None else {"invited": data.invited}
        counts |= {"enrolled": len(ends) + data.deleted}
        counts |= {name: int((ends == name).sum()) for name in known}
        return counts | {"deleted": data.deleted}

    @property
    def progress(self) -> pd.DataFrame:
        """One row per session, those under way first: rater, stage, outcome, votes, of, share, ...

        ``votes`` counts all that is stored without calibration and warm-up, ``of`` what is planned
        of it; ``share`` lies within 0..1.
        """
        counts = self._rating["session"].value_counts()
        frame = self.data.sessions.copy()
        frame["votes"] = frame["session"].map(counts).fillna(0).astype(np.int64)
        items = {
            name: sum(own.rating_items(len(trials_of(self.data.manifest, own))).values())
            for name, own in self.data.design.by_group.items()
        }
        groups = frame["group"] if "group" in frame else pd.Series("", frame.index)
        frame["of"] = groups.map(items)
        frame["share"] = (frame["votes"] / frame["of"]).clip(upper=1.0)
        frame["outcome"] = frame["outcome"].fillna(UNDER_WAY).astype(str)
        ended, share, names = frame["outcome"] != UNDER_WAY, frame["share"], frame["rater"]
        order = sorted(
            range(len(frame)),
            key=lambda row: (ended.iloc[row], share.iloc[row], numbered(names.iloc[row])),
        )
        return frame.iloc[order].reset_index(drop=True)

    @property
    def cells(self) -> pd.DataFrame:
        """One row per (data set, method), of pairs per (data set, pair), in the design's order.

        Columns: dataset, method, stimuli, votes, least, most, planned, share, raters. ``votes`` are
        accepted ones; ``planned`` is what the design's number of raters would give, NaN where
        earlier judgements choose the pairs; ``least`` and ``most`` are accepted votes on a single
        stimulus of the cell. Of pairs there are first and second in place of method, ``stimuli``
        are images, and ``first_left`` and ``second_left`` say how often each stood at the left.
        """
        design, table = self.data.design, self._by_trial
        cell = ["dataset", *self._methods]
        grouped = table.groupby(cell, sort=False)
        frame = grouped["votes"].agg(stimuli="size", votes="sum", least="min", most="max")
        active = design.task.pair and design.pairs.plan == "active"
        frame["planned"] = math.nan if active else self._planned(cell).reindex(frame.index)
        frame["share"] = frame["votes"] / frame["planned"]
        raters = self._opinions.groupby(cell)["rater"].nunique()
        frame["raters"] = raters.reindex(frame.index).fillna(0).astype(np.int64)
        if design.task.pair:
            frame["first_left"] = grouped["first_left"].sum()
            frame["second_left"] = frame["votes"] - frame["first_left"]
        order = [
            (part.name, *methods)
            for part in design.images.datasets
            for methods in design.trials_on(part.name)
        ]
        return frame.loc[[key for key in order if key in frame.index]].reset_index()

    def _planned(self, cell: list[str]) -> pd.Series[float]:
        """How many votes the raters of all groups would give, by data set and method or pair."""
        parts = []
        for own in self.data.design.by_group.values():
            columns = ["dataset", "image", *self._methods]
            table = pd.DataFrame(trials_of(self.data.manifest, own), columns=columns)
            per_rater = own.subset or len(table)
            parts.append(own.raters * per_rater * table.groupby(cell).size() / len(table))
        return pd.concat(parts).groupby(level=list(range(len(cell)))).sum()

    @property
    def exposure(self) -> pd.DataFrame:
        """How often single stimuli, or single pairs on an image, were voted on; a row per data set.

        Columns: dataset, stimuli, least, median, most, never; accepted votes.
        """
        table = self._by_trial.assign(never=self._by_trial["votes"] == 0)
        grouped = table.groupby("dataset", sort=False)
        frame = grouped["votes"].agg(stimuli="size", least="min", median="median", most="max")
        made: pd.DataFrame = frame.join(grouped["never"].sum()).reset_index()
        return made

    @property
    def _methods(self) -> tuple[str, ...]:
        """The columns that name what is voted on, on an image."""
        return ("first", "second") if self.data.design.task.pair else ("method",)

    @cached_property
    def _opinions(self) -> pd.DataFrame:
        """The votes that count; of pairs with first and second, as the design has them, and
        ``first_left``."""
        votes = self.data.opinions
        if not self.data.design.task.pair:
            return votes
        rank = {method: place for place, method in enumerate(self.data.design.images.methods)}
        first_left = votes["left"].map(rank) < votes["right"].map(rank)
        return votes.assign(
            first=votes["left"].where(first_left, votes["right"]),
            second=votes["right"].where(first_left, votes["left"]),
            first_left=first_left,
        )

    @cached_property
    def _by_trial(self) -> pd.DataFrame:
        """The accepted votes on each stimulus, or on each pair of an image."""
        trial = ["dataset", "image", *self._methods]
        table = pd.DataFrame(self.data.trials, columns=trial)
        if table.empty:
            raise StatisticsError(
                "No stimulus of the manifest is rated.", "Freeze the study again."
            )
        pair = self.data.design.task.pair
        counted = {"votes": ("rater", "size")} | (
            {"first_left": ("first_left", "sum")} if pair else {}
        )
        counts = self._opinions.groupby(trial).agg(**counted)
        found = counts.reindex(pd.MultiIndex.from_frame(table)).fillna(0).astype(np.int64)
        return found.reset_index()

    @property
    def _rating(self) -> pd.DataFrame:
        return self.data.votes[self.data.votes["kind"].isin(RATING)]

    @cached_property
    def _screened(self) -> tuple[list[Screening], list[str]]:
        return apply(self._acceptance.rules, self.data.votes)

    @property
    def gold(self) -> pd.DataFrame:
        """Gold items by rater: asked, wrong, share (0..1), as the rule on them counts."""
        if not self.data.design.task.pair:
            return self._of_rule("gold", "asked", ["wrong", "share"])
        table = self._checks.rename(columns={"traps": "asked"})
        table["wrong"] = table["asked"] - table["passed"]
        table["share"] = table["wrong"] / table["asked"]
        return _asked(table, "asked", ["wrong", "share"])

    @property
    def repeats(self) -> pd.DataFrame:
        """Repeats by rater: pairs, exact (share 0..1), change (mean absolute, points).

        A repeated pair of pictures is exact where the same method was chosen, or neither both
        times; it has no change.
        """
        if not self.data.design.task.pair:
            return self._of_rule("repeats", "pairs", ["exact", "change"])
        table = self._checks.rename(columns={"repeats": "pairs"})
        table["exact"] = table["agreed"] / table["pairs"]
        return _asked(table, "pairs", ["exact"])

    @property
    def same(self) -> pd.DataFrame:
        """Pairs of two identical pictures by rater: pairs, left (share of the left, ties aside)."""
        names = {"same": "pairs", "same_left_share": "left"}
        return _asked(self._checks.rename(columns=names), "pairs", ["left"])

    @cached_property
    def _checks(self) -> pd.DataFrame:
        """What each rater of pairs did besides, whether or not the votes count."""
        from sreval.opinions.pairs.consistency import checks

        return checks(self.data.judgements.assign(accepted=True))

    def _of_rule(self, kind: str, n: str, columns: list[str]) -> pd.DataFrame:
        """The figures of a rule of ``kind``, of the raters who have any."""
        found = [made.table for made in self._screened[0] if made.rule.kind == kind]
        if not found:
            return pd.DataFrame({name: [] for name in ["rater", n, *columns]})
        table = found[0].rename(columns={"n": n})
        return table.loc[table[n] > 0, [n, *columns]].reset_index()

    @property
    def response_times(self) -> ResponseTimes:
        """The times of votes, repeats and gold items, from the image's paint to the vote."""
        own = self._rating
        times = own["response_ms"].dropna() if "response_ms" in own else pd.Series(dtype=float)
        seconds = times.to_numpy(dtype=np.float64) / 1000
        place = np.minimum((seconds / _BIN_S).astype(np.intp), _BINS)
        counts = np.bincount(place, minlength=_BINS + 1)
        edges = [_BIN_S * step for step in range(_BINS)]
        labels = [f"{edge:g}–{edge + _BIN_S:g} s" for edge in edges] + [f"≥ {_BIN_S * _BINS:g} s"]
        quartiles = np.quantile(seconds, [0.25, 0.5, 0.75]) if seconds.size else [math.nan] * 3
        first, median, third = map(float, quartiles)
        return ResponseTimes(
            tuple(labels), tuple(map(int, counts)), int(seconds.size), median, first, third
        )

    @property
    def sos(self) -> float:
        """The SOS coefficient a of accepted votes (Hossfeld et al. 2011), NaN where undefined."""
        if self.data.design.task.pair:
            return math.nan
        try:
            ratings = Ratings.from_votes(self.data.opinions, STIMULUS)
            return Reliability(ratings, self.data.design.scale.numbers).sos_coefficient()
        except StatisticsError:
            return math.nan

    @property
    def flags(self) -> pd.DataFrame:
        """Every reason to look at a rater: rater, flag, reason, ``used`` (whether votes count).

        The acceptance policy's and the operator's decisions come first, then what the rules of the
        design find, and the defaults beside them.
        """
        own = self.data.sessions
        decided = own[~own["accepted"].astype(bool) & own["reason"].fillna("").astype(bool)]
        rows = [
            (rater, "not used", str(reason))
            for rater, reason in zip(decided["rater"], decided["reason"], strict=True)
        ]
        for made in self._screened[0]:
            rows += [(rater, made.rule.kind, reason) for rater, reason in made.reasons.items()]
        frame = pd.DataFrame(rows, columns=["rater", "flag", "reason"])
        return frame.assign(used=frame["rater"].isin(self.data.opinions["rater"]))

    @property
    def unjudged(self) -> list[str]:
        """A sentence for each rule for which some raters have too few items."""
        return [made.too_few for made in self._screened[0] if made.too_few]

    @property
    def not_done(self) -> list[str]:
        """A sentence for each rule that can't be applied."""
        return self._screened[1]

    @property
    def overruled(self) -> pd.DataFrame:
        """The decisions that overrule the design's rules."""
        return self.decisions[self.decisions["overrules"]].drop(columns="overrules")

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """What operators decided on the votes of single raters, whether or not a rule says so too.

        Columns: rater, used (as decided), rules (the reasons of the rules that reject, empty where
        none does), reason (the operator's), overrules (whether the rules say otherwise).
        """
        sessions = self.data.sessions.set_index("session")
        items = sessions["of"] if "of" in sessions else pd.Series(None, sessions.index, object)
        planned = {str(name): None if pd.isna(of) else int(of) for name, of in items.items()}
        found = self._acceptance.verdicts(self.data.votes, planned)
        given = sessions["decided"].notna() if "decided" in sessions else pd.Series(dtype=bool)
        decided = {str(name) for name in given.index[given]}
        rejecting = [rule.reason for rule in self.data.design.acceptance if not rule.used]
        rows = []
        for name, votes in self.data.votes.groupby("session", sort=False):
            verdict, used = found.get(str(name)), bool(votes["accepted"].all())
            if verdict is None or (used == verdict.used and str(name) not in decided):
                continue
            own = list(votes["reason"].dropna()) if "reason" in votes else []
            told = [*own, sessions["reason"].fillna("")[str(name)]]
            rules = "; ".join(reason for reason in verdict.reasons if reason in rejecting)
            said = next((str(reason) for reason in told if reason), "")
            against = used != verdict.used
            rows.append((str(votes["rater"].iloc[0]), used, rules, said, against))
        rows.sort(key=lambda row: numbered(row[0]))
        frame = pd.DataFrame(rows, columns=["rater", "used", "rules", "reason", "overrules"])
        return frame.astype({"overrules": bool})


def _asked(table: pd.DataFrame, n: str, columns: list[str]) -> pd.DataFrame:
    """The figures of the raters who have any of what ``n`` counts."""
    return table.loc[table[n] > 0, ["rater", n, *columns]].reset_index(drop=True)
