"""Community networks in tiles: how far are their images from those of the whole?

Networks of spandrel's architectures with random weights, small but for those marked full, enlarge
one random image whole and in tiles, as `spandrel:FILE` runs them. Differences are of the output's
range, 0..1, before it is rounded. Writes community.json and community.md; exits with 1 where tiles
of a network that sees no farther than their overlap differ by 1e-4 or more.

Example: python -m benchmarks.community --out build/bench
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from spandrel import architectures as known
from torch import nn

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.methods import Running
from sreval.methods.sources import spandrel_network
from tests.methods.community import SMALL, write

GOAL = 1e-4
FULL: dict[str, tuple[int, Callable[[int], nn.Module]]] = {
    "ESRGAN, full": (4, lambda scale: known.ESRGAN.ESRGAN(scale=scale)),
    "RCAN, full": (2, lambda scale: known.RCAN.RCAN(scale=scale)),
    "RealCUGAN, full": (2, lambda _: known.RealCUGAN.UpCunet2x()),
}
"""Networks of the size in which they are published, each of one scale: they take minutes."""


def main() -> int:
    """Enlarge with every network whole and in tiles, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tile", type=int, default=48)
    parser.add_argument("--size", type=int, nargs=2, default=(99, 131), help="height and width")
    parser.add_argument("--small", action="store_true", help="leave the full networks out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    origin = provenance()
    networks = [(name, scale, make) for name, make in SMALL.items() for scale in (2, 4)]
    if not given.small:
        networks += [(name, scale, make) for name, (scale, make) in FULL.items()]
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            compared(name, scale, make, Path(folder), tuple(given.size), given.tile)
            for name, scale, make in networks
        ]
    content = {**origin, "tile": given.tile, "size": list(given.size), "rows": rows}
    write_results(
        given.out,
        "community",
        content,
        "Community networks in tiles",
        lines(rows, given.tile, given.size),
    )
    print(given.out / "community.md")
    return 1 if any(row["exact"] and row["largest"] >= GOAL for row in rows) else 0


def compared(
    name: str,
    scale: int,
    make: Callable[[int], nn.Module],
    folder: Path,
    size: tuple[int, ...],
    tile: int,
) -> dict[str, Any]:
    """One network's output in tiles beside that of the whole image."""
    path = write(name, scale, folder, make=make)
    low = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    whole, tiled = (spandrel_network(str(path), Running(tile=side)) for side in (None, tile))
    difference = (whole._inference.tensor(low) - tiled._inference.tensor(low)).abs()
    facts = tiled.facts(measure=True)
    row = {
        "network": name,
        "tags": facts["network"],
        "scale": scale,
        "parameters": facts["parameters"],
        "reach": facts["reach"],
        "overlap": facts["overlap"],
        "exact": facts["reach"] is not None and facts["reach"] <= facts["overlap"],
        "largest": float(difference.max()),
        "mean": float(difference.mean()),
    }
    progress(f"{name} x{scale}: {row['largest']:.1e}")
    return row


def lines(rows: list[dict[str, Any]], tile: int, size: tuple[int, ...]) -> list[str]:
    """The results as Markdown."""
    exact = [row["largest"] for row in rows if row["exact"]]
    return [
        f"spandrel's architectures with random weights, on a random image of {size[1]}x{size[0]} "
        f"pixels, whole and in tiles of {tile}. A network *sees* as many LR pixels around a place "
        "as were measured; 64+ is 64 or more, perhaps the whole image, as where channel attention "
        "or group norm averages over it. Differences are of the output's range, 0..1, before "
        "rounding; 1/255 is 3.9e-03.",
        "",
        f"Where a network sees no farther than the overlap, {len(exact)} rows, the largest "
        f"difference is {max(exact):.1e} (goal: below {GOAL:.0e}). The others differ, and a run "
        "in tiles says so.",
        "",
        "| network | scale | parameters | sees | overlap | largest difference | mean |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['network']} | {row['scale']} | {row['parameters']:,} | "
            f"{row['reach'] or '64+'} | {row['overlap']} | {row['largest']:.1e} | "
            f"{row['mean']:.1e} |"
            for row in rows
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
