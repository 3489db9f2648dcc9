"""A data folder of small photographs under the names of the public sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from sreval.files import sha256_bytes
from sreval.images.known import KnownFile

IMAGES = {
    "eval/Set5/HR": ("img_001.png", "img_002.png"),
    "eval/Set14/HR": ("img_001.png", "img_014.png"),
    "eval/BSD100/HR": ("img_001.png", "img_002.png", "img_003.png"),
    "train/bsds300_train": ("a.png", "b.png"),
}
SIZE = 96, 64


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SREVAL_DATA with nine crops of one photograph as the public sets; LR is made from them."""
    photograph = Image.fromarray(skimage.data.coffee())
    own = tmp_path_factory.mktemp("small")
    root, left = own / "data", 0
    files: list[KnownFile] = []
    for folder, names in IMAGES.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            crop = photograph.crop((left, 200, left + SIZE[0], 200 + SIZE[1]))
            crop.save(root / folder / name)
            left += 60
            data = (root / folder / name).read_bytes()
            dataset = folder.split("/")[1].replace("bsds300_train", "BSDS300-train")
            files.append(KnownFile(dataset, f"{folder}/{name}", len(data), sha256_bytes(data)))
    # the commands run in processes of their own, to which these files must be the published ones
    (own / "site").mkdir()
    (own / "site" / "sitecustomize.py").write_text(
        "from sreval.images import known\nfrom sreval.images.known import KnownFile\n"
        f"FILES = {files!r}\n"
        "known.known_files = lambda name: tuple(file for file in FILES if file.dataset == name)\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(own / "site"), prepend=os.pathsep)
        patched.setenv("SREVAL_DATA", str(root))
        patched.delenv("SREVAL_DATABASE", raising=False)
        yield root
