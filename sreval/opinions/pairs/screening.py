"""Rules of screening for raters who compare pairs, in the table of ``opinions.screening``.

An answer is a number here: -1 for the left picture, 1 for the right, 0 for neither. Rules that
compare scores of stimuli, or scores of raters, have no meaning for choices and aren't here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError
from sreval.opinions.pairs.judgements import LEFT
from sreval.opinions.reliability import repeat_pairs
from sreval.opinions.screening import RULES, Measured, Rule


def pair_rules() -> tuple[Rule, ...]:
    """Every rule on choices between two pictures with its default limits.

    They look at a table of votes whose ``score`` is the answer as a number, with ``left`` and
    ``right``, the methods; ``correct``, the right answer to a gold item, is left or right. A repeat
    may have its sides exchanged. ``straight-lining`` looks at answers, whatever stood on a side.
    """
    return (_GOLD, RULES["too-fast"], _ONE_ANSWER, _REPEATS)


def _gold(votes: pd.DataFrame, rule: Rule) -> Measured:
    """Any other answer than the right one is wrong, a third answer too."""
    rows = votes[votes["kind"] == "gold"]
    known = rows[rows["correct"].notna()] if "correct" in rows else rows[:0]
    if known.empty:
        raise StatisticsError("The choices hold no gold item with a known answer.")
    right = np.where(known["correct"] == LEFT, -1, 1)
    wrong = (known["score"] != right).groupby(known["rater"])
    table = pd.DataFrame({"n": wrong.size(), "wrong": wrong.sum(), "share": wrong.mean()})
    found = table["share"] > rule.limits["most_wrong"]
    skipped = {"gold items without a known answer": len(rows) - len(known)}
    return Measured(table.assign(found=found), skipped)


def _repeats(votes: pd.DataFrame, rule: Rule) -> Measured:
    """The share of repeats with another answer, whichever sides the pictures were on."""
    turned = votes["left"].astype(str) > votes["right"].astype(str)
    first, other = (votes[name].where(~turned, votes[opposite]) for name, opposite in _SIDES)
    pairs = repeat_pairs(
        votes.assign(
            accepted=True,
            method=first.astype(str) + "\n" + other.astype(str),
            score=votes["score"].where(~turned, -votes["score"]),
        )
    )
    changed = (pairs["second"] != pairs["first"]).groupby(pairs["rater"])
    table = pd.DataFrame({"n": changed.size(), "exact": 1 - changed.mean()})
    table["change"] = changed.mean()
    return Measured(table.assign(found=table["change"] > rule.limits["most_change"]))


_SIDES = (("left", "right"), ("right", "left"))
_GOLD = replace(RULES["gold"], measure=_gold)
_ONE_ANSWER = replace(
    RULES["straight-lining"],
    say=lambda row, rule: (
        RULES["straight-lining"].say(row, rule).replace("one score", "one answer")
    ),
)
_REPEATS = replace(
    RULES["repeats"].having(most_change=0.5),
    measure=_repeats,
    say=lambda row, rule: f"{row['change']:.0%} of {row['n']} repeats answered otherwise",
)
