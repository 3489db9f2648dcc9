"""SRResNet's inference over BSD100: sreval, plain eager PyTorch and onnxruntime, same precision.

Random weights: time doesn't know. Every side gets each image as uint8 and gives one as uint8, one
image at a time, and the sides take turns at every image. Writes inference.json and inference.md;
exits with 1 when a goal isn't met.

Example: python -m benchmarks.inference --images 20 --out build/bench
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.limits import beside, distances, product_rate
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.images.datasets import open_dataset
from sreval.images.io import read_image
from sreval.networks.architecture import SRResNetArchitecture
from sreval.networks.cost import MultiplyAdds
from sreval.networks.inference import Inference
from sreval.networks.srresnet import SRResNet

GOALS = {"eager PyTorch": 1.3, "onnxruntime": 1.0}
UInt8 = npt.NDArray[np.uint8]
Run = Callable[[UInt8], UInt8]
_REST = 0.3
"""Seconds before each run: the threads of the side before spin a while after their work."""


def main() -> int:
    """Time all sides and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100, help="the first so many of BSD100")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    network = trained_like().eval()
    paths = [item.lr for item in open_dataset("BSD100", 4).items[: options.images]]
    images: list[UInt8] = [read_image(path).pixels for path in paths if path]
    rows = time_sides(sides(network), images)
    least = operations(network, images) / product_rate()
    by = "the network's multiply-adds at the rate of large fp32 matrix products"
    content = {
        **origin, "images": len(images), "rows": rows, "threads": torch.get_num_threads(),
        "limits": [beside(row["side"], row["seconds"], least, "s", by) for row in rows],
    }  # fmt: skip
    write_results(options.out, "inference", content, "Inference over BSD100", lines(content))
    print(options.out / "inference.md")
    return 1 if any(row["faster"] < row["goal"] for row in rows if row["goal"]) else 0


def operations(network: nn.Module, images: Sequence[UInt8]) -> float:
    """Floating-point operations of all images, by those of the first one."""
    with MultiplyAdds() as counter:
        eager(network, images[0])
    return float(2 * counter.total * sum(image.size for image in images) / images[0].size)


def trained_like() -> SRResNet:
    """SRResNet with batch norm statistics of its own, so that folding has something to fold."""
    torch.manual_seed(0)
    network = SRResNet().train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(4, 3, 24, 24))
    return network


def sides(network: SRResNet) -> dict[str, Run]:
    """sreval first; fp32 everywhere."""
    ours = Inference.of(network, SRResNetArchitecture(), batch=1)
    session = onnx_session(network)
    return {
        "sreval": lambda image: ours.upscale([image])[0],
        "eager PyTorch": lambda image: eager(network, image),
        "onnxruntime": lambda image: finished(session.run(None, {"low": planes(image)})[0]),
    }


@torch.inference_mode()
def eager(network: nn.Module, image: UInt8) -> UInt8:
    return finished(network(torch.from_numpy(planes(image))).numpy())


def planes(image: UInt8) -> npt.NDArray[np.float32]:
    return np.divide(image.transpose(2, 0, 1)[None], 255, dtype=np.float32)


def finished(output: npt.NDArray[np.float32]) -> UInt8:
    pixels = np.clip((output[0] + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def onnx_session(network: nn.Module) -> Any:
    """The network in onnxruntime, all its optimisations on, as many threads as torch has."""
    import onnxruntime  # the accelerator's benchmark takes a network from here without it

    dynamic = {name: {2: "height", 3: "width"} for name in ("low", "high")}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "srresnet.onnx"
        torch.onnx.export(
            network,
            (torch.rand(1, 3, 24, 24),),
            path,
            input_names=["low"],
            output_names=["high"],
            dynamic_axes=dynamic,
            dynamo=False,
        )
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def time_sides(runs: dict[str, Run], images: list[UInt8]) -> list[dict[str, Any]]:
    """Seconds over all images a side, and the median over images of its time against ours."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    furthest = dict.fromkeys(runs, 0)
    for run in runs.values():
        run(images[0])
    for place, image in enumerate(images, 1):
        results = {}
        for name, run in runs.items():
            time.sleep(_REST)
            start = time.perf_counter()
            results[name] = run(image)
            times[name].append(time.perf_counter() - start)
        for name, result in results.items():
            apart = np.abs(result.astype(int) - results["sreval"]).max()
            furthest[name] = max(furthest[name], int(apart))
        if place % 10 == 0:
            progress(f"{place} of {len(images)} images")
    pixels = 16 * sum(image.shape[0] * image.shape[1] for image in images) / 1e6
    ours = times["sreval"]
    return [
        {
            "side": name,
            "seconds": sum(own),
            "megapixels_per_second": pixels / sum(own),
            "faster": statistics.median(b / a for a, b in zip(ours, own, strict=True)),
            "goal": GOALS.get(name),
            "grey_levels_apart": furthest[name],
        }
        for name, own in times.items()
    ]


def lines(content: dict[str, Any]) -> list[str]:
    """The table."""
    table = [
        f"SRResNet, B = 16, x4, fp32, {content['images']} images of BSD100 one at a time, "
        f"{content['threads']} threads; torch {torch.__version__}, "
        f"onnxruntime {version('onnxruntime')}.",
        "",
        "| side | s | HR megapixels/s | sreval is faster | goal | most grey levels apart |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in content["rows"]:
        goal = f"{row['goal']:g}x" if row["goal"] else ""
        table.append(
            f"| {row['side']} | {row['seconds']:.1f} | {row['megapixels_per_second']:.2f} | "
            f"{row['faster']:.2f}x | {goal} | {row['grey_levels_apart']} |"
        )
    return table + distances(content["limits"])


if __name__ == "__main__":
    sys.exit(main())
