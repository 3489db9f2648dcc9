"""What is known of one study at one moment, as frames. The store fills it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest, Stimulus

State = Literal["open", "paused", "closed"]
ORPHAN = "the rater is not in the study (deleted since?)"


@dataclass(frozen=True)
class Look:
    """One look at the results before the study was closed; ``when`` in ISO 8601, UTC."""

    when: str
    who: str
    votes: int


@dataclass(frozen=True, eq=False)
class StudyData:
    """A study's design and all that was collected.

    ``votes`` are checked votes (``opinions.votes.check_votes``) and may be empty; ``sessions``
    has a row per session: session, rater, slot, stage, outcome, votes, accepted, reason, paid,
    started_at, ended_at, sittings, simulated, language, and facts on the device. ``invited``
    counts personal links, None where that isn't known; ``deleted`` raters whose data were
    deleted at their wish. ``design_sha256`` is that under which the votes were cast.
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

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Rated methods that a stand-in replaces, in the design's order."""
        found = {
            stimulus.method for stimulus in rated(self.design, self.manifest) if stimulus.stand_in
        }
        return tuple(method for method in self.design.images.methods if method in found)

    @property
    def hidden(self) -> bool:
        """Whether mean scores of methods must not be shown yet."""
        may_look = self.design.analysis.look_before_close or self.rehearsed
        return self.state != "closed" and not may_look

    @property
    def opinions(self) -> pd.DataFrame:
        """The votes that count: of kind 'vote' and accepted. May be empty."""
        return self.votes[(self.votes["kind"] == "vote") & self.votes["accepted"]]


def rated(design: StudyDesign, manifest: Manifest) -> list[Stimulus]:
    """The stimuli whose votes count, in the manifest's order."""
    wanted = {
        part.name: (set(part.images), set(design.images.methods_of(part.name)))
        for part in design.images.datasets
    }
    return [
        stimulus
        for stimulus in manifest.stimuli
        if stimulus.dataset in wanted
        and stimulus.method in wanted[stimulus.dataset][1]
        and (not wanted[stimulus.dataset][0] or stimulus.image in wanted[stimulus.dataset][0])
    ]


def without_orphans(data: StudyData) -> StudyData:
    """``data`` with votes of raters who have no session marked as not accepted, the reason said.

    An export from before a rater's deletion still holds their votes.
    """
    orphans = ~data.votes["rater"].isin(data.sessions["rater"])
    if not orphans.any():
        return data
    votes = data.votes.copy()
    reason = votes["reason"] if "reason" in votes else pd.Series(None, votes.index, dtype=object)
    votes["reason"] = reason.mask(orphans, ORPHAN)
    votes["accepted"] &= ~orphans
    return replace(data, votes=votes)
