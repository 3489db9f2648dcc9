"""The tests never read the home folder of whoever runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

LOOK = """
from pathlib import Path
import tests.conftest
from sreval import content
import torch, os
places = [Path.home(), Path(torch.hub.get_dir()), content.cache_dir(), *content.data_dirs()]
places += [*content.weights_dirs(), Path(os.environ["MPLCONFIGDIR"])]
print(*places, content.home(), content.database(), sep="\\n")
"""


def test_no_place_that_a_test_looks_at_is_in_the_home(tmp_path: Path) -> None:
    # what a fetch that failed leaves, where each variable of the user's would have it found
    for place in ("home/.local/share", "data"):
        (tmp_path / place / "sreval" / "data" / "eval" / "Set5" / "HR").mkdir(parents=True)
    mine = {
        "HOME": tmp_path / "home",
        "XDG_DATA_HOME": tmp_path / "data",
        "XDG_CACHE_HOME": tmp_path / "cache",
        "XDG_CONFIG_HOME": tmp_path / "config",
        "TORCH_HOME": tmp_path / "torch",
        "MPLCONFIGDIR": tmp_path / "matplotlib",
        "SREVAL_HOME": tmp_path / "mine",
        "SREVAL_DATABASE": tmp_path / "votes.sqlite",
    }
    environment = {
        k: v for k, v in os.environ.items() if k not in ("SREVAL_DATA", "SREVAL_WEIGHTS")
    }
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=ROOT,
        env={**environment, **{name: str(path) for name, path in mine.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.split()) >= 7
    assert str(tmp_path) not in done.stdout
