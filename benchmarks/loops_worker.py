"""The other side of `loops.py`: a warm process that runs one case at a time, when it is told to.

It is started with some state of sreval on PYTHONPATH and the paths of HR and SR, and imports
nothing else of this folder. A line on stdin names a case and how often to run it; the answer is
the processor time of one run in milliseconds and the hash of what it gave.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sreval.images.io import read_image
from sreval.images.luma import bt601, png2y4m_luma
from sreval.metrics.protocol import PROTOCOLS
from sreval.metrics.scorer import Reference
from sreval.metrics.ssim import ssim_daala, ssim_wang


def cases(hr_file: Path, sr_file: Path) -> dict[str, Callable[[], list[Any]]]:
    """What is timed, by name; each gives a list of arrays or numbers."""
    files = hr_file, sr_file
    hr, sr = (read_image(file).pixels for file in files)
    a, b = bt601(hr), bt601(sr)

    def scored(*names: str) -> list[Any]:
        reference = Reference(read_image(hr_file).pixels)
        protocols = [PROTOCOLS[name] for name in names]
        return [score.value for score in reference.score(read_image(sr_file).pixels, protocols)]

    def perceived() -> list[Any]:
        reference = Reference(hr)
        images = [np.roll(sr, shift, axis=0) for shift in range(3)]
        return [
            score.value
            for image in images
            for score in reference.score(image, [PROTOCOLS["matlab"]], ["lpips"])
        ]

    return {
        "daala luma": lambda: [png2y4m_luma(hr)],
        "two PNG files to `matlab` PSNR+SSIM": lambda: scored("matlab"),
        "two PNG files to `ledig2017` PSNR+SSIM": lambda: scored("ledig2017"),
        "two PNG files to PSNR+SSIM, all protocols": lambda: scored(*PROTOCOLS),
        "reading two PNG files": lambda: [read_image(file).pixels for file in files],
        "BT.601 luma": lambda: [bt601(hr)],
        "SSIM of Wang et al.": lambda: [ssim_wang(a, b)],
        "SSIM of daala": lambda: [ssim_daala(a, b)],
        "LPIPS of three results": perceived,
    }


def main() -> None:
    """Answer until stdin ends."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    known = cases(Path(sys.argv[1]), Path(sys.argv[2]))
    print("ready", flush=True)
    for line in sys.stdin:
        name, times = line.rstrip("\n").split("\t")
        values: list[Any] = []
        start = time.process_time()
        for _ in range(int(times)):
            values = known[name]()
        spent = (time.process_time() - start) / int(times)
        digest = hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in values))
        print(1000 * spent, digest.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
