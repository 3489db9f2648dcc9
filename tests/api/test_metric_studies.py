"""Which metric to trust where: from every kind of study, in Python."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sreval
from sreval.errors import SrevalError
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.report import paper

Frame = pd.DataFrame


def means(seed: int = 0, scenes: int = 8, bias: float = 3.0, **columns: Any) -> Frame:
    """MOS, PSNR and LPIPS of methods of the paper; PSNR gives GANs ``bias`` dB less."""
    generator = np.random.default_rng(seed)
    rows = []
    for scene in range(scenes):
        base = generator.normal(28, 3)
        for method in ("nearest", "bicubic", "srcnn", "srresnet-mse", "srgan-mse", "srgan-vgg54"):
            mos = 1.5 + 0.5 * paper.METHOD_ORDER.index(method) / 2 + generator.normal(0, 0.2)
            gan = bias * method.startswith("srgan")
            rows.append(
                {
                    "image": f"i{scene}",
                    "method": method,
                    "mos": min(mos, 5),
                    "psnr": base + 2 * mos + generator.normal(0, 0.5) - gan,
                    "lpips": 0.8 - 0.1 * mos + generator.normal(0, 0.02),
                    "ci95": 0.1,
                }
                | columns
            )
    return pd.DataFrame(rows)


def effect(found: sreval.MetricsStudy, study: str = "study 1") -> pd.Series:
    frame = found.frames["Between classes at equal MOS"]
    own = frame[(frame["metric"] == "psnr") & (frame["study"] == study)]
    return own[(own["first"] == "mse") & (own["second"] == "gan")].iloc[0]


def test_the_paper_s_methods_have_their_classes_and_a_bias_is_told() -> None:
    found = sreval.metrics_study(means())
    assert effect(found)["effect"] == pytest.approx(-3, abs=1)
    assert effect(found)["p_adjusted"] < 0.01
    assert "No votes: every pair of different MOS counts." in found.text
    assert "Pairs: " not in found.text
    assert "PSNR underrates GAN" in found.text
    assert "LPIPS" not in [
        line.split()[0] for line in found.text.splitlines() if "rates GAN" in line
    ]
    shares = found.frame.query("methods == 'MSE against GAN' and statistic == 'accuracy'")
    assert shares["metric"].tolist()[0] == "lpips"
    assert set(paper.CLASSES) < set(paper.METHOD_ORDER)


def test_no_bias_is_told_where_there_is_none() -> None:
    found = sreval.metrics_study(means(1, bias=0.0))
    assert effect(found)["p_adjusted"] > 0.05
    assert "rates GAN" not in found.text


def test_studies_on_other_scales_are_combined_without_their_mos_meeting() -> None:
    other = means(1).assign(mos=lambda t: 20 * t["mos"], ci95=2.0)
    both = sreval.metrics_study({"a": means(), "b": other}, rating_scale=["1..5", "0..100/0"])
    alone = sreval.metrics_study({"b": means(1)})
    own = both.frame[both.frame["study"] == "b"].reset_index(drop=True)
    for name in ("estimate", "low", "high"):
        assert own[name].tolist() == pytest.approx(alone.frame[name].tolist(), nan_ok=True)
    together = both.frame[both.frame["combined"]]
    assert set(together["study"]) == {"all 2"}
    assert (together["n"] == 2).all()
    assert both.frames["ITU-T P.1401"].set_index(["study", "metric"])["rmse"][
        "b", "psnr"
    ] == pytest.approx(20 * alone.frames["ITU-T P.1401"].set_index("metric")["rmse"]["psnr"])


def test_a_table_of_several_studies_is_parted_by_its_column() -> None:
    table = pd.concat([means(study="first"), means(1, study="second")])
    parted = sreval.metrics_study(table)
    apart = sreval.metrics_study({"first": means(), "second": means(1)})
    pd.testing.assert_frame_equal(parted.frame, apart.frame)
    with pytest.raises(SrevalError, match=r"several studies.*sreval.metrics_study"):
        sreval.read_votes(table).analyse("metrics")


def test_votes_take_their_metrics_from_results_and_tables_bring_theirs(
    tmp_path: Path, demo_results: sreval.Results
) -> None:
    images = sorted(demo_results.frame["image"].unique())
    stimuli = make_stimuli({"nearest": 1.5, "bicubic": 3.0, "hr": 4.5}, len(images))
    names = dict(zip(sorted(stimuli["image"].unique()), images, strict=True))
    stimuli = stimuli.assign(image=stimuli["image"].map(names), dataset="demo")
    votes = simulate_votes(stimuli.assign(scene=stimuli["image"]), RaterModel(), 12)
    found = sreval.metrics_study(
        {"votes": sreval.read_votes(votes), "means": means()}, results=demo_results
    )
    assert not found.not_done
    assert "stimuli of HR left out" in found.text
    assert "Pairs: where there are votes, those" in found.text
    assert "means: No votes: every pair" in found.text
    alone = sreval.metrics_study(sreval.read_votes(votes), results=demo_results).text
    assert "Pairs: those on which the raters" in alone
    assert "No votes" not in alone
    assert "(simulated)" in found.sections[0].title
    p1401 = found.frames["ITU-T P.1401 (simulated)"]
    assert set(p1401["study"]) == {"votes", "means"}
    assert np.isfinite(p1401["rmse_star"]).all()


@pytest.fixture(scope="module")
def demo_results(tmp_path_factory: pytest.TempPathFactory) -> sreval.Results:
    out = tmp_path_factory.mktemp("metrics") / "results"
    return sreval.benchmark(["nearest", "bicubic", "hr"], "demo", metrics=["psnr"], out=out)


def test_a_study_that_fails_does_not_stop_the_others() -> None:
    lacking = means()[["image", "method", "mos"]]
    found = sreval.metrics_study({"good": means(), "lacking": lacking})
    assert len(found.not_done) == 1
    assert found.not_done[0].startswith("lacking: The table has no metric that is known")
    assert set(found.frame["study"]) == {"good"}


def test_frames_are_averaged_over_their_sequence() -> None:
    still = means()
    frames = pd.concat(
        [
            still.assign(
                image=still["image"] + f"/{number:04}",
                mos=still["mos"].clip(1.2, 4.8) + shift,
                psnr=still["psnr"] + 10 * shift,
            )
            for number, shift in enumerate((-0.2, 0.2))
        ]
    )
    expected = sreval.metrics_study(still.assign(mos=still["mos"].clip(1.2, 4.8)))
    found = sreval.metrics_study(frames)
    assert found.frame["estimate"].tolist() == pytest.approx(expected.frame["estimate"].tolist())
    assert "Frames are averaged over their sequence first." in found.text


def test_a_class_may_be_named_in_the_call_or_in_a_column() -> None:
    table = means().replace({"method": {"srgan-mse": "own-a", "srgan-vgg54": "own-b"}})
    plain = sreval.metrics_study(table)
    assert "Without a class: own-a, own-b." in plain.text
    named = sreval.metrics_study(table, classes={"own-a": "GAN", "own-b": "gan"})
    column = table.assign(**{"class": np.where(table["method"].str.startswith("own"), "gan", "")})
    pd.testing.assert_frame_equal(named.frame, sreval.metrics_study(column).frame)
    assert "MSE against GAN" in set(named.frame["methods"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sreval.metrics_study([]), "No study is given"),
        (lambda: sreval.metrics_study(means(), classes={"x": "gan"}), "Unknown method 'x'"),
        (lambda: sreval.metrics_study(means(), classes={"srcnn": " "}), "'srcnn' is empty"),
        (lambda: sreval.metrics_study(means(), mapping="cubic"), "Unknown mapping"),  # type: ignore[arg-type]
        (lambda: sreval.metrics_study(means(), level=2), "level must lie between"),
        (lambda: sreval.metrics_study(means(), reference="x"), "Unknown reference 'x'"),
        (lambda: sreval.metrics_study(means(), lower_is_better="niqe"), "No table has .* 'niqe'"),
        (lambda: sreval.metrics_study(means(ci95=-1)), "column ci95 has -1"),
        (
            lambda: sreval.metrics_study(means().assign(**{"class": ["a"] * 24 + ["b"] * 24})),
            "several classes",
        ),
        (lambda: sreval.metrics_study(means().query("method == 'x'")), "DataFrame is empty"),
        (lambda: sreval.metrics_study(means().assign(psnr=3, lpips=1)), "no metric that can be"),
        (lambda: sreval.metrics_study(means().head(3)), "3 stimuli have finite"),
        (
            lambda: sreval.metrics_study([means(), means()], rating_scale=["1..5"] * 3),
            "is given 3 times for 2 files",
        ),
    ],
)
def test_refuses(make: Any, message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        make()


def test_a_metric_of_ones_own_is_named_by_its_direction() -> None:
    table = means().rename(columns={"lpips": "mine"})
    found = sreval.metrics_study(table, lower_is_better=["mine"])
    same = sreval.metrics_study(means())
    assert found.frame["estimate"].tolist() == pytest.approx(same.frame["estimate"].tolist())


def test_one_method_of_each_class_one_scene_or_one_metric_are_enough() -> None:
    table = means().query("method in ('bicubic', 'srgan-mse')")
    found = sreval.metrics_study(table)
    assert "GAN" in set(found.frame["methods"])
    assert sreval.metrics_study(means(scenes=1)).frame["low"].isna().any()
    one = sreval.metrics_study(means().drop(columns="lpips"))
    assert "Tests of ITU-T P.1401 between metrics" not in one.frames


def test_all_is_written(tmp_path: Path) -> None:
    found = sreval.metrics_study({"a": means(), "b": means(1), "c": means(2)})
    assert found.write(tmp_path / "out") == []
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "01-which-metric-to-trust-where.csv",
        "02-how-far-each-metric-follows-the-raters.csv",
        "03-between-classes-at-equal-mos.csv",
        "04-itu-t-p-1401.csv",
        "05-tests-of-itu-t-p-1401-between-metrics.csv",
        "metrics-study.svg",
        "metrics-study.txt",
    ]
    svg = (tmp_path / "out" / "metrics-study.svg").read_text()
    assert "Within a scene: MSE" in svg
    assert json.loads(json.dumps(found.records()))["sections"][0]["analysis"] == "metrics-study"
    assert repr(found).startswith("<MetricsStudy: Which metric to trust where")
    assert "<table" in found._repr_html_()


def test_an_empty_cell_leaves_its_row_out_of_every_answer_and_is_named() -> None:
    table = means()
    table.loc[10, "mos"] = math.nan
    table.loc[[2, 3], "psnr"] = math.nan, math.inf
    found = sreval.metrics_study(table)
    pd.testing.assert_frame_equal(found.frame, sreval.metrics_study(table.drop([2, 3, 10])).frame)
    assert (
        "Missing or infinite: MOS in 1 row, PSNR in 2 rows. 3 rows left out for all" in found.text
    )
    assert "Nothing is left of" not in found.text


def test_methods_that_one_metric_leaves_out_of_every_answer_are_named() -> None:
    table = means()
    table.loc[table["method"].isin(["bicubic", "nearest"]), "psnr"] = math.inf
    found = sreval.metrics_study(table)
    assert "Nothing is left of nearest, bicubic." in found.text
    assert "interpolation" not in set(" ".join(found.frame["methods"]).split())


def test_a_still_whose_name_has_a_slash_is_no_sequence() -> None:
    table = means()
    found = sreval.metrics_study(table.assign(image="<b>" + table["image"] + "</b>"))
    assert "averaged over their sequence" not in found.text


def test_the_paper_s_other_names_of_methods_have_their_classes() -> None:
    other = {"nearest": "NN", "srresnet-mse": "SRResNet", "srgan-vgg54": "srgan"}
    table = means()
    named = sreval.metrics_study(table.assign(method=table["method"].replace(other)))
    pd.testing.assert_frame_equal(named.frame, sreval.metrics_study(table).frame)
    assert "Without a class" not in named.text
    unknown = sreval.metrics_study(table.assign(method=table["method"].replace({"srcnn": "x"})))
    assert "Without a class: x. Name it by" in unknown.text
