"""What tables, figures and commands say of tasks other than absolute category rating."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import sreval
from sreval.errors import Exit, UsageError
from sreval.report.opinion_rows import results_table
from tests.opinions.builders import random_votes

Sreval = Callable[..., Any]


def rated(seed: int = 0) -> pd.DataFrame:
    """Methods a to c and the reference, by 8 raters on 6 images."""
    frame = random_votes(seed, methods=4, images=6)
    return frame.replace({"method": {"d": "hr"}})


def test_means_of_degradation_have_a_name_of_their_own() -> None:
    """Everywhere: no table of these votes may be taken for one of MOS."""
    votes = sreval.read_votes(rated(), task="dcr")
    for analysis in ("mos", "stimuli", "compare", "screening", "recovery", "standards"):
        found = votes.analyse(analysis)
        assert " MOS" not in found.text.replace("MOS of all raters", "")
        assert not [name for frame in found.frames.values() for name in frame if name == "mos"]
    made = votes.analyse("mos")
    plain = sreval.mos(rated())
    assert made.frame["dmos_dcr"].tolist() == plain["mos"].tolist()
    assert "DMOS(DCR)" in made.text
    assert "1 very annoying to 5 imperceptible" in made.text
    for kind in ("scores", "sos", "matrix"):
        written = " ".join(text.get_text() for text in votes.figure(kind).findobj(Text))
        assert "DMOS(DCR)" in written
        assert "excellent" not in written


def test_the_reference_against_itself_is_the_noise_of_the_scale() -> None:
    frame = rated()
    hr = frame["method"] == "hr"
    frame.loc[hr, "score"] = [5] * (hr.sum() - 3) + [4, 4, 2]
    frame.loc[frame["method"] == "a", "score"] = 5
    said = sreval.read_votes(frame, task="dcr").analyse("mos").text
    assert "HR, rated against itself, got less than 5 in 3 of 48 votes (6%)" in said
    assert "Ceiling: half of the votes or more are 5 for a 100%" in said


def test_the_reference_below_a_method_is_said() -> None:
    frame = rated().query("method in ('a', 'hr')").copy()
    better = (frame["method"] == "a") & frame["image"].isin(["img_001", "img_004"])
    frame["score"] = np.where(better, 4, np.where(frame["method"] == "a", 2, 3))
    one = (frame["rater"] == "r00") & (frame["method"] == "hr") & (frame["image"] == "img_005")
    found = sreval.read_votes(frame[~one], task="acr-hr").analyse("difference")
    assert "Most raters put these above HR: a on 2 of 6 images (img_001, img_004)." in found.text
    assert "Votes without a reference left out: 1, of 1 rater." in found.text
    assert "16 of 47 votes lie above 5." in found.text
    assert found.frame["method"].tolist() == ["a"]
    assert (found.frame["crushed"] < found.frame["estimate"]).all()


def test_what_crushing_leaves_alone_keeps_its_limits() -> None:
    frame = rated()
    frame.loc[frame["method"] == "hr", "score"] = 5
    found = sreval.read_votes(frame, task="acr-hr").analyse("difference").frame
    for plain, crushed in (("estimate", "crushed"), ("low", "crushed_low")):
        assert found[plain].tolist() == found[crushed].tolist()


def test_two_panels_say_what_their_raters_were_asked() -> None:
    found = sreval.compare_studies(
        sreval.read_votes(rated(), task="dcr"), sreval.read_votes(rated(1))
    )
    assert "192 votes of degradation category rating by 8 raters" in found.text


def test_stimuli_of_a_hidden_reference_have_their_differences() -> None:
    found = sreval.read_votes(rated(), task="acr-hr").analyse("stimuli")
    of_reference = found.frame["method"] == "hr"
    assert found.frame.loc[of_reference, "dmos"].isna().all()
    assert found.frame.loc[~of_reference, ["dmos", "crushed", "dmos_low"]].notna().all().all()


def test_a_command_is_held_to_the_task_of_its_file(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "dcr.csv"
    rated().assign(task="dcr").to_csv(path, index=False)
    ran = sreval("opinions", path, "--task", "acr")
    assert ran.code == Exit.FAILED
    assert "of the task dcr, by their column 'task', not acr" in ran.err
    assert "Leave --task out, or name dcr." in ran.err


def test_a_slider_says_how_its_votes_heap_and_who_has_no_z() -> None:
    frame = rated()
    frame["score"] = frame["score"] * 20.0 - 10
    frame.loc[frame["rater"] == "r03", "score"] = 50.0
    votes = sreval.read_votes(frame, scale="0..100")
    said = votes.analyse("mos").text
    assert "Heaping: 100% of 192 votes lie within 1 of an edge or a middle" in said
    assert "On 1..5: 1 + 4 x / 100." in said
    found = votes.analyse("zmos")
    assert "Without a z score, as their votes don't differ: r03." in found.text
    assert found.frame["n_votes"].sum() == 192 - 24
    votes_mos = votes.analyse("mos").frame
    assert votes_mos["mos_on_1_to_5"].tolist() == pytest.approx(1 + votes_mos["mos"] / 25)
    assert "little-used" in votes.analyse("screening").text


def test_power_speaks_of_its_scale(sreval: Sreval) -> None:
    few = ("--raters", 6, "--images", 6, "--studies", 20)
    ran = sreval("study", "power", "--difference", 1, "--rating-scale", "1..9", *few)
    assert "votes on 1..9, on which raters and images differ as on 1..5, stretched" in ran.out
    ran = sreval("study", "power", "--difference", 1, "--rating-scale", "9..1", *few)
    assert ran.code == Exit.USAGE


def test_a_row_of_mos_is_not_made_of_degradation() -> None:
    votes = sreval.read_votes(rated(), task="dcr")
    with pytest.raises(UsageError, match=r"their mean is DMOS\(DCR\), not MOS"):
        results_table(pd.DataFrame(), votes=votes.frame)


def test_a_hidden_reference_without_votes_is_refused(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    rated().query("method != 'hr'").to_csv(path, index=False)
    ran = sreval("opinions", path, "--task", "acr-hr")
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert "Unknown reference 'hr'. Known: a, b, c." in ran.err
    assert sreval("opinions", path, "--task", "acr-hr", "--reference", "a").code == Exit.OK
    asked = sreval("opinions", path, "--task", "acr-hr", "--analyse", "mos")
    assert asked.code == Exit.OK


def test_difference_scores_of_another_task_are_not_called_acr_hr(
    sreval: Sreval, tmp_path: Path
) -> None:
    path = tmp_path / "acr.csv"
    rated().assign(task="acr").to_csv(path, index=False)
    refused = sreval("opinions", path, "--task", "acr-hr")
    assert refused.code == Exit.FAILED
    assert "made of them, too, by --analyse difference." in refused.err
    made = sreval("opinions", path, "--analyse", "difference")
    assert made.code == Exit.OK
    assert made.out.startswith("Difference scores against HR")
    assert "more is better (as in ACR-HR, ITU-T P.910 (2008) 6.2" in " ".join(made.out.split())
    rated().to_csv(path, index=False)
    hidden = sreval("opinions", path, "--task", "acr-hr", "--analyse", "difference")
    assert hidden.out.startswith("Difference scores (ACR-HR)")
