"""How many threads torch works with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[int]:
    """Torch without threads of its own; gives the number it would otherwise work with.

    Operations of some microseconds lose more at torch's barriers than a second core gains, and
    where another program holds that core they wait for it every time. The setting is the whole
    process's, so the last of several threads to leave restores it.
    """
    global _inside, _before
    import torch

    with _lock:
        if not _inside:
            _before = torch.get_num_threads()
            torch.set_num_threads(1)
        _inside += 1
        usual = _before
    try:
        yield usual
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                torch.set_num_threads(_before)
