"""A data folder of small photographs under the names of the public sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
from PIL import Image

IMAGES = {
    "eval/Set5/HR": ("img_001.png", "img_002.png"),
    "eval/Set14/HR": ("img_001.png", "img_014.png"),
    "eval/BSD100/HR": ("img_001.png", "img_002.png", "img_003.png"),
    "train/bsds300_train": ("a.png", "b.png"),
}
SIZE = 96, 64


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SREVAL_DATA with nine crops of one photograph; LR images are made from them."""
    photograph = Image.fromarray(skimage.data.coffee())
    root, left = tmp_path / "data", 0
    for folder, names in IMAGES.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            crop = photograph.crop((left, 200, left + SIZE[0], 200 + SIZE[1]))
            crop.save(root / folder / name)
            left += 60
    monkeypatch.setenv("SREVAL_DATA", str(root))
    monkeypatch.delenv("SREVAL_DATABASE", raising=False)
    return root
