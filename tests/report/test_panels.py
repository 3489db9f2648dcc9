"""What of two studies is matched, what is said of it, and what is printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sreval.errors import DataError, StatisticsError
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.opinions.votes import Scale, check_votes
from sreval.report import paper
from sreval.report.panel_figure import panel_figure
from sreval.report.panels import Side, compare, paper_side
from tests.opinions.builders import random_votes


def side(votes: pd.DataFrame, name: str = "A", scale: Scale | None = None) -> Side:
    on = scale or Scale()
    return Side(name, check_votes(votes, on), on)


def renamed(votes: pd.DataFrame, **names: dict[str, str]) -> pd.DataFrame:
    return votes.assign(**{column: votes[column].map(to) for column, to in names.items()})


def means(rows: list[tuple[str, float]], **further: str) -> Side:
    frame = pd.DataFrame(rows, columns=["method", "mos"]).assign(
        dataset="Set5", image="", simulated=False, stand_in=False
    )
    for column, text in further.items():
        frame[column] = text
    return Side("table", frame)


@pytest.fixture(scope="module")
def votes() -> list[pd.DataFrame]:
    return [random_votes(seed, methods=4, images=5, raters=9) for seed in (1, 2)]


@pytest.fixture(scope="module")
def set5() -> pd.DataFrame:
    """A simulated panel on as many images and methods as the paper's Set5."""
    quality = {m: v for (d, m, k), v in paper.figures().items() if (d, k) == ("Set5", "mos")}
    return simulate_votes(make_stimuli(quality, 5, dataset="Set5"), RaterModel(), 12)


def test_names_may_be_written_in_other_ways(votes: list[pd.DataFrame]) -> None:
    a = renamed(
        votes[0], method=dict(zip("abcd", ["nearest", "srgan-vgg54", "hr", "my net"], strict=True))
    )
    b = renamed(votes[1], method=dict(zip("abcd", ["NN", "SRGAN", "HR", "My_Net"], strict=True)))
    found = compare(side(a), side(b.assign(dataset="set5"), "B"))
    assert found.agreement.n == 20
    assert not found.notes
    assert set(found.means["method"]) == {"nearest", "srgan-vgg54", "hr", "my net"}
    assert set(found.means["dataset"]) == {"Set5"}


def test_what_has_no_partner_is_told(votes: list[pd.DataFrame]) -> None:
    b = votes[1][(votes[1]["method"] != "a") & (votes[1]["image"] != "img_001")]
    found = compare(side(votes[0]), side(b.drop(columns="dataset"), "B"))
    assert found.notes == (
        "B names no data set; it is taken for Set5.",
        "Only in A, so left out: Set5: a.",
        "3 further stimuli of A without a partner in B.",
    )
    assert found.agreement.n == 12


def test_what_has_nothing_in_common_says_what_each_holds(votes: list[pd.DataFrame]) -> None:
    b = renamed(votes[1], method=dict(zip("abcd", "wxyz", strict=True)))
    with pytest.raises(DataError, match=r"0 means in common.*Set5 with a, b, c, d; B holds Set5"):
        compare(side(votes[0]), side(b, "B"))
    twice = renamed(
        votes[1], method=dict(zip("abcd", ["net one", "net_one", "c", "d"], strict=True))
    )
    with pytest.raises(DataError, match="takes for one method"):
        compare(side(votes[0]), side(twice, "B"))


def test_other_images_are_compared_by_method_and_vary(votes: list[pd.DataFrame]) -> None:
    other = votes[1].assign(image="other_" + votes[1]["image"])
    found = compare(side(votes[0]), side(other, "B"))
    assert found.agreement.n == 4
    assert "errors come from raters and images" in found.sections[0].to_text()
    same = compare(side(votes[0]), side(votes[1], "B"))
    assert "errors come from raters alone" in same.sections[0].to_text()
    one = other[other["image"] == "other_img_000"]
    said = compare(side(votes[0]), side(one, "B")).sections[0].to_text()
    assert "those of B from raters alone, as a method has a single image there" in said


def test_frames_are_averaged_over_their_sequence(votes: list[pd.DataFrame]) -> None:
    frames = {f"img_{i:03}": f"{'ab'[i % 2]}/{i:03}" for i in range(5)}
    a, b = (renamed(one, image=frames) for one in votes)
    found = compare(side(a), side(b, "B"))
    assert found.agreement.n == 8
    by_hand = a.assign(sequence=a["image"].str[0]).groupby(["method", "sequence"])["score"].mean()
    points = found.agreement.points
    for row in points.to_dict("records"):
        assert row["a"] == pytest.approx(by_hand[row["method"], row["image"]])
    assert "stimuli (sequences under a method)" in found.sections[0].to_text()


def test_other_scales_are_mapped_and_not_called_the_same(votes: list[pd.DataFrame]) -> None:
    scaled = votes[1].assign(score=25 * (votes[1]["score"] - 1))
    found = compare(side(votes[0]), side(scaled, "B", Scale(0, 100, 25)))
    plain = compare(side(votes[0]), side(votes[1], "B"))
    assert found.agreement.slope.estimate == pytest.approx(25 * plain.agreement.slope.estimate)
    assert "B = A" in plain.sections[0].to_text()
    assert "B = A" not in found.sections[0].to_text()
    assert "B - A" not in found.sections[1].to_text()


def test_the_paper_lends_the_errors_of_the_other_side(set5: pd.DataFrame) -> None:
    found = compare(side(set5, "ours"), paper_side("paper"))
    text = found.sections[0].to_text()
    assert "ASSUMPTION: paper gives no errors; they are taken, for its 26 raters" in text
    assert "errors come from raters alone" in text
    means = found.means.set_index("method")
    assert means.loc["srgan-vgg54", "b"] == 3.58
    half = means["a_high"] - means["a"]
    # 12 raters here and 26 there, with Student's t of 11 degrees of freedom on one side alone
    assert np.isnan(means["b_high"]).all()
    assert (half > 0).all()
    (order,) = found.orders
    assert set(order.pairs["verdict"]) <= {"same direction", "opposite direction", "not shown in A"}
    assert "Simulated data" in text
    assert panel_figure(found).get_suptitle() == "SIMULATED"


def test_a_part_of_a_set_of_the_paper_lets_images_vary(set5: pd.DataFrame) -> None:
    some = set5[set5["image"].isin(["img_001", "img_002", "img_003"])]
    found = compare(side(some, "ours"), paper_side("paper"))
    assert (
        "ours has votes on 3 of 5 images of Set5 under a method, so images vary, too."
        in found.notes
    )
    assert "errors come from raters and images" in found.sections[0].to_text()


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"se": "0.2"}, 0.2),
        ({"low": "1", "high": "1.784", "level": "0.95"}, 0.2),
        ({"low": "1", "high": "1.784"}, 0.2),
        ({"ci95": "0.392"}, 0.2),
        ({"CI95": "0.392", "sd": "9", "n": "25"}, 0.2),
        ({"sd": "1", "n": "25"}, 0.2),
        ({"sd": "1", "n_raters": "25", "votes": "100"}, 0.2),
    ],
)
def test_a_table_may_give_errors_in_several_ways(columns: dict[str, str], error: float) -> None:
    rows = [("nearest", 1.3), ("bicubic", 2.0), ("hr", 4.3)]
    found = compare(means(rows, **columns), paper_side("paper")).means
    assert (found["a_high"] - found["a"]).to_list() == pytest.approx([1.96 * error] * 3, rel=1e-3)


@pytest.mark.parametrize("voted", [(True, True), (True, False), (False, False)])
def test_what_is_said_of_intervals_fits_the_kind_of_panel(
    votes: list[pd.DataFrame], voted: tuple[bool, bool]
) -> None:
    table = means([("a", 1.3), ("b", 2.0), ("c", 3.1), ("d", 4.3)], se="0.2")
    sides = [side(v) if has else table for v, has in zip(votes, voted, strict=True)]
    found = compare(*sides, margin=1.0)
    text = " ".join("\n".join(made.to_text() for made in found.sections).split())
    assert ("Student's t over the units" in text) == any(voted)
    assert ("one rater's errors" in text) == any(voted)
    assert ("one-sided t tests" in text) == any(voted)
    assert ("normal, as the errors are known" in text) != any(voted)
    assert ("one-sided z tests" in text) != any(voted)
    assert ("those of B are its table's" in text) == (voted == (True, False))
    if not any(voted):
        row = found.means.iloc[0]
        half = (row["difference_high"] - row["difference_low"]) / 2
        assert half == pytest.approx(1.959964 * np.hypot(0.2, 0.2), rel=1e-4)


def test_a_table_of_impossible_errors_is_refused() -> None:
    rows = [("nearest", 1.3), ("bicubic", 2.0), ("hr", 4.3)]
    with pytest.raises(StatisticsError, match="table: low and high give a mean an error below 0"):
        compare(means(rows, low="2", high="1"), paper_side("paper"))
    with pytest.raises(StatisticsError, match="table: ci95 gives a mean an error below 0"):
        compare(means(rows, ci95="-1"), paper_side("paper"))
    with pytest.raises(StatisticsError, match="table: Column 'se' has no finite number"):
        compare(means(rows, se="x"), paper_side("paper"))


def test_tables_without_errors_are_laid_side_by_side() -> None:
    found = compare(means([("nearest", 4.0), ("bicubic", 3.0), ("hr", 1.0)]), paper_side("paper"))
    text = "\n".join(made.to_text() for made in found.sections)
    assert "The line falls" in text
    assert "p of B" not in text
    assert "The means are the other way round in B of nearest and bicubic" in text
    assert found.orders[0].same == 0


def test_too_few_raters_for_any_test_are_told(votes: list[pd.DataFrame]) -> None:
    few = votes[1][votes[1]["rater"].isin(["r00", "r01", "r02"])]
    found = compare(side(votes[0]), side(few, "B"))
    assert "n of B on Set5 is too small for 6 pairs" in found.sections[3].to_text()


def test_a_stimulus_with_one_vote_is_left_out_of_both(votes: list[pd.DataFrame]) -> None:
    """Else means of methods would be those of other images in either."""
    alone = (votes[1]["image"] == "img_000") & (votes[1]["method"] == "a")
    b = votes[1][~alone | (votes[1]["rater"] == "r00")]
    found = compare(side(votes[0]), side(b, "B"))
    assert found.notes[0].startswith("B: Left out: 1 vote alone on a stimulus")
    assert found.agreement.n == 19
    kept = votes[0][(votes[0]["image"] != "img_000") & (votes[0]["method"] == "a")]
    assert found.means["a"][0] == pytest.approx(kept["score"].mean())
    with pytest.raises(StatisticsError, match="B: 2 raters rated stimuli that another"):
        compare(side(votes[0]), side(b[b["rater"].isin(["r00", "r01"])], "B"))


def test_equal_votes_are_said_to_be_equal(votes: list[pd.DataFrame]) -> None:
    found = compare(side(votes[0]), side(votes[0], "B"))
    assert "Both are the same opinions" in found.notes[-1]


def test_stimuli_that_were_other_files_are_told(votes: list[pd.DataFrame]) -> None:
    a = votes[0].assign(stimulus_sha256="1" * 64)
    b = votes[1].assign(stimulus_sha256="2" * 64)
    b.loc[b["image"] == "img_000", "stimulus_sha256"] = "1" * 64
    found = compare(side(a), side(b, "B"))
    assert found.notes[0].startswith("16 of 20 common stimuli were different files")


def test_the_figure_draws_each_method_and_says_what_the_line_is(votes: list[pd.DataFrame]) -> None:
    drawn = panel_figure(compare(side(votes[0], "mine"), side(votes[1], "a $very_ long name" * 3)))
    assert {text.get_text() for text in drawn.legends[0].get_texts()} >= {"a", "b", "c", "d"}
    (axes,) = drawn.axes
    assert axes.get_xlabel() == "MOS of A, mine"
    assert "with errors in both" in " ".join(drawn.get_supxlabel().split())
    drawn.canvas.draw()


def test_a_row_without_a_mean_is_left_out_and_told() -> None:
    whole = means([("nearest", 1.3), ("bicubic", 2.0), ("srcnn", 2.6), ("hr", 4.3)])
    gap = means([("nearest", 1.3), ("bicubic", 2.0), ("srcnn", np.nan), ("hr", 4.3)])
    found = compare(gap, whole)
    assert found.agreement.n == 3
    assert "table: Left out: 1 row without a mean opinion score." in found.notes


def test_only_data_sets_named_otherwise_are_told_with_the_remedy() -> None:
    table = means([("nearest", 1.3), ("srgan", 3.6), ("srresnet", 3.4)])
    unnamed = Side("mine", table.table.assign(dataset=""))
    with pytest.raises(DataError) as raised:
        compare(unnamed, paper_side("paper"))
    assert "add a column dataset with Set5, Set14 or BSD100 to mine." in str(raised.value)
    other = Side("mine", table.table.assign(dataset="set-five"))
    with pytest.raises(DataError, match="Only the names of the data sets differ"):
        compare(other, paper_side("paper"))


def test_one_rater_is_told(votes: list[pd.DataFrame]) -> None:
    with pytest.raises(StatisticsError, match=r"B: All 20 votes are of one rater\."):
        compare(
            side(votes[0]),
            side(votes[1].assign(rater="r1").drop_duplicates(["image", "method"]), "B"),
        )


def test_pairs_that_all_agree_are_counted_in_no_empty_table() -> None:
    table = means([("nearest", 1.3), ("bicubic", 2.0), ("srcnn", 2.6)])
    made = compare(table, table).sections[-1]
    assert [[cell.text for cell in row.cells] for row in made.rows] == [["3", "3"]]
    assert made.notes == ["All 3 pairs are in the same direction; none is printed."]
    assert len(made.frame) == 3


def test_pairs_with_equal_means_are_named_and_the_counts_add_up() -> None:
    a = means([("nearest", 1.3), ("bicubic", 2.0), ("srcnn", 2.6)])
    b = means([("nearest", 1.9), ("bicubic", 1.7), ("srcnn", 1.9)])
    *_, orders, pairs = compare(a, b).sections
    assert pairs.notes[1:] == [
        "The means are the other way round in B of bicubic and nearest.",
        "The means are equal in a panel of SRCNN and nearest.",
        "Not printed, as in the same direction: 1 pair.",
    ]
    verdicts = ["same direction", "opposite direction", "equal means"]
    assert orders.frame[verdicts].to_numpy().tolist() == [[1, 1, 1]]
