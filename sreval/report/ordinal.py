"""Tables of the ordinal model: contrasts beside those of means, its parameters, its raters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from sreval.errors import NONE, counted, listed, numbered
from sreval.opinions.comparison import Comparison, compare_methods
from sreval.opinions.ordinal import OrdinalModel, ordinal_model
from sreval.opinions.votes import Scale, opinions
from sreval.report import paper
from sreval.report.notes import vote_notes
from sreval.report.opinions import Request, each
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    method_column,
    signed_column,
    table_of,
)
from sreval.report.text import CORRECTIONS, TESTS, p_value, percent


def ordinal(votes: pd.DataFrame, request: Request) -> list[Table]:
    """The ordinal model of every data set; if one can't be fitted, the others go on."""
    counts = opinions(votes)["dataset"].value_counts()
    names = sorted(counts.index, key=str)
    done = 0

    def of(dataset: str) -> list[Table]:
        nonlocal done
        before, own = done, int(counts[dataset])
        done += own
        rows = votes[votes["dataset"] == dataset]
        (means,) = compare_methods(
            rows,
            unit=request.unit,
            methods=request.methods,
            adjustment=request.adjustment,
            alpha=request.alpha,
            level=request.level,
            scale=request.scale,
        )
        told = _share_of(own, len(means.methods), before, len(opinions(votes)), request)
        model = ordinal_model(rows, methods=means.methods, scale=request.scale, told=told)
        return _tables(model, means, rows, request)

    return each({str(name) if len(names) > 1 else "": partial(of, name) for name in names})


def _share_of(
    votes: int, methods: int, before: int, total: int, request: Request
) -> Callable[[], None]:
    """Tells ``request.progress`` of one fit's evaluations as a share of its ``votes``."""
    expected, evaluations = 100 + 4 * methods, 0

    def told() -> None:
        nonlocal evaluations
        evaluations += 1
        if request.progress is not None:
            share = min(1.0, evaluations / expected)
            request.progress(before + int(share * votes), total)

    return told


def _tables(
    model: OrdinalModel, means: Comparison, votes: pd.DataFrame, request: Request
) -> list[Table]:
    where = f" on {model.dataset}" if model.dataset else ""
    facts: dict[str, object] = {"dataset": model.dataset}
    parameters: Columns = {
        "parameter": column("parameter"),
        "estimate": column("estimate", 3),
        "standard error": column("standard_error", 3),
    }
    named = model.parameters().assign(dataset=model.dataset)
    raters = model.rater_table().assign(dataset=model.dataset)
    raters = raters.sort_values("rater", key=lambda names: names.map(numbered), ignore_index=True)
    columns: Columns = {
        "rater": column("rater"),
        "bias": signed_column("bias", 2),
        "spread": column("spread", 2),
    }
    return [
        _contrasts(model, means, votes, request, facts),
        table_of(
            "ordinal",
            f"Parameters of the ordinal model{where}",
            named,
            parameters,
            [
                "In logits, the log spread aside: a noise of standard deviation 1.81 about each "
                "vote is the unit. Thresholds: those of votes on "
                f"{paper.label(model.methods[0])}, whose effect is 0; the other methods lie their "
                "log odds from it. sd: standard deviation of the random effects.",
                *vote_notes(votes),
            ],
            facts,
        ),
        table_of(
            "ordinal",
            f"The raters of the ordinal model{where}",
            raters,
            columns,
            [
                "Bias: logits by which the rater's thresholds lie lower, so that they vote higher "
                "than others. Spread: how far the rater's votes scatter, 1 as the usual rater's. "
                "The most probable values, drawn towards 0 and 1 where votes are few.",
                *vote_notes(votes),
            ],
            facts,
        ),
    ]


def _contrasts(
    model: OrdinalModel,
    means: Comparison,
    votes: pd.DataFrame,
    request: Request,
    facts: dict[str, object],
) -> Table:
    fitted = model.contrasts(request.level, request.adjustment, request.alpha)
    by_means = means.frame().rename(
        columns={"difference": "mos_difference", "significant": "mos_significant"}
    )
    keys = ["first", "second"]
    frame = by_means[[*keys, "mos_difference", "mos_significant"]].merge(fitted, "left", keys)
    frame.insert(0, "dataset", model.dataset)
    frame["unbounded"] = frame["log_odds"].isna()
    both = frame[~frame["unbounded"]].astype({"significant": bool})
    other_sign = both["significant"] & (both["log_odds"] * both["mos_difference"] < 0)
    disagree = both[(both["significant"] != both["mos_significant"]) | other_sign]
    level = percent(request.level)
    columns: Columns = {
        "first": method_column("first"),
        "second": method_column("second"),
        "log odds": lambda row: (
            "unbounded" if row["unbounded"] else signed_column("log_odds", 2)(row)
        ),
        f"{level}": interval_column(2, signed=True),
        "P(first better)": column("superiority", 3),
        f"{level} of P": interval_column(3, "superiority_low", "superiority_high"),
        "p adjusted": lambda row: p_value(row["p_adjusted"]),
        "differ?": lambda row: NONE if row["unbounded"] else _verdict(row["significant"]),
        "MOS, difference": signed_column("mos_difference", 2),
        "by MOS": lambda row: _verdict(row["mos_significant"]),
    }
    of = model.unit
    notes = [
        "Cumulative logit model: every step of the scale has its own threshold, every rater their "
        f"own place{' and spread' if model.spreads_differ else ''}. Raters, {of}s and what each "
        f"of them does to one method are random: about raters and {of}s in general. Laplace's "
        "approximation.",
        "Log odds: first minus second. P(first better): that a new rater votes higher on the first "
        f"than on the second of one new {of}, half of the ties added. Intervals: Student's t on "
        f"{model.freedom} degrees of freedom, one less than the {len(model.raters)} raters and "
        f"{model.n_images} {of}s, the fewer; of P by the delta method on its logit; for each pair "
        f"alone. p: Wald, {CORRECTIONS[request.adjustment]} over {counted(len(both), 'pair')}, "
        f"alpha {request.alpha:g}.",
        _agreement(disagree, len(both), means, len(frame)),
        *_left_out(model, request.scale),
        *_SAME_SPREAD[model.spreads_differ],
    ]
    if of == "sequence":
        notes.append(
            "Frames of one sequence share its effects; that one rater's votes on them are alike "
            "beyond that is left out, which can make intervals too narrow."
        )
    where = f" on {model.dataset}" if model.dataset else ""
    title = f"Which methods differ by an ordinal model{where}"
    facts = {**facts, "disagree": len(disagree), "pairs": len(both)}
    return table_of("ordinal", title, frame, columns, [*notes, *vote_notes(votes)], facts)


_SAME_SPREAD = {
    True: [],
    False: ["These votes don't bear a spread for every rater: one was fitted for all."],
}


def _verdict(significant: object) -> str:
    return "yes" if significant else "not shown"


def _agreement(disagree: pd.DataFrame, pairs: int, means: Comparison, rows: int) -> str:
    """On how many of the ``pairs`` that both judge, of ``rows``, model and means differ."""
    said = f"By MOS: {TESTS[means.unit]}, unit {means.unit} ({means.claim})."
    if pairs < rows:
        without = rows - pairs
        are = "is" if without == 1 else "are"
        said += (
            f" Its p is adjusted over all {rows} pairs; {without} of them {are} unbounded, and the "
            f"model, which judges none of these, adjusts over {pairs}."
        )
    if disagree.empty:
        both = f" of the {pairs} pairs that both judge" if pairs > 1 else ""
        return f"{said} Both find the same{both}."
    names = [
        f"{paper.label(first)} and {paper.label(second)}"
        for first, second in zip(disagree["first"], disagree["second"], strict=True)
    ]
    alone = int(disagree["mos_significant"].sum())
    found = f"{alone} found to differ by MOS alone, {len(names) - alone} by the model alone"
    if (disagree["mos_significant"] & disagree["significant"]).any():
        found = "some even in the sign"
    return (
        f"{said} The two disagree on {len(names)} of {counted(pairs, 'pair')}, {found}: "
        f"{listed(names)}."
    )


def _left_out(model: OrdinalModel, scale: Scale) -> list[str]:
    """Notes on methods without a bound, and on scores that nobody gave."""
    notes = []
    for names, end in ((model.lowest, "lowest"), (model.highest, "highest")):
        if names:
            notes.append(
                f"Votes on {listed([paper.label(name) for name in names])} are all the {end}: how "
                "far below or above the others has no bound, and they are left out of the model."
            )
    unused = [f"{score:g}" for score in scale.scores() if score not in set(model.categories)]
    if unused:
        notes.append(f"No vote in the model is {listed(unused)}: merged with the next score.")
    return notes
