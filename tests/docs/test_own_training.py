"""docs/how-to/own-training.md, every block of it written or run, in small."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs/how-to/own-training.md"


def test_the_page_leads_from_a_class_to_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "no-data"))
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photographs").mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        found = next(Path(skimage.data.__file__).parent.glob(f"{name}.*"))
        for place, left in enumerate((0, 100, 200)):
            piece = Image.open(found).convert("RGB").crop((left, 0, left + 100, 100))
            piece.save(tmp_path / f"photographs/{name}{place}.png")

    blocks = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    ran = 0
    for kind, text in blocks:
        if file := re.match(r"# (\S+\.(?:py|toml))\n", text):
            path = tmp_path / file[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(re.sub(r"[\d_]+_000", "3", text))
        elif kind == "sh":
            for line in text.splitlines():
                words = shlex.split(line.replace("--dataset demo", "--dataset photographs"))
                answer = sreval(*words[1:])
                assert answer.code == 0, (line, answer)
                ran += 1
        else:
            exec(compile(text, str(PAGE), "exec"), {"__name__": "__main__"})
    assert ran == 5
    card = (tmp_path / "models/my-net/card.md").read_text()
    assert "| Code of `python:my_net:edges` | SHA-256 " in card
    rows = (tmp_path / "results/results.csv").read_text()
    assert rows.count("my-net,") >= 12
    assert rows.count("mine,") >= 12
    assert (tmp_path / "runs/given/weights.safetensors").is_file()
    sys.modules.pop("my_net", None)
    listed = sreval("models", "show", "srresnet-x2")
    assert listed.code == 0
    assert "'scale': 2" in listed.out
