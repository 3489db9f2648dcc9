"""Each rule on tables made by hand, and what no rule may do: judge on too few items."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.reliability import Reliability
from sreval.opinions.screening import (
    RULES,
    Answer,
    Rule,
    apply,
    bt500,
    default_rules,
    site_times,
    with_and_without,
)
from sreval.opinions.votes import Scale, check_votes, with_codes
from tests.opinions.builders import random_votes


def test_bt500_reaches_the_expected_counts_and_rejects_nobody(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["reliability_and_strict_bt500"]["screening"]
    result = bt500(Ratings.from_matrix(nflx))
    assert result.table["P"].to_list() == published["standard_ddof1_votes"]["P"]
    assert result.table["Q"].to_list() == published["standard_ddof1_votes"]["Q"]
    assert not result.table["found"].any()


def test_bt500_rejects_nobody_where_many_stimuli_are_rated_alike(unanimous: Floats) -> None:
    result = bt500(Ratings.from_matrix(unanimous))
    assert not result.table["found"].any()
    assert result.skipped["stimuli rated alike or once"] == (np.ptp(unanimous, axis=1) == 0).sum()


def literal_bt500(votes: Floats) -> list[tuple[int, int, bool]]:
    """The recommendation's steps vote by vote, numpy and scipy for the moments."""
    p, q = np.zeros(votes.shape[1], int), np.zeros(votes.shape[1], int)
    for row in votes:
        cast = row[~np.isnan(row)]
        if cast.size < 2 or np.ptp(cast) == 0:
            continue
        normal = 2 <= stats.kurtosis(cast, fisher=False) <= 4
        limit = (2 if normal else np.sqrt(20)) * cast.std(ddof=1)
        for i, vote in enumerate(row):
            p[i] += vote >= cast.mean() + limit
            q[i] += vote <= cast.mean() - limit
    result = []
    for i in range(votes.shape[1]):
        strays = p[i] + q[i]
        cast_by = (~np.isnan(votes[:, i])).sum()
        bad = strays / cast_by > 0.05 and strays > 0 and abs(p[i] - q[i]) / strays < 0.3
        result.append((int(p[i]), int(q[i]), bool(bad)))
    return result


def test_bt500_agrees_with_the_recommendation_taken_literally() -> None:
    rejected = 0
    for seed in range(6):
        generator = np.random.default_rng(seed)
        quality = generator.uniform(1.5, 4.5, (40, 1))
        votes = np.clip(np.rint(quality + generator.normal(0, 0.5, (40, 15))), 1, 5)
        votes[:, 0] = generator.integers(1, 6, 40)
        votes[generator.random(votes.shape) < 0.2] = np.nan
        table = bt500(Ratings.from_matrix(votes)).table
        found = list(zip(table["P"], table["Q"], table["found"], strict=True))
        assert found == literal_bt500(votes)
        rejected += int(table["found"].iloc[0])
    assert rejected > 0


def test_correlation_leaves_the_raters_own_vote_out() -> None:
    generator = np.random.default_rng(0)
    votes = generator.normal(size=(30, 1)) + generator.normal(0, 0.5, (30, 5))
    votes[:, 4] = generator.normal(size=30)
    table = Reliability(Ratings.from_matrix(votes)).against_rest()
    for i in range(5):
        rest = np.delete(votes, i, axis=1).mean(axis=1)
        assert table["pearson"][i] == pytest.approx(stats.pearsonr(votes[:, i], rest)[0])
        assert table["spearman"][i] == pytest.approx(stats.spearmanr(votes[:, i], rest)[0])
    assert list(table.index[table["pearson"] < 0.6]) == [4]


def test_raters_without_a_correlation_are_not_judged() -> None:
    votes = np.random.default_rng(0).normal(size=(9, 4))
    votes[:, 1] = 3
    votes[2:, 2] = np.nan
    table = Reliability(Ratings.from_matrix(votes)).against_rest()
    assert list(table.index[table["pearson"].isna()]) == [1, 2]


def test_results_with_and_without_stand_side_by_side() -> None:
    votes = check_votes(random_votes())
    table = with_and_without(votes, ["r03"])
    kept = votes[votes["rater"] != "r03"].groupby("method")["score"].mean()
    assert table["mos_kept"].to_list() == pytest.approx(kept.to_list())
    assert table["n_all"].to_list() == [48] * 3
    assert table["n_kept"].to_list() == [42] * 3
    assert (table["change"] == table["mos_kept"] - table["mos_all"]).all()
    with pytest.raises(SrevalError, match="leaves no vote"):
        with_and_without(votes, set(votes["rater"]))


ON_A = replace(RULES["gold"], answers=(Answer("a", 1, 2),))


def table(
    scores: dict[str, list[int]], method: str = "a", kind: str = "vote", dataset: str = "d"
) -> pd.DataFrame:
    """Votes of the named raters on images of one method."""
    rows = [(r, f"i{n}", s) for r, given in scores.items() for n, s in enumerate(given)]
    frame = pd.DataFrame(rows, columns=["rater", "image", "score"])
    return check_votes(frame.assign(method=method, kind=kind, dataset=dataset))


def test_gold_items_count_the_wrong_answers() -> None:
    votes = table({"good": [1, 2, 1, 2], "bad": [1, 4, 5, 2]}, kind="gold")
    result = ON_A.judge(votes)
    assert result.table["wrong"].to_dict() == {"bad": 2, "good": 0}
    assert result.rejected == ("bad",)
    assert result.reasons == {"bad": "2 of 4 gold items missed"}
    with pytest.raises(SrevalError, match="no gold item with a known answer"):
        ON_A.judge(table({"good": [1]}))


def test_an_item_passes_within_any_range_of_its_method_on_its_data_set() -> None:
    answers = (Answer("a", 1, 1, "d"), Answer("a", 5, 5, "d"), Answer("a", 3, 3, "e"))
    here = table({"r": [1, 5, 3, 4]}, kind="gold")
    there = table({"r": [3, 3, 5]}, kind="gold", dataset="e")
    unknown = table({"r": [2]}, kind="gold", dataset="f")
    result = replace(RULES["gold"], answers=answers).judge(
        pd.concat([here, there, unknown], ignore_index=True)
    )
    assert list(result.table.loc["r", ["n", "wrong"]]) == [7, 3]
    assert result.skipped == {"gold items without a known answer": 1}


def test_repeats_that_change() -> None:
    first = table({"steady": [3, 3, 1, 2], "unsteady": [1, 5, 1, 5]})
    second = table({"steady": [3, 4, 1, 3], "unsteady": [5, 4, 1, 1]}, kind="repeat")
    result = RULES["repeats"].judge(pd.concat([first, second]))
    assert result.table["change"].to_dict() == {"steady": 0.5, "unsteady": 2.25}
    assert result.rejected == ("unsteady",)


def test_raters_who_are_too_fast() -> None:
    varied = [1, 2, 3, 4, 5] * 2
    votes = table({"slow": varied, "fast": varied, "untimed": varied})
    votes["response_ms"] = [700.0] + [2500.0] * 9 + [699.0] * 2 + [2500.0] * 8 + [None] * 10
    result = RULES["too-fast"].judge(votes)
    assert result.rejected == ("fast",)
    assert result.table["fast"].loc[["fast", "slow"]].to_list() == [0.2, 0]
    assert result.unjudged == {"untimed": 0}
    assert result.too_few == "too-fast needs 10 votes with a response time: untimed (0)"
    with pytest.raises(SrevalError, match="no response times"):
        RULES["too-fast"].judge(votes.drop(columns="response_ms"))


DELAY_MS = 50


def honest_rater(generator: np.random.Generator, ahead: int = 3) -> tuple[Floats, Floats, float]:
    """When a browser's images were sent and its votes stored, in ms, and the shortest look.

    Image after image is looked at; the network is away now and then. An image is sent once the
    vote four before it is stored. Votes that wait are stored as soon as the network is back.
    """
    looks = generator.uniform(800, 4000, 60)
    away = np.cumsum(generator.uniform(5_000, 40_000, 12))
    until = away + generator.uniform(1_000, 20_000, 12)

    def online(at: float) -> float:
        gone = (away <= at) & (at < until)
        return max(at, *map(float, until[gone]), 0.0)

    sent, now = [0.0] * (ahead + 1), 0.0
    stored: list[float] = []
    for number, look in enumerate(looks):
        now = max(now, sent[number]) + look
        stored.append(max([online(now) + generator.uniform(5, DELAY_MS), *stored[-1:]]) + 1)
        sent.append(online(stored[-1]) + 5)
    return np.array(sent[: len(looks)]), np.array(stored), float(looks.min())


def timed(sent: Any, stored: Any, claimed: float, rater: str = "r") -> pd.DataFrame:
    """Votes by position with the site's times, given in ms."""
    start = pd.Timestamp("2026-03-01T09:00Z")
    votes = table({rater: [1 + n % 5 for n in range(len(sent))]})
    return votes.assign(
        position=range(1, len(sent) + 1),
        response_ms=claimed,
        sent_at=start + pd.to_timedelta(sent, unit="ms"),
        received_at=start + pd.to_timedelta(stored, unit="ms"),
    )


def test_the_sites_times_never_fall_below_an_honest_look() -> None:
    """However the network comes and goes; also where another server takes over whose clock is
    minutes off, and where the two take turns by chance."""
    bursts = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        sent, stored, shortest = honest_rater(generator)
        votes = timed(sent, stored, 2500.0)
        assert site_times(votes).min() >= shortest - DELAY_MS
        bursts += int((np.diff(stored) < 100).sum())
        moment, other = generator.uniform(0, stored[-1]), generator.choice([-120_000, 120_000])
        later = [at + other * (at >= moment) for at in (sent, stored)]
        mixed = [at + other * generator.integers(2, size=at.size) for at in (sent, stored)]
        for times, least in ((later, 50), (mixed, 1)):
            found = site_times(timed(times[0], times[1], 2500.0))
            assert found.min() >= shortest - DELAY_MS
            assert found.notna().sum() >= least
        shuffled = votes.sample(frac=1, random_state=seed)
        pd.testing.assert_series_equal(site_times(shuffled), site_times(votes)[shuffled.index])
    assert bursts > 200


def test_a_script_that_claims_long_times_is_judged_by_the_sites() -> None:
    """Forty votes in bursts of four, 0.6 s apart: the mean is 0.15 s, whatever is claimed."""
    at = np.repeat(np.arange(10) * 600.0, 4) + 600
    script = timed(np.r_[np.zeros(4), at[:-4]], at, 5000.0, "script")
    paced = timed(np.r_[np.zeros(4), 5 * at[:-4]], 5 * at, 600.0, "paced")  # 0.75 s each
    old = script.assign(rater="old", sent_at=None)
    votes: pd.DataFrame = pd.concat(
        [script, paced, old.astype({"sent_at": script.dtypes["sent_at"]})]
    )
    result = RULES["too-fast"].judge(votes.reset_index(drop=True))
    assert result.table["by_site"].to_dict() == {"script": True, "paced": False, "old": False}
    assert result.rejected == ("paced", "script")
    assert result.reasons == {
        "paced": "100% of 40 votes within 0.7 s, median 0.6 s",
        "script": "100% of 40 votes within 0.7 s, median 0.3 s, by the site's own times; "
        "40 claimed to take longer than their images were there",
    }


def test_the_sites_times_are_read_from_a_file_and_told_of_nothing_else() -> None:
    at = np.arange(1, 13) * 100.0
    votes = timed(np.zeros(12), at, 5000.0)
    text = votes.assign(
        sent_at=votes["sent_at"].map(str), received_at=votes["received_at"].map(str)
    )
    pd.testing.assert_series_equal(site_times(text), site_times(votes), check_freq=False)
    assert site_times(votes.drop(columns="sent_at")).isna().all()
    assert site_times(votes.assign(sent_at="by post", received_at=7)).isna().all()
    assert site_times(votes.assign(received_at=votes["sent_at"][::-1].to_numpy())).iloc[0] == 0
    apart = votes.assign(position=votes["position"] * 2)  # the votes between aren't there
    assert site_times(apart).notna().sum() == 1
    assert not RULES["too-fast"].judge(apart).rejected


def test_straight_lining_by_share_and_by_run() -> None:
    varied = [1, 2, 3, 4, 5] * 8
    runs = [3] * 32 + [1] * 8
    votes = table({"varied": varied, "one": [4] * 40, "runs": runs})
    assert RULES["straight-lining"].judge(votes).rejected == ("one",)
    votes["position"] = [*range(40)] * 3
    found = RULES["straight-lining"].judge(votes.sample(frac=1, random_state=0))
    assert found.rejected == ("one", "runs")
    assert found.table["run"].to_dict() == {"one": 40, "runs": 32, "varied": 1}


def test_raters_who_turn_the_scale_round() -> None:
    low, high = {"r": [1, 1, 2, 1, 5] * 2, "t": [5] * 10}, {"r": [5, 4, 5, 3, 5] * 2, "t": [1] * 10}
    votes = pd.concat([table(low, "nearest"), table(high, "hr")])
    result = RULES["inverted"].having(most_share=0.3).judge(votes)
    assert result.table["inverted"].to_dict() == {"r": 0.2, "t": 1}
    assert result.rejected == ("t",)
    with pytest.raises(SrevalError, match="hr has no votes"):
        RULES["inverted"].judge(table(low, "nearest"))


EXTREME = table({f"r{i}": [1, 5, 2, 4, 3] * 6 for i in range(6)} | {"odd": [5, 1, 4, 2, 3] * 6})
ITEMS: dict[str, tuple[Rule, pd.DataFrame]] = {
    "gold": (ON_A, table({"r": [5] * 30}, kind="gold")),
    **{
        kind: (RULES[kind], votes)
        for kind, votes in {
            "too-fast": table({"r": [1, 2, 3] * 10}).assign(response_ms=1.0),
            "straight-lining": table({"r": [4] * 30}).assign(position=range(30)),
            "repeats": pd.concat([table({"r": [1] * 30}), table({"r": [5] * 30}, kind="repeat")]),
            "inverted": pd.concat(
                [table({"r": [5] * 30}, "nearest"), table({"r": [1] * 30}, "hr")]
            ),
            "correlation-with-rest": EXTREME,
        }.items()
    },
}


@pytest.mark.parametrize("kind", ITEMS)
def test_no_rule_judges_a_rater_on_fewer_items_than_it_needs(kind: str) -> None:
    """The same votes, one item short of the least and at it."""
    rule, votes = ITEMS[kind]
    who = "odd" if kind == "correlation-with-rest" else "r"
    images = [f"i{n}" for n in range(30)]
    for n, rejected in ((1, ()), (rule.least - 1, ()), (rule.least, (who,))):
        own = votes[(votes["rater"] != who) | votes["image"].isin(images[:n])]
        found = rule.judge(own)
        assert found.rejected == rejected, n
        assert found.unjudged.get(who) == (None if rejected else n)
        few = f"{kind} needs {rule.least} {rule.items}: "
        assert (few in found.too_few) == (not rejected)
    assert rule.least > 1


def test_the_least_of_bt500_is_twenty_votes() -> None:
    few = RULES["bt500"].judge(check_votes(random_votes(methods=3, images=6)))
    assert set(few.unjudged.values()) == {18}
    enough = RULES["bt500"].judge(check_votes(random_votes(methods=4, images=5)))
    assert not enough.unjudged


@pytest.mark.parametrize("kind", ["calibration", "warm-up"])
def test_items_shown_to_learn_the_task_are_never_looked_at(kind: str) -> None:
    rng = random_votes(methods=3, images=10)
    votes = check_votes(rng.replace({"method": {"a": "nearest", "b": "hr"}}))
    votes = votes.assign(response_ms=5000.0, position=range(len(votes)))
    learning = votes[votes["rater"] == "r00"].assign(score=4, response_ms=1.0, kind=kind)
    both = pd.concat([votes, learning], ignore_index=True)
    for rule in default_rules():
        if rule.kind in ("gold", "repeats"):
            with pytest.raises(SrevalError):
                rule.judge(both)
        else:
            pd.testing.assert_frame_equal(rule.judge(both).table, rule.judge(votes).table)


def test_what_was_decided_changes_nothing_in_what_a_rater_did() -> None:
    votes = table({"one": [4] * 40, "varied": [1, 2, 3, 4, 5] * 8})
    votes.loc[votes["rater"] == "one", "accepted"] = False
    assert RULES["straight-lining"].judge(votes).rejected == ("one",)


def test_default_answers_are_the_outer_quarters_of_the_scale() -> None:
    (rule,) = [rule for rule in default_rules(Scale(0, 100), "original") if rule.kind == "gold"]
    rows = [("r", f"i{s}", m, s) for m, s in
            [("nearest", 25), ("nearest", 26), ("original", 75), ("original", 74)]]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["rater", "image", "method", "score"])
    found = rule.judge(check_votes(frame.assign(kind="gold"), Scale(0, 100)))
    assert list(found.table.loc["r", ["n", "wrong"]]) == [4, 2]


def test_the_documented_table_is_that_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs/explanation/statistics.md").read_text(
        encoding="utf-8"
    )
    told = [line.strip("| ").split(" | ") for line in text.splitlines()]
    by_kind = {cells[0].strip("`"): cells[2:] for cells in told if len(cells) == 5}
    for rule in default_rules():
        limits = ", ".join(f"{name} {limit:g}" for name, limit in rule.limits.items())
        assert by_kind[rule.kind] == [limits, f"{rule.least} {rule.items}", rule.source]


def test_every_rule_finds_the_same_in_the_codes_of_many_raters() -> None:
    """Beyond 127 raters the codes have two bytes, which pandas looks up otherwise."""
    votes = random_votes(seed=2, methods=2, images=12, raters=140).assign(response_ms=900.0)
    votes["position"] = votes.groupby("rater").cumcount()
    votes = check_votes(votes)
    rules = [rule.having() for rule in RULES.values()]
    (texts, why), (codes, still) = (apply(rules, own) for own in (votes, with_codes(votes)))
    assert why == still
    assert len(texts) == len(codes) > 3
    for one, other in zip(texts, codes, strict=True):
        pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
