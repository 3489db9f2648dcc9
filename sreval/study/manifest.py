"""The frozen stimuli of a study: which file shows which version of which image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from sreval.config import CLOSED, validated
from sreval.errors import DataError
from sreval.files import sha256_bytes
from sreval.reading import read_json

DESIGN, MANIFEST, STIMULI = "study.toml", "manifest.json", "stimuli"
FORMAT = 1
Key = tuple[str, str, str]
"""Data set, image, method."""
Trial = tuple[str, ...]
"""Data set, image and the method that is judged; of a pair both, the left one first."""


def pictures(trial: Trial) -> tuple[Key, ...]:
    """The pictures that are judged in a trial, from the left."""
    dataset, image, *methods = trial
    return tuple((dataset, image, method) for method in methods)


def exchanged(trial: Trial) -> Trial:
    """A trial with its sides exchanged; one of a single picture as it is."""
    return (*trial[:2], *reversed(trial[2:]))


def unsided(trial: Trial) -> Trial:
    """A trial in the one order that both of its orders share."""
    return (*trial[:2], *sorted(trial[2:]))


@dataclass(frozen=True)
class Stimulus:
    """One PNG under STUDY/stimuli/SHA256.png, as it is shown.

    `image_sha256` is the hash of the file that the benchmark scored (for `hr` that of the
    original); `stand_in` marks a degradation that replaces a missing version.
    """

    __pydantic_config__ = CLOSED

    dataset: str
    image: str
    scene: str
    method: str
    sha256: str
    image_sha256: str
    width: int
    height: int
    stand_in: bool = False

    @property
    def key(self) -> Key:
        """What the plan knows it by."""
        return (self.dataset, self.image, self.method)


@dataclass(frozen=True)
class Manifest:
    """Every stimulus that a study can show, in a fixed order."""

    stimuli: tuple[Stimulus, ...]
    code_version: str = ""

    def as_json(self) -> str:
        """The manifest as it stands on disk."""
        content = {"format": FORMAT, "code_version": self.code_version}
        rows = [asdict(stimulus) for stimulus in self.stimuli]
        return json.dumps({**content, "stimuli": rows}, indent=1, ensure_ascii=False) + "\n"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of `as_json`."""
        return sha256_bytes(self.as_json().encode())

    @cached_property
    def by_key(self) -> dict[Key, Stimulus]:
        """Stimuli by (data set, image, method)."""
        return {stimulus.key: stimulus for stimulus in self.stimuli}

    @cached_property
    def scenes(self) -> Mapping[str, Mapping[str, str]]:
        """The images of each data set, in order, and the scene that each shows."""
        scenes: dict[str, dict[str, str]] = {}
        for stimulus in self.stimuli:
            scenes.setdefault(stimulus.dataset, {})[stimulus.image] = stimulus.scene
        return scenes

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The methods that stand-ins replace, sorted."""
        return tuple(sorted({stimulus.method for stimulus in self.stimuli if stimulus.stand_in}))

    @property
    def largest(self) -> tuple[int, int]:
        """The greatest width and the greatest height, in pixels; what a window must hold."""
        return max(s.width for s in self.stimuli), max(s.height for s in self.stimuli)


@dataclass(frozen=True)
class _Content:
    """What stands in the file."""

    __pydantic_config__ = CLOSED

    format: int
    code_version: str
    stimuli: tuple[Stimulus, ...]


def load_manifest(folder: Path) -> Manifest:
    """The manifest in a study's folder.

    Raises DataError when the study isn't frozen, or the manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        content = read_json(path)
        if isinstance(content, dict) and content.get("format") != FORMAT:
            raise ValueError(f"its format is {content.get('format')!r}, not {FORMAT}")
        read = validated(_Content, content)
        if not read.stimuli:
            raise ValueError("it lists no stimuli")
    except FileNotFoundError:
        raise DataError(
            f"{folder} has no {MANIFEST}: its stimuli are not frozen.",
            f"Run: sreval study freeze {folder} --results FOLDER",
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}).", "Freeze the study again.") from None
    return Manifest(read.stimuli, read.code_version)
