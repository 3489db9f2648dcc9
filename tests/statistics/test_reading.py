import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sreval.errors import SrevalError
from sreval.statistics.reading import read_ratings
from sreval.statistics.votes import Scale


def write(folder: Path, text: str, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


LONG = "rater,image,method,score\nr1,x,a,3\nr1,y,a,\nr2,x,a,5\n"


def test_long_csv_leaves_out_votes_not_cast(tmp_path: Path) -> None:
    votes = read_ratings(write(tmp_path, "\ufeff" + LONG))
    assert votes[["rater", "score"]].to_numpy().tolist() == [["r1", 3], ["r2", 5]]


def test_matrix_with_names_and_without(tmp_path: Path) -> None:
    plain = read_ratings(write(tmp_path, "1,2,3\n4,,5\n"))
    assert plain["rater"].to_list() == ["r1", "r2", "r3", "r1", "r3"]
    assert plain["image"].to_list() == ["1", "1", "1", "2", "2"]
    named = read_ratings(write(tmp_path, "ann,bob,cid\n1,2,3\n4,,5\n"))
    assert named["rater"].to_list() == ["ann", "bob", "cid", "ann", "cid"]
    assert plain["score"].to_list() == named["score"].to_list() == [1, 2, 3, 4, 5]


def test_a_description_names_the_stimuli(tmp_path: Path) -> None:
    stimuli = write(tmp_path, "image,method,note\nx,a,1\nx,b,2\n", "stimuli.csv")
    votes = read_ratings(write(tmp_path, "1,2\n4,5\n"), stimuli=stimuli)
    assert votes.groupby("method")["score"].sum().to_dict() == {"a": 3, "b": 9}
    assert set(votes["image"]) == {"x"}


def test_nested_json_by_number_and_by_name(tmp_path: Path) -> None:
    tables = [[[1, 0], [2, 3]], [[0, 0], [4, 5]]]
    numbered = read_ratings(write(tmp_path, json.dumps(tables), "r.json"))
    assert numbered.groupby("method")["score"].apply(list).to_dict() == {
        "1": [1, 2, 3],
        "2": [4, 5],
    }
    named = read_ratings(write(tmp_path, json.dumps({"a": tables[0]}), "r.json"))
    assert set(named["method"]) == {"a"}
    assert named["rater"].to_list() == ["r1", "r2", "r2"]


def test_real_matrices_come_in_whole(ratings_folder: Path) -> None:
    votes = read_ratings(ratings_folder / "nflx_public.raw.csv")
    matrix = np.loadtxt(ratings_folder / "nflx_public.raw.csv", delimiter=",")
    wide = votes.assign(image=votes["image"].astype(int)).pivot(
        index="image", columns="rater", values="score"
    )
    assert np.array_equal(wide.to_numpy(), matrix)
    systems = read_ratings(ratings_folder / "blizzard_paid_participants.json")
    assert systems.groupby("method").size().to_list() == [80] * 18


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "r.csv", "is empty"),
        ("\n\n", "r.csv", "is empty"),
        ("rater,image,method,score\nr1,x,a,3.5\n", "r.csv", r"no integer in row 1: 3\.5"),
        ("rater,image,method,score\nr1,x,a,3\nr1,x,a,4\n", "r.csv", "second vote.*row 1"),
        ("rater,image,method,score\nr1,x,a,80\n", "r.csv", "outside 1..5 in row 1: 80"),
        ("rater,image,score\nr1,x,8\n", "r.csv", "lacks method"),
        ("rater,image,method,score,mood\nr1,x,a,3,4\n", "r.csv", "Unknown column 'mood'"),
        ("1,2\n3,good\n", "r.csv", "row 2, column 2: 'good'"),
        ("1,2\n3,2.5\n", "r.csv", r"no integer in row 4: 2\.5"),
        ("1,2\n3,4,5\n", "r.csv", "no rectangular CSV"),
        ("[1, 2", "r.json", "no JSON"),
        ("[[[1, 2], [3]]]", "r.json", "method 1 is no"),
        ("[[1, 2]]", "r.json", "1 levels of lists"),
        ("[]", "r.json", "no votes"),
    ],
)
def test_refuses(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        read_ratings(write(tmp_path, text, name))


def test_refuses_a_description_that_does_not_fit(tmp_path: Path) -> None:
    matrix = write(tmp_path, "1,2\n4,5\n")
    with pytest.raises(SrevalError, match=r"1 stimuli are described.*2 rows"):
        read_ratings(matrix, stimuli=write(tmp_path, "image\nx\n", "s.csv"))
    with pytest.raises(SrevalError, match="no column 'image'; it has name"):
        read_ratings(matrix, stimuli=write(tmp_path, "name\nx\ny\n", "s.csv"))
    with pytest.raises(SrevalError, match="Can't read"):
        read_ratings(tmp_path / "absent.csv")


def test_another_scale(tmp_path: Path) -> None:
    votes = read_ratings(write(tmp_path, "0,55\n100,3\n"), scale=Scale(0, 100))
    assert isinstance(votes, pd.DataFrame)
    assert votes["score"].max() == 100
