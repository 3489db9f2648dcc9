"""Tasks and scales named in a file, and those named by the user."""

import pandas as pd
import pytest

import sreval
from sreval.errors import SrevalError, UsageError
from sreval.opinions.tasks import TASKS, TaskName, task_of
from tests.opinions.builders import random_votes


def test_a_task_is_known_in_any_case() -> None:
    assert task_of(" ACR_HR ") is TASKS["acr-hr"]
    with pytest.raises(UsageError, match="Unknown task 'ccr'"):
        task_of("ccr")


def test_the_file_says_its_task() -> None:
    frame = random_votes()
    assert sreval.read_votes(frame).task == "acr"
    assert sreval.read_votes(frame, task="dcr").task == "dcr"
    own = frame.assign(task="DCR")
    assert sreval.read_votes(own).task == sreval.read_votes(own, task="dcr").task == "dcr"
    assert set(sreval.read_votes(own).frame["task"]) == {"dcr"}


def test_votes_that_were_read_keep_their_task() -> None:
    votes = sreval.read_votes(random_votes(), task="dcr")
    assert sreval.read_votes(votes, task="dcr") is votes
    with pytest.raises(UsageError, match="were read already, so task can't be applied"):
        sreval.read_votes(votes, task="acr")


@pytest.mark.parametrize(
    ("column", "cells", "said"),
    [
        ("task", ["acr", "dcr"], "mixes the tasks acr and dcr"),
        ("task", ["pair"], "Column 'task' names no task of votes"),
        ("task", ["dcr"], "of the task dcr, by their column 'task', not acr-hr"),
        ("rating_scale", ["1..5", "1..9"], "mixes the rating scales 1..5 and 1..9"),
        ("rating_scale", ["1..9"], "on the scale 1..9, by their column 'rating_scale', not 1..5"),
        ("rating_scale", ["five"], "Can't read the scale 'five'"),
    ],
)
def test_tasks_and_scales_are_not_pooled(column: str, cells: list[str], said: str) -> None:
    frame = random_votes()
    named: TaskName | None = "acr-hr" if "not acr-hr" in said else None
    frame[column] = [cells[row % len(cells)] for row in range(len(frame))]
    with pytest.raises(SrevalError, match=said):
        sreval.read_votes(frame, task=named, scale="1..5" if "not 1..5" in said else None)


@pytest.mark.parametrize(
    ("scale", "score", "said"),
    [
        ("0..10", [1, 10], "run from 1 to 10 on the scale 0..10"),
        ("1..11", [1, 10], "run from 1 to 10 on the scale 1..11"),
        ("0..100", [0.1, 1], "run from 0.1 to 1 on the scale 0..100"),
        ("1..10", [1, 10], ""),
        ("0..100", [20, 80], ""),
        ("1..5", [2, 4], ""),
    ],
)
def test_a_scale_that_may_be_another_is_pointed_out(
    scale: str, score: list[float], said: str
) -> None:
    frame = pd.DataFrame({"rater": ["a", "b"], "image": "i", "method": "m", "score": score})
    notes = sreval.read_votes(frame, scale=scale).notes
    assert (said in notes[0]) if said else notes == ()


@pytest.mark.parametrize(
    ("scale", "score", "said"),
    [
        ("1..10", [0, 10], r"outside 1..10 in row 0: '0'.*run from 0 to 10"),
        ("1..9", [3.5, 10 - 1], r"between the steps of 1 in row 0: '3.5'"),
        ("1..7", [1, 8], r"outside 1..7 in row 1: '8'.*run from 1 to 8"),
        ("0..100/0", [-0.1, 100], r"outside 0..100"),
    ],
)
def test_votes_off_the_scale_are_refused_by_row(scale: str, score: list[float], said: str) -> None:
    frame = pd.DataFrame({"rater": ["a", "b"], "image": "i", "method": "m", "score": score})
    with pytest.raises(SrevalError, match=said):
        sreval.read_votes(frame, scale=scale)
