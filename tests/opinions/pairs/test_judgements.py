"""Reading paired comparisons: every form that tools write, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from sreval.errors import DataError, SrevalError, StatisticsError
from sreval.opinions.pairs.judgements import Judgements, not_counted, read_judgements
from sreval.opinions.reading import read_ratings

HEAD = "rater,image,left,right,choice\n"


def _read(tmp_path: Path, text: str | bytes, name: str = "pairs.csv") -> Judgements:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_judgements(file)


def _rows(read: Judgements) -> list[tuple[str, str, str, int]]:
    return list(read.frame[["left", "right", "choice", "count"]].itertuples(index=False, name=None))


def test_the_tidy_form_keeps_every_column(tmp_path: Path) -> None:
    text = "dataset,rater,image,left,right,choice,seconds,kind\nS,ann,baby,a,b,left,2.5,\n"
    read = _read(tmp_path, text)
    row = read.frame.iloc[0].to_dict()
    assert row == {
        "dataset": "S", "image": "baby", "rater": "ann", "left": "a", "right": "b",
        "choice": "left", "count": 1, "seconds": 2.5, "kind": "real", "accepted": True,
        "simulated": False,
    }  # fmt: skip
    assert read.sided
    assert read.notes == ()


@pytest.mark.parametrize(
    ("head", "row", "choice"),
    [
        ("observer,scene,condition_B,condition_A,is_A_selected", "M1,window,y,x,1", "left"),
        ("observer,scene,condition_B,condition_A,is_A_selected", "M1,window,y,x,0", "right"),
        ("worker,left,right,label", "w1,x,y,y", "right"),
        ("worker,left,right,label", "w1,x,y,x", "left"),
        ("judge,model_a,model_b,winner", "j,x,y,model_b", "right"),
        ("judge,model_a,model_b,winner", "j,x,y,tie (bothbad)", "tie"),
        ("Participant ID,Image,Method A,Method B,Preferred", "p,i,x,y,A", "left"),
        ("Participant ID,Image,Method 1,Method 2,Answer", "p,i,x,y,2", "right"),
        ("rater,image,left,right,choice", "p,i,x,y,No difference", "tie"),
        ("winner,loser", "x,y", "left"),
        ("left;right;choice;seconds", "x;y;Right;1,5", "right"),
    ],
)
def test_spellings_of_other_tools(tmp_path: Path, head: str, row: str, choice: str) -> None:
    assert _rows(_read(tmp_path, f"{head}\n{row}\n")) == [("x", "y", choice, 1)]


def test_the_same_table_in_every_encoding_and_as_json(tmp_path: Path) -> None:
    text = HEAD + "r,i,Gänse,'=b,left\n"
    expected = [("Gänse", "=b", "left", 1)]
    for form in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16")):
        assert _rows(_read(tmp_path, form)) == expected
    json = '[{"rater": "r", "image": "i", "left": "Gänse", "right": "=b", "choice": "left"}]'
    assert _rows(_read(tmp_path, json, "pairs.json")) == expected
    frame = pd.DataFrame([{"left": "Gänse", "right": "=b", "choice": "left"}])
    assert _rows(read_judgements(frame)) == expected


def test_counts_give_a_row_a_choice(tmp_path: Path) -> None:
    read = _read(tmp_path, "left,right,left_wins,right_wins,ties\na,b,3,0,2\na,c,0,0,0\n")
    assert _rows(read) == [("a", "b", "left", 3), ("a", "b", "tie", 2)]
    assert "rows without any judgement: 1." in read.notes[0]


def test_a_matrix_of_wins_knows_no_places(tmp_path: Path) -> None:
    read = _read(tmp_path, ",a,b,c\na,-,3,1\nb,2,0,4\nc,0,1,\n")
    assert _rows(read) == [
        ("a", "b", "left", 3), ("a", "c", "left", 1), ("b", "a", "left", 2), ("b", "c", "left", 4),
        ("c", "b", "left", 1),
    ]  # fmt: skip
    assert not read.sided
    assert "no order effect" in read.notes[-1]


def test_what_does_not_count_is_kept_and_told_by_number(tmp_path: Path) -> None:
    text = (
        "rater,image,left,right,choice,kind,accepted\n"
        "r,i,a,b,left,real,\nr,i,b,a,left,repeat,\nr,i,a,a,right,same,\nr,j,a,b,tie,,no\n"
        "r,k,a,b,,,\n"
    )
    read = _read(tmp_path, text)
    assert not_counted(read.frame) == {"kind repeat": 1, "kind same": 1, "not accepted": 1}
    assert "judgements not made (no choice): 1." in read.notes[0]


def test_the_right_answer_to_a_trap_is_read_as_a_choice_is(tmp_path: Path) -> None:
    head = "rater,image,left,right,choice,kind,correct\n"
    read = _read(tmp_path, head + "r,i,a,b,left,,\nr,i,b,a,right,trap,L\n")
    assert list(read.frame["correct"]) == ["", "left"]
    with pytest.raises(StatisticsError, match="line 2: 'up'"):
        _read(tmp_path, head + "r,i,a,b,left,trap,up\n")


def test_frames_are_of_one_sequence(tmp_path: Path) -> None:
    read = _read(tmp_path, HEAD + "r,city/001,a,b,left\nr,city\\002,a,b,left\nr,still,a,b,left\n")
    assert list(read.frame["image"]) == ["city", "city", "still"]
    assert "1 sequence" in read.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "r,i,a,a,left\n", "compared with itself in line 2.*kind=same"),
        (HEAD + "r,i,a,b,left\nr,j,a,b,up\n", "neither left, right or tie.*line 3: 'up'"),
        (HEAD + "r,i,a,b,left\nr,i,b,a,left\n", "two judgements.*line 2.*line 3.*kind=repeat"),
        (HEAD + "r,i,,b,left\n", "'left' has an empty cell in line 2"),
        (HEAD + ",i,a,b,left\n", "'rater' has an empty cell in line 2"),
        (HEAD + "r,i,a,b,left\nr,j,A,b,left\n", "differ only in case"),
        (HEAD + "r,i,a,b,4\nr,j,a,b,1\n", "answers on a scale"),
        (HEAD + "r,i,b,a,A\nr,i,A,c,left\n", "neither left|differ only in case|may name"),
        (HEAD + "r,i,B,A,A\nr,j,A,B,B\n", "may name a method, or a place.*line 2: 'A'"),
        (HEAD + "r,i,a,b,\n", "None of the 1 rows"),
        (HEAD + "r,i,a,b,1\nr,j,a,b,-1\n", "neither left, right or tie.*line 3: '-1'"),
        (HEAD + "r,i,a,b,left\nr,j,a,b,None\n", "line 3: 'None'.*leave a cell empty"),
        (HEAD + "r,i,Esr,b,ESR\n", "differ only in case in line 2: 'ESR'"),
        (" ", "is empty.*left, right, choice"),
        ("5,4,3\n2,2,1\n", "names no pairs.*read_votes"),
        (",a,b\na,0,0.5\nb,2,0\n", "isn't a whole number in line 2, column b: '0.5'"),
        (HEAD, "no judgements"),
        ("left,right,choice,kind\na,b,left,odd\n", "unknown kind in line 2: 'odd'"),
        ("left,right,choice,kind\na,b,left,same\n", "kind same has two methods"),
        ("left,right,choice,seconds\na,b,left,-2\n", "negative time in line 2"),
        (
            "left,right,left_wins,right_wins\na,b,-1,2\n",
            "'left_wins' has a count below 0 in line 2",
        ),
        (
            "left,right,left_wins,right_wins\na,b,1,0.5\n",
            "'right_wins'.*isn't a whole number in line 2",
        ),
        ("left,right,left_wins,right_wins\na,b,1,2\na,b,2,2\n", "two rows of counts"),
        ("left,right,choice,left_wins,right_wins\na,b,left,1,2\n", "mixes judgements and counts"),
        ("left,right,left_wins\na,b,1\n", "lack left_wins or right_wins"),
        ("left,right\na,b\n", "doesn't say which"),
        ("a,b,c\n1,2,3\n", "doesn't say which|names no pairs"),
        (",a,b\na,1,3\nb,2,0\n", "A method beats itself in line 2, column a"),
        ("rater,image,method,score\nr,i,a,4\n", "votes on single images.*read_votes"),
        ("image,method,mos\ni,a,4\n", "votes on single images"),
    ],
)
def test_refused_with_the_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises((DataError, StatisticsError)) as caught:
        _read(tmp_path, text)
    assert re.search(says, str(caught.value)), str(caught.value)


def test_each_reader_names_the_other(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    for head in ("rater,image,left,right,choice", "observer,scene,condition_A,condition_B,is_A"):
        file.write_text(f"{head}\nr,i,a,b,1\n")
        with pytest.raises(SrevalError, match=r"preferences between two.*sreval\.preferences"):
            read_ratings(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[[5, 4], [3, 3]]]", "lists of scores.*read_votes"),
        ('{"edsr": [[5, 4], [3, 3]]}', "lists of scores.*read_votes"),
        ('{"left": {"0": "a"}, "right": {"0": "b"}}', "orient='records'"),
        ("[]", "holds no opinions.*left, right, choice"),
    ],
)
def test_other_json_is_told_where_to_go(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path, text, "pairs.json")
    assert re.search(says, str(caught.value)), str(caught.value)


def test_codes_of_choices_are_told(tmp_path: Path) -> None:
    rows = "r,i,a,b,1\nr,j,a,b,2\nr,k,a,b,same\nr,l,a,b,2\n"
    (note,) = _read(tmp_path, HEAD + rows).notes
    assert note.endswith("choices: 1 is read as left, 2 as right, same as tie.")
    assert not _read(tmp_path, HEAD + "r,i,a,b,Left\nr,j,a,b,tie\n").notes
    assert not _read(tmp_path, HEAD + "r,i,a,b,a\nr,j,a,b,b\n").notes


def test_a_matrix_of_wins_is_no_matrix_of_scores(tmp_path: Path) -> None:
    file = tmp_path / "wins.csv"
    file.write_text(",a,b\na,0,3\nb,2,0\n")
    with pytest.raises(DataError, match=r"matrix of wins.*sreval\.preferences"):
        read_ratings(file)
    file.write_text(",1,2\n1,,3\n2,2,\n")  # images and raters that are numbered alike
    assert len(read_ratings(file, header=True).votes) == 2


@pytest.mark.parametrize(
    "head", ["User", "user_id", "participant", "Subject", "observer", "Worker"]
)
def test_raters_by_another_name_are_raters(tmp_path: Path, head: str) -> None:
    frame = pd.DataFrame([("ann", "i", "a", "b", "left"), ("bob", "i", "a", "b", "right")])
    frame.columns = pd.Index([head, "image", "left", "right", "choice"])
    read = read_judgements(frame)
    assert list(read.frame["rater"]) == ["ann", "bob"]
    assert f"the DataFrame: column {head!r} is read as rater." in read.notes


def test_where_no_column_names_raters_the_note_says_how_one_would() -> None:
    frame = pd.DataFrame([("ann", "a", "b", "left"), ("bob", "a", "b", "right")])
    frame.columns = pd.Index(["Kennung", "left", "right", "choice"])
    (note,) = [note for note in read_judgements(frame).notes if "Kennung" in note]
    assert note.endswith("ignored: Kennung. If one of them names the raters, call it rater.")
    named = read_judgements(frame.rename(columns={"Kennung": "rater"}))
    assert list(named.frame["rater"]) == ["ann", "bob"]
