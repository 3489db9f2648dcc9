"""Every form in which opinions come in, and every rule on what a cell means."""

import csv
import io
import json
import math
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sreval.errors import SrevalError, StatisticsError, UsageError
from sreval.metrics.metric import METRICS
from sreval.opinions.cells import flag, guarded, number, unguarded
from sreval.opinions.reading import Reading, is_means, metric_values, read_ratings
from sreval.opinions.votes import Scale, opinions

LONG = "rater,image,method,score\nr1,x,a,3\nr1,y,a,\nr2,x,a,5\n"
HEAD = "rater,image,method,score\n"
SLIDER = Scale(0, 100)
PLAIN = [("r1", "x", "a", 3), ("r2", "x", "a", 5)]


def write(folder: Path, text: str, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def rows(read: Reading) -> list[tuple[str, str, str, float]]:
    columns = ["rater", "image", "method", "score"]
    return sorted(read.votes[columns].itertuples(index=False, name=None))


# The same votes in every spelling of a file


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "r1,cal/0,a,3\nr2,cal\\0,a,5\n",
        "image,method,r1,r2\ncal\\0,a,3,5\n",
        '[{"rater": "r1", "image": "cal\\\\0", "method": "a", "score": 3},'
        ' {"rater": "r2", "image": "cal/0", "method": "a", "score": 5}]',
    ],
)
def test_a_backslash_in_the_name_of_an_image_is_a_slash(tmp_path: Path, text: str) -> None:
    read = read_ratings(write(tmp_path, text))
    assert rows(read) == [("r1", "cal/0", "a", 3), ("r2", "cal/0", "a", 5)]
    assert set(read.votes["scene"]) == {"cal/0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "r1,cal/0,a,3\nr1,cal\\0,a,4\n", "second vote.*line 2"),
        ("image,r1,r2\ncal/0,3,4\ncal\\0,3,5\n", "the stimulus cal/0.* in line 2 and line 3"),
        ("image,mos\ncal/0,3.5\ncal\\0,3.6\n", "two rows in line 2"),
    ],
)
def test_two_spellings_of_one_frame_are_one_stimulus(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SrevalError, match=message):
        read_ratings(write(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        "\ufeff" + LONG,
        LONG.replace("\n", "\r\n"),
        LONG.replace("\n", "\r"),
        LONG.replace(",", ";"),
        LONG.replace(",", "\t"),
        "sep=;\n" + LONG.replace(",", ";"),
        LONG.replace(",", " , "),
        LONG.replace("3", "3,0").replace(",a,3,0", ',a,"3,0"'),
        "\n\n" + LONG.replace("\n", "\n\n"),
        LONG + ",,,\n",
        LONG.replace("\n", ",\n"),
        LONG.replace("rater", "Participant ID").replace("score", "RATING"),
        re.sub(r"([^,\n]+)", r'"\1"', LONG),
        LONG.replace("r1", " r1\u00a0").replace("rater,image", "Rater, IMAGE "),
        '"","rater","image","method","score"\n"1","r1","x","a",3\n"2","r2","x","a",5\n',
        "subject;stimulus;method;vote\nr1;x;a;3,0\nr2;x;a;5\n",
        json.dumps([dict(zip(HEAD.strip().split(","), row, strict=True)) for row in PLAIN]),
    ],
)
def test_one_file_in_many_spellings(tmp_path: Path, text: str) -> None:
    assert rows(read_ratings(write(tmp_path, text))) == PLAIN


def test_a_spreadsheets_utf16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(LONG.replace(",", "\t").encode("utf-16"))
    assert rows(read_ratings(path)) == PLAIN


def test_quoted_cells_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    awkward = ['a,b;c\t"d"', "two\nlines"]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["rater", "image", "method", "score"])
    writer.writerows([["r1", image, "m", 2] for image in awkward])
    read = read_ratings(write(tmp_path, out.getvalue()))
    assert read.votes["image"].to_list() == awkward


def _forms(scores: np.ndarray, whole: bool) -> dict[str, tuple[str, dict[str, object]]]:
    """Votes (method, image, rater), NaN where none was cast, in every form, with the options."""
    methods, images, raters = scores.shape

    def text(score: float, comma: bool = False) -> str:
        plain = "" if math.isnan(score) else str(int(score)) if whole else str(score)
        return plain.replace(".", ",") if comma else plain

    def long(separator: str, comma: bool) -> str:
        lines = [separator.join(("rater", "image", "method", "score", "note"))]
        for (m, i, r), score in np.ndenumerate(scores):
            cells = (f"r{r + 1}", f"i{i + 1}", f"m{m + 1}", text(score, comma), "fine")
            lines.append(separator.join(cells))
        return "\n".join(lines)

    heads = ",".join(("method", "image", *(f"r{r + 1}" for r in range(raters))))
    body = "\n".join(
        ",".join((f"m{m + 1}", f"i{i + 1}", *map(text, scores[m, i])))
        for m in range(methods)
        for i in range(images)
    )
    nested = {
        f"m{m + 1}": [[None if math.isnan(s) else s for s in row] for row in scores[m].T.tolist()]
        for m in range(methods)
    }
    return {
        "comma": (long(",", False), {}),
        "semicolon": (long(";", True), {}),
        "tab": (long("\t", False), {}),
        "matrix": (f"{heads}\n{body}", {}),
        "JSON": (json.dumps(nested), {}),
    }


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    whole=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_the_same_votes_in_every_form_are_one_table(
    tmp_path: Path, shape: tuple[int, int, int], whole: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 100, shape).astype(float) + (0 if whole else 0.5)
    scores[generator.random(shape) > 0.8] = np.nan
    scores[:, 0, 0] = generator.integers(0, 2, shape[0])  # a vote on each method, zeros too
    found = {}
    for name, (text, options) in _forms(scores, whole).items():
        read = read_ratings(write(tmp_path, text, f"{name}.csv"), scale=SLIDER, **options)  # type: ignore[arg-type]
        found[name] = [
            (rater, image.removeprefix("i"), method, score)
            for rater, image, method, score in rows(read)
        ]
    wanted = sorted(
        (f"r{r + 1}", str(i + 1), f"m{m + 1}", score)
        for (m, i, r), score in np.ndenumerate(scores)
        if not math.isnan(score)
    )
    assert found == dict.fromkeys(found, wanted)


# Names


def test_names_are_stripped_and_composed(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "café")
    text = HEAD + f"r1 ,café,a,3\nr1,{decomposed},b ,4\n"
    assert rows(read_ratings(write(tmp_path, text))) == [
        ("r1", "café", "a", 3), ("r1", "café", "b", 4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "column", "pair"),
    [
        ("R1,y,a,3", "rater", "'r1' and 'R1'"),
        ("r1,X,b,3", "image", "'x' and 'X'"),
        ("r1,y,A,3", "method", "'a' and 'A'"),
    ],
)
def test_names_that_differ_in_case_are_refused(
    tmp_path: Path, row: str, column: str, pair: str
) -> None:
    path = write(tmp_path, HEAD + f"r1,x,a,3\n{row}\n")
    with pytest.raises(StatisticsError, match=f"'{column}' has {pair}, which differ only in case"):
        read_ratings(path)


def test_images_of_two_data_sets_may_differ_in_case(tmp_path: Path) -> None:
    text = "dataset,rater,image,method,score\np,r1,x,a,3\nq,r1,X,a,4\n"
    assert len(read_ratings(write(tmp_path, text)).votes) == 2


def test_numbers_as_names_stay_as_they_are_written(tmp_path: Path) -> None:
    text = "rater,image,method,score,scene\n01,1,a,3,1\n1,1,a,4,\n2.0,1,a,5,1\n"
    votes = read_ratings(write(tmp_path, text)).votes
    assert votes["rater"].to_list() == ["01", "1", "2.0"]
    assert votes["scene"].to_list() == ["1", "1", "1"]


# Guarded text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=6))
def test_the_guard_comes_off_as_it_went_on(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_guarded_names_are_read_as_they_were(tmp_path: Path) -> None:
    read = read_ratings(write(tmp_path, HEAD + "r1,'-1,'=m,3\nr1,'-1,'t Hooft,4\n"))
    assert rows(read) == [("r1", "-1", "'t Hooft", 4), ("r1", "-1", "=m", 3)]


# Flags


@pytest.mark.parametrize("yes", ["true", "TRUE", " True ", "yes", "Yes", "1", "1.0"])
@pytest.mark.parametrize("no", ["false", "FALSE", "no", " No ", "0", "0.0"])
def test_flags_are_words(tmp_path: Path, yes: str, no: str) -> None:
    head = "rater,image,method,score,accepted,simulated,stand_in\n"
    text = head + f"r1,x,a,3,{yes},{no},{yes}\nr2,x,a,3,{no},{no},{no}\nr3,x,a,3,,,\n"
    votes = read_ratings(write(tmp_path, text)).votes
    assert votes["accepted"].to_list() == [True, False, True]
    assert votes["simulated"].to_list() == [False, False, False]
    assert votes["stand_in"].to_list() == [True, False, False]
    assert opinions(votes)["rater"].to_list() == ["r1", "r3"]


@pytest.mark.parametrize("word", ["nein", "2", "f", "-", "n/a", "none", "0.5"])
@pytest.mark.parametrize("column", ["accepted", "simulated", "stand_in"])
def test_other_words_are_no_flags(tmp_path: Path, word: str, column: str) -> None:
    path = write(tmp_path, f"rater,image,method,score,{column}\nr1,x,a,3,\nr2,x,a,3,{word}\n")
    with pytest.raises(StatisticsError, match=rf"'{column}' .*in line 3: '{word}'.*yes or no"):
        read_ratings(path)
    with pytest.raises(ValueError):
        flag(word)


# Zeros and missing votes


NESTED = {"a": [[0, 0, 10, 20], [0, 10, 20, 0], [10, 0, 0, 30]]}
LONG_ZEROS = HEAD + "".join(
    f"r{r + 1},{i + 1},a,{score}\n"
    for r, row in enumerate(NESTED["a"])
    for i, score in enumerate(row)
)


@pytest.mark.parametrize("text", [json.dumps(NESTED), LONG_ZEROS], ids=["JSON", "CSV"])
def test_zero_is_a_vote_of_a_scale_that_holds_it_unless_told(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    everything = read_ratings(path, scale=SLIDER)
    assert everything.votes["score"].mean() == pytest.approx(100 / 12)
    assert everything.notes == ()
    told = read_ratings(path, scale=SLIDER, missing=["0"])
    assert told.votes["score"].mean() == pytest.approx(100 / 6)
    assert told.notes == (f"{path}: cells taken as votes not cast (0): 6.",)


@pytest.mark.parametrize("text", ["[[[1, 0], [2, 3]]]", HEAD + "r1,1,1,1\nr1,2,1,0\nr2,1,1,2\n"])
def test_zero_off_the_scale_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(StatisticsError, match=r"outside 1\.\.5 in .*0'.*empty \(null.*missing="):
        read_ratings(path)
    assert 0 not in set(read_ratings(path, missing=["0"]).votes["score"])


def test_null_is_no_vote(tmp_path: Path) -> None:
    votes = read_ratings(write(tmp_path, '{"a": [[null, 0], [20, null]]}'), scale=SLIDER).votes
    assert sorted(votes["score"]) == [0, 20]


@pytest.mark.parametrize("word", ["NA", "nan", "-99", "x"])
def test_a_word_for_a_vote_not_cast_is_named(tmp_path: Path, word: str) -> None:
    for text in (HEAD + f"r1,x,a,3\nr1,y,a,{word}\nr2,x,a,5\n", f"p1,p2\n3,5\n{word},\n"):
        path = write(tmp_path, text)
        with pytest.raises(SrevalError, match=f"'{word}'"):
            read_ratings(path)
        assert sorted(read_ratings(path, missing=[word]).votes["score"]) == [3, 5]


@pytest.mark.parametrize("method", ["hr", "b"])
def test_a_method_without_votes_is_noted(tmp_path: Path, method: str) -> None:
    path = write(tmp_path, HEAD + f"r1,x,a,3\nr1,x,{method},\nr2,x,a,4\n")
    read = read_ratings(path)
    assert read.votes["score"].to_list() == [3, 4]
    assert read.notes == (f"{path}: no vote was cast on {method}.",)


def test_missing_holds_for_every_column_but_names(tmp_path: Path) -> None:
    text = (
        "rater,image,method,score,response_ms,accepted,scene,session,position\n"
        "r1,NA,a,3,NA,NA,NA,NA,1\nNA,x,a,4,700,0,s,t,0\nr3,x,na,na,1,no,s,t,2\n"
    )
    path = write(tmp_path, text)
    with pytest.raises(SrevalError, match=r"'response_ms' .*'NA'.*cell .*empty.*missing="):
        read_ratings(write(tmp_path, text.rpartition("r3")[0], "two.csv"))
    read = read_ratings(path, missing=["NA"])
    votes = read.votes
    assert votes[["rater", "image"]].to_numpy().tolist() == [["r1", "NA"], ["NA", "x"]]
    assert math.isnan(votes["response_ms"].iloc[0])
    assert votes["response_ms"].iloc[1] == 700
    assert votes["accepted"].to_list() == [True, False]
    assert votes["scene"].to_list() == ["NA", "s"]  # by default the image, whose name is NA
    assert votes["session"].to_list() == ["r1", "t"]
    assert f"{path}: cells taken as votes not cast (NA): 1." in read.notes
    assert f"{path}: further cells taken as empty (NA): 4." in read.notes


def test_a_zero_that_stands_for_no_vote_stays_a_flag_and_a_position(tmp_path: Path) -> None:
    text = "rater,image,method,score,accepted,position\nr1,x,a,3,0,0\nr2,x,a,0,1,1\n"
    votes = read_ratings(write(tmp_path, text), missing=["0"]).votes
    assert votes[["score", "accepted", "position"]].to_numpy().tolist() == [[3, False, 0]]


def test_missing_is_counted_by_value_and_names_something(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "r1,x,a,3\nr2,x,a,NA\nr3,x,a,4\n")
    assert read_ratings(path, missing=["NA", "0,9"]).notes == (
        f"{path}: cells taken as votes not cast (NA): 1.",
        f"{path}: cells taken as votes not cast (0,9): 0.",
    )
    for empty in ("", " "):
        with pytest.raises(UsageError, match="missing= names an empty text"):
            read_ratings(path, missing=[empty])


def test_missing_holds_in_a_table_of_means(tmp_path: Path) -> None:
    text = "image,method,mos,psnr\nx,a,3,28\ny,a,4,-99\nz,a,-99.0,30\n"
    path = write(tmp_path, text)
    with pytest.raises(SrevalError, match=r"outside 1\.\.5"):
        read_ratings(path)
    read = read_ratings(path, missing=["-99"])
    psnr = metric_values(read.table, ["psnr"])["psnr"]
    assert psnr.isna().to_list() == [False, True, False]
    assert read.table["mos"].isna().to_list() == [False, False, True]


# Matrices: names or votes?


@pytest.mark.parametrize("first", ["1,2,3,4,5", "77,79,78", "3,4,4", "r1,2,3", "1,,2"])
def test_a_first_row_that_may_hold_votes_is_asked_about(tmp_path: Path, first: str) -> None:
    width = first.count(",") + 1
    path = write(tmp_path, "\n".join([first, *([",".join(["5"] * width)] * 2)]))
    with pytest.raises(SrevalError, match=r"first row of .* may hold .* Say which by header=False"):
        read_ratings(path, scale=SLIDER)
    if first not in ("3,4,4", "1,,2"):
        named = read_ratings(path, scale=SLIDER, header=True, labels=False)
        assert set(named.votes["score"]) == {5}
    if "r" not in first:
        votes = read_ratings(path, scale=SLIDER, header=False).votes
        assert len(votes) == 3 * width - first.count(",,")


def test_a_first_row_whose_numbers_repeat_is_votes_and_that_is_said(tmp_path: Path) -> None:
    read = read_ratings(write(tmp_path, "2,1,2,2\n1,3,2,4\n"))
    assert len(read.votes) == 8
    assert "first row is read as votes" in read.notes[0]


@pytest.mark.parametrize(
    ("text", "images"),
    [
        (",p,q\n0,64,70\n1,20,30\n", ["0", "1"]),
        ("Unnamed: 0,p,q\n0,64,70\n1,20,30\n", ["0", "1"]),
        ("stimulus,p,q\n1,64,70\n2,20,30\n", ["1", "2"]),
        ("Image;p;q\n7;64;70\n5;20,0;30\n", ["7", "5"]),
        ("clip,p,q\nsky,64,70\nsea,20,30\n", ["sky", "sea"]),
    ],
)
def test_a_column_of_labels_names_the_stimuli(tmp_path: Path, text: str, images: list[str]) -> None:
    votes = read_ratings(write(tmp_path, text), scale=SLIDER).votes
    assert votes["image"].to_list() == [image for image in images for _ in range(2)]
    assert votes["rater"].to_list() == ["p", "q"] * 2
    assert votes["score"].to_list() == [64, 70, 20, 30]


@pytest.mark.parametrize("first", [(1, 2, 3), (10, 20, 30), (3, 2, 4, 1)])
def test_a_first_column_that_counts_is_asked_about(tmp_path: Path, first: tuple[int, ...]) -> None:
    path = write(tmp_path, "clip,p,q\n" + "".join(f"{i},64,70\n" for i in first))
    with pytest.raises(SrevalError, match=r"may hold votes or name .*labels=False or labels=True"):
        read_ratings(path, scale=SLIDER)
    assert set(read_ratings(path, scale=SLIDER, labels=True).votes["score"]) == {64, 70}
    assert len(read_ratings(path, scale=SLIDER, labels=False).votes) == 3 * len(first)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r1,r2,r1\n5,4,3\n", r"names the rater 'r1' in columns 1, 3"),
        ("image,r1,r1 \nx,4,3\n", r"names the rater 'r1' in columns 2, 3"),
        ("r1,,r3\n5,4,3\n", "column 2 doesn't name a rater"),
        ("image,r1,mean\nx,4,4\n", r"column 3 \(mean\) doesn't look like a rater"),
        ("name,age,img1,img2\nann,23,4,5\n", r"column 2 \(age\) doesn't look like a rater"),
        ("r1,r2,image\n4,4,1\n", "'?image'? among the raters"),
        ("image,r1\nx,4\nx,5\n", "has the stimulus x/unnamed in line 2 and line 3"),
        ("image,r1\nx,4\n,5\n", "line 3 has no image"),
        ("r1,r2\n", "names but no votes"),
        ("img1,3,4\n", "may hold votes or raters' names"),
    ],
)
def test_refuses_a_matrix_that_is_not_clear(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        read_ratings(write(tmp_path, text))


NUMERIC_BESIDE = [
    "item,r1,r2,r3,r4\n1,5,4,5,4\n1,4,4,3,3\n2,2,3,2,2\n2,5,5,4,5\n",
    "src,hrc,r1,r2,r3\n1,1,5,4,5\n1,2,4,4,3\n2,1,2,3,2\n2,2,5,5,4\n",
    "image,scale,r1,r2\na,2,3,4\nb,3,3,4\nc,4,5,1\n",
    "image,scale,anna,bert\na,2,3,4\nb,3,3,4\nc,4,5,1\n",
    "image,scale,1,2\na,2,3,4\nb,3,3,4\nc,4,5,1\n",
    "image,method,factor,r1,r2\na,m,4,3,4\nb,m,4,3,4\n",
    "nr,anna,bert,cleo,dora\n3,5,4,5,4\n1,4,4,3,3\n5,2,3,2,2\n",
    "which,anna,bert,cleo,dora\n3,5,4,5,4\n1,4,4,3,3\n5,2,3,2,2\n",
    "pic,r1,r2,r3\n10,50,40,30\n40,10,60,40\n20,55,20,90\n",
    "bitrate,r1,r2\n900,500,400\n800,400,400\n",
    "t,r1,r2\n.5,50,40\n1.5,10,60\n2.5,55,20\n",
    *(f"image,method,r1,r2,r3,{head}\na,m,5,4,3,4\nb,m,5,4,5,3\n" for head in (
        "stdev", "Avg", "n", "N", "ci95", "n/N", "psnr", "PSNR (dB)", "MOS_x", "anything",
    )),
    *(f"image,anna,bert,{head}\na,5,4,3\nb,5,4,5\n" for head in (
        "Std. Dev.", "avg", "N", "ci95", "95% CI", "VMAF", "MS-SSIM", "PSNR (dB)", "QP",
    )),
]  # fmt: skip


@pytest.mark.parametrize("text", NUMERIC_BESIDE)
def test_a_column_of_numbers_beside_the_raters_is_never_taken_for_one(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(
        SrevalError, match=r"labels=False or labels=True|doesn't look like a rater|among the raters"
    ):
        read_ratings(write(tmp_path, text), scale=Scale(0, 1000))


@pytest.mark.parametrize(
    "text",
    [
        "image,r1,r2,r03b,r10\na,1,2,3,4\nb,2,1,4,3\n",
        "image,expert1,expert2,naive1,naive2\na,1,2,3,4\nb,2,1,4,3\n",
        "image,1,2,3,4\na,1,2,3,4\nb,2,1,4,3\n",
        "image,Max,anna,bert,cleo\na,1,2,3,4\nb,2,1,4,3\n",
        "r1,r2,r3,r4\n1,2,3,4\n2,1,4,3\n",
        "image,codec,r1,r2,r3,r4\na,x,1,2,3,4\nb,y,2,1,4,3\n",
    ],
)
def test_raters_by_number_or_by_name_are_read(tmp_path: Path, text: str) -> None:
    votes = read_ratings(write(tmp_path, text)).votes
    assert votes["score"].to_list() == [1, 2, 3, 4, 2, 1, 4, 3]
    assert votes["rater"].nunique() == 4


def test_the_remedies_for_a_column_beside_the_raters_work(tmp_path: Path) -> None:
    asked = write(tmp_path, NUMERIC_BESIDE[0].replace("1,4", "3,4").replace("2,5", "4,5"))
    assert set(read_ratings(asked, labels=True).votes["image"]) == set("1234")
    assert read_ratings(asked, labels=False).votes["rater"].nunique() == 5
    path = write(tmp_path, "image,method,factor,r1,r2\na,m,4,3,4\nb,m,4,3,5\n")
    with pytest.raises(
        SrevalError, match=r"column 3 \(factor\) doesn't look like a rater beside r1"
    ):
        read_ratings(path)
    text = path.read_text()
    for mended, raters in (
        (text.replace(",factor", "").replace("m,4,", "m,"), {"r1", "r2"}),
        (text.replace("factor", "dataset"), {"r1", "r2"}),
        (text.replace("factor", "r3"), {"r1", "r2", "r3"}),
    ):
        assert set(read_ratings(write(tmp_path, mended)).votes["rater"]) == raters


def test_a_further_column_of_words_is_kept_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, "image,codec,r1,r2\na,x,1,2\nb,y,2,1\n")
    read = read_ratings(path)
    assert read.votes["codec"].to_list() == ["x", "x", "y", "y"]
    assert read.notes == (f"{path}: further columns are ignored: codec.",)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_names_do_not_change_with_the_separator(tmp_path: Path, separator: str) -> None:
    text = "image;r1;r2\n3,5;4;4,5\n1,234;5;1\n".replace(";", separator)
    stimuli = write(tmp_path, "image;method\n3,5;a\n1,234;b\n", "stimuli.csv")
    votes = read_ratings(write(tmp_path, text), scale=Scale(1, 5, 0.5), stimuli=stimuli).votes
    assert votes["image"].to_list() == ["3,5", "3,5", "1,234", "1,234"]
    assert votes["score"].to_list() == [4, 4.5, 5, 1]


@pytest.mark.parametrize(
    "text",
    [
        "participant_nr,img1,img2\n1,3,4\n2,4,5\n",
        "Worker,img1,img2\nann,3,4\nbob,4,5\n",
        "worker id,a,b\nann,3,4\nbob,4,5\n",
        "name,img1,img2\nAnna1,3,4\nAnna2,4,5\n",
        "who,sky.png,sea.png\nann,3,4\nbob,4,5\n",
        "who,picture_1,picture_2\nann,3,4\nbob,4,5\n",
        ",a,b\nr1,3,4\nr2,4,5\n",
        ",img1,img2\np1,3,4\np2,4,5\n",
        "img1,img2\n3,4\n4,5\n",
    ],
)
def test_one_row_a_rater_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(SrevalError, match=r"one row per rater.*DataFrame\.melt"):
        read_ratings(write(tmp_path, text))


def test_what_stands_for_what_is_said_where_no_head_says_it(tmp_path: Path) -> None:
    path = write(tmp_path, "name,ann,bob\nsky,3,4\nsea,4,5\n")
    said = f"{path}: read as raters: ann, bob; as images: sky, sea."
    assert read_ratings(path).notes == (said,)
    assert read_ratings(write(tmp_path, "image,ann,bob\nsky,3,4\nsea,4,5\n")).notes == ()


def test_matrix_with_names_and_without(tmp_path: Path) -> None:
    path = write(tmp_path, "1,2,3\n4,,5\n")
    plain = read_ratings(path, header=False, labels=False).votes
    assert plain["rater"].to_list() == ["r1", "r2", "r3", "r1", "r3"]
    assert plain["image"].to_list() == ["1", "1", "1", "2", "2"]
    named = read_ratings(write(tmp_path, "ann,bob,cid\n4,2,3\n1,,5\n"), labels=False).votes
    assert named["rater"].to_list() == ["ann", "bob", "cid", "ann", "cid"]
    assert named["score"].to_list() == [4, 2, 3, 1, 5]


def test_a_description_names_the_stimuli(tmp_path: Path) -> None:
    stimuli = write(tmp_path, "Image;method ;note\nx;a;1\nx;b;2\n", "stimuli.csv")
    path = write(tmp_path, "1,2\n4,5\n")
    votes = read_ratings(path, stimuli=stimuli, header=False, labels=False).votes
    assert votes.groupby("method")["score"].sum().to_dict() == {"a": 3, "b": 9}
    assert set(votes["image"]) == {"x"}
    labelled = write(tmp_path, ",r1,r2\n0,1,2\n1,4,5\n")
    assert len(read_ratings(labelled, stimuli=stimuli).votes) == 4


def test_refuses_a_description_that_does_not_fit(tmp_path: Path) -> None:
    matrix = write(tmp_path, "image,p,q\nx,1,2\ny,4,5\n")
    with pytest.raises(SrevalError, match=r"describes 1 stimuli, but .* has 2 rows"):
        read_ratings(matrix, stimuli=write(tmp_path, "image\nx\n", "s.csv"))
    with pytest.raises(SrevalError, match="no column 'image'; it has content"):
        read_ratings(matrix, stimuli=write(tmp_path, "content\nx\ny\n", "s.csv"))
    with pytest.raises(SrevalError, match=r"Row 1 is 'x' in .*, but 'y' in .*the same order"):
        read_ratings(matrix, stimuli=write(tmp_path, "image\ny\nx\n", "s.csv"))


def test_options_of_a_matrix_go_with_a_matrix(tmp_path: Path) -> None:
    for text in (LONG, "[[[1, 2]]]", "image,mos\nx,3\n"):
        with pytest.raises(SrevalError, match=r"isn't a matrix of scores.*Leave out header"):
            read_ratings(write(tmp_path, text), header=True)


# JSON


def test_nested_json_by_number_and_by_name(tmp_path: Path) -> None:
    tables = [[[1, None], [2, 3]], [[None, None], [4, 5]]]
    numbered = read_ratings(write(tmp_path, json.dumps(tables), "r.json")).votes
    assert numbered.groupby("method")["score"].apply(list).to_dict() == {
        "1": [1, 2, 3],
        "2": [4, 5],
    }
    named = read_ratings(write(tmp_path, json.dumps({"a": tables[0]}), "r.json")).votes
    assert set(named["method"]) == {"a"}
    assert named["rater"].to_list() == ["r1", "r2", "r2"]


def test_one_rater_has_one_name_under_all_methods(tmp_path: Path) -> None:
    tables = {"a": [[3]] * 9, "b": [[4]] * 10}
    votes = read_ratings(write(tmp_path, json.dumps(tables))).votes
    assert votes["rater"].nunique() == 10


def test_a_number_too_long_is_refused_with_its_place(tmp_path: Path) -> None:
    long = "1" * 400
    for text, place in (
        (f"[[[1, 2], [3, {long}]]]", "method 1, rater 2, image 2"),
        (HEAD + f"r1,x,a,3\nr1,y,a,{long}\n", "line 3"),
        (f"p1,p2\n5,3\n3,{long}\n", "line 3, column 2"),
    ):
        with pytest.raises(SrevalError, match=f"in {place}: '1+…") as refused:
            read_ratings(write(tmp_path, text), scale=SLIDER)
        assert len(str(refused.value)) - len(str(tmp_path)) < 400


def test_real_matrices_come_in_whole(ratings_folder: Path) -> None:
    votes = read_ratings(ratings_folder / "nflx_public.raw.csv").votes
    matrix = np.loadtxt(ratings_folder / "nflx_public.raw.csv", delimiter=",")
    wide = votes.assign(image=votes["image"].astype(int)).pivot(
        index="image", columns="rater", values="score"
    )
    assert np.array_equal(wide.to_numpy(), matrix)
    paid = ratings_folder / "blizzard_paid_participants.json"
    systems = read_ratings(paid, missing=["0"]).votes
    assert systems.groupby("method").size().to_list() == [80] * 18


# Heads, repetitions, scales


def test_further_columns_are_kept_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, "rater,image,method,score,comment,Age\nr1,x,a,3,well,30\n")
    read = read_ratings(path)
    assert read.notes == (f"{path}: further columns are ignored: comment, Age.",)
    assert read.votes[["comment", "Age"]].iloc[0].to_list() == ["well", "30"]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("who,image,method,score", "lack rater: the columns are who, image, method, score"),
        ("rater,image,score", "lack method"),
        ("who,what,how,points", "Its first row: who, what, how, points.*rater, image, method"),
        ("rater,Rater,image,method,score", "names the column 'rater' in columns 1, 2"),
        ("subject,observer,image,method,score", "'subject' and 'observer' may both be .* rater"),
        ("rater,img1,img2,img3", "one row per rater.*melt"),
        ("rater,method_a,method_b,preferred", "preferences between two.*preferences"),
        ("image,method,dmos", "difference scores"),
        ("image,method1,method2,votes1,votes2", "preferences between two"),
        ("rater,image,left,right,choice", "preferences between two"),
        ("rater,image,Method A,Method B,score", "preferences between two"),
        ("rater,image,method,winner", "preferences between two"),
        (
            "voter,picture,algorithm,stars",
            "lack method, score: .* voter, picture, algorithm, stars",
        ),
        ("r1,r2,r3,MOS", "MOS is among the raters. Leave it out"),
        ("rater|image|method|score", r"separated by vertical bars \(\|\)"),
        ("rater image method score", "separated by blanks. Separate them by commas"),
    ],
)
def test_heads_that_cannot_be_read_are_said(tmp_path: Path, head: str, message: str) -> None:
    path = write(tmp_path, f"{head}\n{re.sub('[^,| ]+', 'a', head)}\n")
    with pytest.raises(SrevalError, match=message):
        read_ratings(path)


def test_two_votes_need_a_word_on_which_is_the_repetition(tmp_path: Path) -> None:
    text = "rater,image,method,score{}\nr1,x,a,3{}\nr1,x,a,5{}\n"
    with pytest.raises(StatisticsError, match=r"line 2: .*line 3: .*kind=repeat.*'repetition'"):
        read_ratings(write(tmp_path, text.format("", "", "")))
    for column in (
        (",kind", ",vote", ",repeat"),
        (",Repetition", ",1", ",2"),
        (",kind", ",", ",Repeat"),
    ):
        votes = read_ratings(write(tmp_path, text.format(*column))).votes
        assert votes["kind"].to_list() == ["vote", "repeat"]
    with pytest.raises(StatisticsError, match=r"'repetition' .* in line 2: '0'"):
        read_ratings(write(tmp_path, text.format(",repetition", ",0", ",1")))
    text += "r1,x,a,4,2\nr2,x,a,4,1\n"
    with pytest.raises(StatisticsError, match=r"one number twice .* line 3: '2', line 4: '2'"):
        read_ratings(write(tmp_path, text.format(",repetition", ",1", ",2")))


@pytest.mark.parametrize(
    ("scale", "score", "fits"),
    [
        (Scale(1, 5), "3.5", False),
        (Scale(1, 5, 0.5), "3.5", True),
        (Scale(1, 5, 0.5), "3.2", False),
        (Scale(1, 5, 0), "3.2", True),
        (Scale(0, 10), "7.5", False),
        (Scale(0, 100), "7.5", True),
        (Scale(0, 100, 1), "7.5", False),
        (Scale(-100, 100), "-99.25", True),
        (Scale(-2, 2), "-2", True),
        (Scale(-2, 2), "-3", False),
        (Scale(0.5, 5, 0.5), "4.5", True),
    ],
)
def test_decimals_where_the_scale_has_them(
    tmp_path: Path, scale: Scale, score: str, fits: bool
) -> None:
    path = write(tmp_path, HEAD + f"r1,x,a,{score}\n")
    if fits:
        assert read_ratings(path, scale=scale).votes["score"].to_list() == [float(score)]
    else:
        with pytest.raises(StatisticsError, match=rf"in line 2: '{score}'.*scale="):
            read_ratings(path, scale=scale)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), (" 3.50 ", 3.5), ("3,5", 3.5), ("-1e2", -100), ("+.5", 0.5), ("0,125", 0.125)],
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1e999", "1_000", "1,234", "1.234,5", "0x1", "٣", "3 4", "True"]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError):
        number(text)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (HEAD + "r1,x,a,NA\nr2,x,a,3\n", "r.csv", r"line 2: 'NA'\. Write .* missing="),
        ("", "r.csv", "is empty"),
        ("\n\n", "r.csv", "is empty"),
        (HEAD + "r1,x,a,3\nr1,x,a,4\n", "r.csv", "second vote.*line 2"),
        (HEAD + "r1,x,a,\n\nr2,x,a,80\n", "r.csv", r"outside 1\.\.5 in line 4: '80'"),
        (HEAD + "r1,x,a,3\n,x,a,3\n", "r.csv", "'rater' has an empty cell in line 3"),
        (HEAD + "r1,x,a\n", "r.csv", "line 2 has 3 cells, but the first row has 4"),
        (HEAD + 'r1,"x"y,a,3\n', "r.csv", r"line 2: .*RFC 4180"),
        (HEAD + 'r1,"x,a,3\n', "r.csv", r"r\.csv, line 2: "),
        ("p1,p2\n3,good\n", "r.csv", "line 2, column 2: 'good'"),
        ("p1,p2\n3,2.5\n", "r.csv", r"between the steps of 1 in line 2, column 2: '2\.5'"),
        ("[1, 2", "r.json", "isn't JSON"),
        ("[[[1, 2], [3]]]", "r.json", "method 1 has raters with different numbers of images"),
        ("[[1, 2]]", "r.json", "method 1 isn't a list of raters"),
        ("[[[1, [2]]]]", "r.json", "more than two levels"),
        ("[[[1, true]]]", "r.json", "method 1, rater 1, image 2: 'True'"),
        ("[[[1, NaN]]]", "r.json", "method 1, rater 1, image 2: 'NaN'"),
        ('{"a": [[1]], "a": [[2]]}', "r.json", "name 'a' twice"),
        ("[" * 100_000, "r.json", "isn't JSON"),
        (r'[{"rater": "\ud800", "method": "x", "image": "a", "score": 3}]', "r.json", "isn't JSON"),
        ("[]", "r.json", "no opinions"),
        ("7", "r.json", "no opinions"),
    ],
)
def test_refuses(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        read_ratings(write(tmp_path, text, name))


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(SrevalError, match="Can't read"):
        read_ratings(tmp_path / "absent.csv")
    (tmp_path / "r.xlsx").write_bytes(b"PK\x03\x04\xff\xfe\xfa")
    with pytest.raises(SrevalError, match="Save a table as CSV in UTF-8"):
        read_ratings(tmp_path / "r.xlsx")


def test_messages_count_the_lines_of_the_file(tmp_path: Path) -> None:
    for text, line in (
        ("\n\n" + HEAD + "\nr1,x,a,3\n\n\nr2,x,a,80\n", 8),
        ("sep=,\n" + HEAD + "r1,x,a,3\nr2,x,a,80\n", 4),
        (HEAD + 'r1,"x\ny",a,3\nr2,"x\ny",a,80\n', 4),
        (HEAD + "r1,x,a,3\n,,,\nr2,x,a,80\n", 4),
        ("\nimage,r1,r2\nx,1,2\n\ny,3,80\n", 5),
        ("image,mos\n\nx,80\n", 3),
    ):
        with pytest.raises(StatisticsError, match=f"in line {line}\\b.*80"):
            read_ratings(write(tmp_path, text))
    listed = json.dumps([{"rater": "r1", "image": "x", "method": "a", "score": 80}])
    with pytest.raises(StatisticsError, match="in row 1: '80'"):
        read_ratings(write(tmp_path, listed))
    with pytest.raises(SrevalError, match="line 5 has 1 cells, but the first row has 4"):
        read_ratings(write(tmp_path, "\n" + HEAD + "r1,x,a,3\n\nr2\n"))


# Tables of means


def test_a_table_of_means_is_no_table_of_votes(tmp_path: Path) -> None:
    text = "Image;Method;MOS;PSNR (dB);n\nx;a;3,25;28,493;12\ny;a;4;inf;12\nz;a;4,5;;12\n"
    read = read_ratings(write(tmp_path, text))
    assert is_means(read.table)
    assert read.table["mos"].to_list() == [3.25, 4, 4.5]
    psnr = metric_values(read.table, ["psnr"])["psnr"]
    assert psnr.to_list()[:2] == [28.493, np.inf]
    assert math.isnan(psnr.iloc[2])
    with pytest.raises(StatisticsError, match="needs votes"):
        _ = read.votes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,mos\nx,62\n", r"'mos' has a number outside 1\.\.5 in line 2"),
        ("image,mos\nx,3\nx,4\n", "One stimulus has two rows in line 2"),
        ("image,mos\nx,good\n", "'mos' has no finite number in line 2"),
        ("image,mos\nx,3\nX,4\n", "'x' and 'X', which differ only in case"),
        ("file,mos\nx,3\n", "lack the column image"),
        ("image,mos\n", "holds no scores"),
    ],
)
def test_refuses_a_table_of_means(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        read_ratings(write(tmp_path, text))


def test_a_metrics_cell_that_is_no_number_is_named(tmp_path: Path) -> None:
    read = read_ratings(write(tmp_path, "image,mos,psnr\nx,3,28\ny,4,28.x\n"))
    with pytest.raises(StatisticsError, match=r"'psnr' has no finite number in line 3"):
        metric_values(read.table, ["psnr"])


def test_frames_of_python_follow_the_same_rules() -> None:
    from sreval.opinions.votes import check_votes

    frame = pd.DataFrame(
        {"rater": [1.0, 2.0], "image": ["x ", "x"], "method": "a", "score": [3, 4]}
    ).assign(accepted=pd.Series([True, 0.0], dtype=object))
    votes = check_votes(frame)
    assert votes["rater"].to_list() == ["1", "2"]
    assert votes["image"].to_list() == ["x", "x"]
    assert votes["accepted"].to_list() == [True, False]


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_in_a_matrix_is_no_rater(metric: str, tmp_path: Path) -> None:
    matrix = f"image,method,anna,bob,{metric}\nx,m,3,4,2\nx,n,2,3,1\ny,m,4,5,2\ny,n,2,2,1\n"
    with pytest.raises(SrevalError, match=metric):
        read_ratings(write(tmp_path, matrix))
