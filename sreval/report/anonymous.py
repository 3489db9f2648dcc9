"""What is taken out of a study's votes and of a run's manifest before they are given away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pandas as pd

from sreval.files import sha256_bytes
from sreval.opinions.votes import with_texts
from sreval.store.csvs import to_csv
from sreval.study.data import StudyData

VOTES = (
    "study", "rater", "position", "dataset", "image", "scene", "method", "stimulus_sha256",
    "image_sha256", "stand_in", "left", "left_sha256", "left_image_sha256", "left_stand_in",
    "right", "right_sha256", "right_image_sha256", "right_stand_in", "reference_sha256",
    "task", "rating_scale", "score", "choice", "correct", "kind", "response_ms", "hidden_ms",
    "unfocused_ms", "switches", "left_ms", "right_ms", "reference_ms",
    "accepted", "simulated",
)  # fmt: skip
"""The columns that are kept. Not among them: the session, times of day, what the browser told of
the device, comments, and why votes aren't accepted, which an operator may have put in words."""


def anonymous_votes(data: StudyData) -> pd.DataFrame:
    """The votes of a study by numbered raters: the columns of VOTES that there are.

    Raters are numbered from 1 by a hash of their votes, so that neither the number nor the order
    tells when they came, by which link or under which pseudonym. Only who holds the database can
    find them again, by the votes themselves. Raters without a session, who were deleted, are left
    out.
    """
    votes = with_texts(data.votes[data.votes["rater"].isin(data.sessions["rater"])])
    votes = votes[[column for column in VOTES if column in votes]]
    if "choice" in votes:
        votes = votes.drop(columns="score")  # the same, as a number
    if "position" in votes:
        votes = votes.assign(position=votes["position"].map(int))
    hashed = {
        rater: sha256_bytes(to_csv(own.drop(columns="rater")))
        for rater, own in votes.groupby("rater", sort=False)
    }
    width = len(str(len(hashed)))
    numbers = {
        rater: f"rater-{number:0{width}}"
        for number, rater in enumerate(sorted(hashed, key=lambda rater: hashed[rater]), 1)
    }
    votes = votes.assign(rater=votes["rater"].map(numbers))
    order = ["rater", *(["position"] if "position" in votes else [])]
    return votes.sort_values(order, kind="stable").reset_index(drop=True)


class Places:
    """Takes folders of the machine out of texts: what a path ends in stays, where it lay doesn't.

    A path below the folder that the run was started in becomes relative to it, one below a home
    begins with ~, and of any other the folder and the name are left.
    """

    def __init__(self, manifest: dict[str, Any]) -> None:
        """``manifest`` is that of results; its own paths may hold blanks, as texts' may not."""
        paths = {_pure(path) for path in _absolute(manifest)}
        paths |= {path.parent for path in paths}
        begun = {_pure(run["directory"]) for run in manifest.get("runs", []) if "directory" in run}
        homes = {_pure(str(Path.home())), *(home for path in paths | begun for home in _home(path))}
        short = {path: "/".join(["...", *path.parts[1:][-2:]]) for path in paths}
        short |= dict.fromkeys(homes, "~") | dict.fromkeys(begun, ".")
        known = {str(path): how for path, how in short.items() if len(path.parts) > 1}
        # the run's folder before what it lies in, so that what lies in it becomes relative to it
        order = sorted(known, key=lambda path: (known[path] != ".", known[path] != "~", -len(path)))
        self._known = [(re.compile(re.escape(path) + _END), known[path]) for path in order]

    def __call__(self, text: str) -> str:
        """The text without places."""
        for pattern, short in self._known:
            text = pattern.sub(short.replace("\\", r"\\"), text)
        text = _HOME.sub("~", text)
        return _POSIX.sub(r".../\1", _WINDOWS.sub(r".../\1", text))

    def of(self, content: Any) -> Any:
        """The same of every text in JSON content, keys too; of two keys that become one, both stay.

        The second has a number behind it.
        """
        if isinstance(content, str):
            return self(content)
        if isinstance(content, list):
            return [self.of(one) for one in content]
        if not isinstance(content, dict):
            return content
        made: dict[str, Any] = {}
        for key, value in content.items():
            short, number = self(key), 1
            while short in made:
                number += 1
                short = f"{self(key)} ({number})"
            made[short] = self.of(value)
        return made


_END = r"(?![\w.-])"
_HOME = re.compile(r"(?:(?<![\w.~/-])/(?:home|Users)/|\b[A-Za-z]:\\Users\\)[^/\\\s'\",:]+")
_POSIX = re.compile(r"(?<![\w.~/-])/(?!/)(?:[^\s'\",:;/]+/)+([^\s'\",:;/]+)")
_WINDOWS = re.compile(r"\b[A-Za-z]:\\(?:[^\s'\",:;\\]+\\)+([^\s'\",:;\\]+)")


def _absolute(content: Any) -> Iterator[str]:
    """Every text, keys too, that is an absolute path as a whole."""
    if isinstance(content, str):
        if PurePosixPath(content).is_absolute() or PureWindowsPath(content).is_absolute():
            yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _absolute(key)
            yield from _absolute(value)
    elif isinstance(content, list):
        for one in content:
            yield from _absolute(one)


def _pure(path: str) -> PurePosixPath | PureWindowsPath:
    return PurePosixPath(path) if path.startswith("/") else PureWindowsPath(path)


def _home(path: PurePosixPath | PureWindowsPath) -> Iterator[PurePosixPath | PureWindowsPath]:
    """The home that a path lies in, whoever's."""
    if len(path.parts) > 2 and path.parts[1] in ("home", "Users"):
        yield type(path)(*path.parts[:3])
