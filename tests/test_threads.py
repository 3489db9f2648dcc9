"""Torch's threads are put back whatever happens, and by the last of several callers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sreval.threads import one_thread


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_inside_and_the_usual_number_told() -> None:
    with one_thread() as usual:
        assert usual == 3
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_the_last_to_leave_restores() -> None:
    first, second = one_thread(), one_thread()
    first.__enter__()
    assert second.__enter__() == 3
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == 3


def test_an_error_restores_too() -> None:
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == 3
