"""What only some users need: where it is missing, an error or a line says what to install."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Literal

import pytest

from sreval.errors import ImageError, StoreError, install
from sreval.images.io import deep_codecs
from sreval.store.database import open_store

ROOT = Path(__file__).parents[1]


def test_what_is_told_to_be_installed_is_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "sreval").rglob("*.py")]
    told = {name for text in texts for name in re.findall(r"\binstall\([\"'](\w+)[\"']\)", text)}
    # a run says nothing where TensorBoard is missing, for nobody asked it for that
    assert told == set(project["optional-dependencies"]) - {"test", "bench", "tensorboard"}


def test_postgresql_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError) as refused:
        open_store("postgresql://nobody@localhost/votes")
    assert refused.value.remedy == install("postgres") == "Run: pip install 'sreval[postgres]'"


@pytest.mark.parametrize("doing", ["Reading", "Writing"])
def test_images_of_16_bits_name_their_extra(
    monkeypatch: pytest.MonkeyPatch, doing: Literal["Reading", "Writing"]
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageError, match=rf"^{doing} a\.png needs the package imag") as refused:
        deep_codecs(Path("a.png"), doing)
    assert refused.value.remedy == install("16bit")
