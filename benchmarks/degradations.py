"""Every step of a degradation beside basicsr's own functions, at one seed.

Kernels, filters, resizing and noise: the largest difference in samples of 0..1, before rounding.
Both sides draw from NumPy's RandomState of the same seed. Then the whole second-order chain, with
the values that were drawn for it, retraced with basicsr's and PyTorch's functions; its JPEG steps
are our own there, for OpenCV's, which basicsr uses, and Pillow's are compared by themselves.
Writes degradations.json and degradations.md; exits with 1 when a difference is above 1e-6.

Example: python -m benchmarks.degradations --images 1 --out build/bench
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import skimage.data

from benchmarks.rivals import MissingRivalError, load_basicsr
from benchmarks.timing import ROOT, provenance, write_results
from sreval.images import degrade, kernels
from sreval.images.degradations import Blur, known_degradation

Float64 = npt.NDArray[np.float64]
GOAL = 1e-6
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
KINDS = {
    "iso": "random_bivariate_Gaussian",
    "aniso": "random_bivariate_Gaussian",
    "generalized_iso": "random_bivariate_generalized_Gaussian",
    "generalized_aniso": "random_bivariate_generalized_Gaussian",
    "plateau_iso": "random_bivariate_plateau",
    "plateau_aniso": "random_bivariate_plateau",
}


def main() -> int:
    """Compare and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=60, help="images for the whole chain")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    try:
        rival = load_rival()
    except MissingRivalError as error:
        print(error, file=sys.stderr)
        return 1
    found = list(differences(rival, options.images))
    rows = [{"step": step, "cases": len(each), "largest": max(each)} for step, each in found]
    content = {**provenance(), "rival": rival.origin, "goal": GOAL, "rows": rows, **jpeg(rival)}
    write_results(
        options.out, "degradations", content, "Degradations beside basicsr's", lines(content)
    )
    print(options.out / "degradations.md")
    return 0 if all(largest <= GOAL for _, each in found for largest in each) else 1


def load_rival() -> SimpleNamespace:
    """basicsr's functions of degradations. Raises MissingRivalError."""
    origin = load_basicsr().origin
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = importlib.import_module("basicsr.data.degradations")
        images = importlib.import_module("basicsr.utils.img_process_util")
    return SimpleNamespace(
        **vars(made), filter2D=images.filter2D, usm_sharp=images.usm_sharp, origin=origin
    )


def photographs(count: int, side: int = 128) -> Iterator[npt.NDArray[np.uint8]]:
    """Crops of the photographs that come with scikit-image."""
    rng = np.random.default_rng(0)
    for number in range(count):
        whole = getattr(skimage.data, PHOTOGRAPHS[number % len(PHOTOGRAPHS)])()
        top, left = (int(rng.integers(0, length - side + 1)) for length in whole.shape[:2])
        yield np.ascontiguousarray(whole[top : top + side, left : left + side])


def differences(rival: SimpleNamespace, images: int) -> Iterator[tuple[str, list[float]]]:
    """By step, the largest difference of each case."""
    for kind, name in KINDS.items():
        theirs = getattr(rival, name)
        yield f"kernel {kind}", [_kernel(theirs, kind, seed) for seed in range(200)]
    yield (
        "kernel sinc",
        [
            _apart(kernels.sinc(size, cutoff), rival.circular_lowpass_kernel(cutoff, size))
            for size in range(7, 22, 2)
            for cutoff in np.pi * np.linspace(0.2, 1, 9)
        ],
    )
    some = [image / 255 for image in photographs(6)]
    yield "BD's blur (OpenCV)", [_bd(image) for image in some]
    yield "blur", [_blur(rival, image, seed) for seed, image in enumerate(some)]
    yield "sharpening", [_sharpened(rival, image) for image in some]
    for mode in ("area", "bilinear", "bicubic"):
        yield (
            f"resize {mode} (PyTorch)",
            [_resized(image, mode, factor) for image in some for factor in (0.15, 0.4, 0.97, 1.5)],
        )
    for grey in (False, True):
        kind = "grey" if grey else "colour"
        # blurred, as in the chain: in whole numbers, a luma may lie on a rounding's edge
        soft = kernels.gaussian(5, (1.0, 1.0))
        cases = [
            (seed, degrade.convolve(image, soft, "reflect")) for seed, image in enumerate(some)
        ]
        yield f"Gaussian noise, {kind}", [_gaussian(rival, i, s, grey) for s, i in cases]
        yield f"Poisson noise, {kind}", [_poisson(rival, i, s, grey) for s, i in cases]
    yield (
        "the whole chain",
        [_chain(rival, hr, seed) for seed, hr in enumerate(photographs(images))],
    )


def _apart(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> float:
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max())


def _kernel(theirs: Callable[..., Any], kind: Any, seed: int) -> float:
    size, sigma, beta = 7 + 2 * (seed % 8), (0.2, 3.0), (0.5, 4.0)
    given = [size, sigma, sigma, (-np.pi, np.pi)]
    if kind not in ("iso", "aniso"):
        given.append(beta)
    np.random.seed(seed)
    expected = theirs(*given, isotropic=kind.endswith("_iso") or kind == "iso")
    step = Blur(step="blur", size=size, sigma=sigma, generalized=beta, plateau=(0.5, 4.0))
    found, _ = degrade.draw_of_kind(step, kind, size, _stream(seed))
    return _apart(found, expected)


def _stream(seed: int) -> Any:
    return np.random.RandomState(seed)


def _tensor(image: Float64) -> Any:
    import torch

    return torch.from_numpy(image).permute(2, 0, 1)[None]


def _array(tensor: Any) -> Float64:
    return np.asarray(tensor[0].permute(1, 2, 0).numpy(), np.float64)


def _bd(image: Float64) -> float:
    import cv2

    kernel = kernels.gaussian(7, (1.6, 1.6))
    expected = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return _apart(degrade.convolve(image, kernel, "replicate"), expected)


def _filtered(rival: SimpleNamespace, image: Float64, kernel: Float64) -> Float64:
    import torch

    return _array(rival.filter2D(_tensor(image), torch.from_numpy(kernel)[None]))


def _blur(rival: SimpleNamespace, image: Float64, seed: int) -> float:
    kernel = kernels.plateau(7 + 2 * seed, (0.8, 2.5), seed, 1.3)
    return _apart(degrade.convolve(image, kernel, "reflect"), _filtered(rival, image, kernel))


def _sharpened(rival: SimpleNamespace, image: Float64) -> float:
    found = degrade.sharpen(255 * image, 51, 8, 0.5, 10) / 255
    return _apart(found, rival.usm_sharp(image, weight=0.5, radius=50, threshold=10))


def _resized(image: Float64, mode: Any, factor: float) -> float:
    import torch

    expected = _array(
        torch.nn.functional.interpolate(_tensor(image), scale_factor=factor, mode=mode)
    )
    size = (expected.shape[0], expected.shape[1])
    return _apart(degrade.resize(image, size, mode, factor), expected)


def _gaussian(rival: SimpleNamespace, image: Float64, seed: int, grey: bool) -> float:
    np.random.seed(seed)
    expected = rival.generate_gaussian_noise(image, 25, grey)
    return _apart(degrade.gaussian_noise(255 * image, 25, grey, _stream(seed)) / 255, expected)


@contextmanager
def _torch_draws_from(stream: Any) -> Iterator[None]:
    """PyTorch's Poisson numbers, for the time being, are NumPy's, drawn pixel by pixel."""
    import torch

    def drawn(rates: Any) -> Any:
        return _tensor(stream.poisson(_array(rates)).astype(np.float64))

    with mock.patch.object(torch, "poisson", drawn):
        yield


def _poisson(rival: SimpleNamespace, image: Float64, seed: int, grey: bool) -> float:
    with _torch_draws_from(_stream(seed)):
        expected = _array(rival.generate_poisson_noise_pt(_tensor(image), 1.7, int(grey)))
    found = degrade.poisson_noise(255 * image, 1.7, grey, _stream(seed)) / 255
    return _apart(np.broadcast_to(found, expected.shape), expected)


def _chain(rival: SimpleNamespace, hr: npt.NDArray[np.uint8], seed: int, scale: int = 4) -> float:
    """How far the chain before its last rounding is from the one retraced."""
    noises: list[Float64] = []

    def kept(made: Callable[..., Float64]) -> Callable[..., Float64]:
        def keeping(*given: Any) -> Float64:
            noises.append(made(*given))
            return noises[-1]

        return keeping

    unrounded: list[Float64] = []

    def as_8_bit(image: Any) -> Any:
        unrounded.append(np.asarray(image, np.float64))
        return rounded(image)

    rounded = degrade.as_8_bit
    recipe = known_degradation("real-esrgan").model_copy(update={"seed": seed})
    with (
        mock.patch.object(degrade, "gaussian_noise", kept(degrade.gaussian_noise)),
        mock.patch.object(degrade, "poisson_noise", kept(degrade.poisson_noise)),
        mock.patch.object(degrade, "as_8_bit", as_8_bit),
    ):
        _, drawn = degrade.degrade(hr, recipe, scale)
    expected = _retraced(rival, hr, drawn, noises)
    return _apart(unrounded[-1], expected) / 255


def _retraced(
    rival: SimpleNamespace, hr: npt.NDArray[np.uint8], drawn: list[dict[str, Any]], noises: Any
) -> Float64:
    """The chain with basicsr's and PyTorch's functions and the values that were drawn."""
    import torch

    image = rival.usm_sharp(hr / 255, weight=0.5, radius=50, threshold=10)
    noises, by_factor = iter(noises), True
    for entry in drawn:
        match entry["step"]:
            case "blur" | "sinc":
                image = _filtered(rival, image, _retraced_kernel(rival, entry))
            case "resize":
                given = {"scale_factor": entry["factor"]} if by_factor else {"size": entry["size"]}
                by_factor = False  # the first alone is by a factor
                image = _array(
                    torch.nn.functional.interpolate(_tensor(image), mode=entry["mode"], **given)
                )
            case "noise":
                image = np.clip(image + next(noises) / 255, 0, 1)
            case "jpeg":
                image = degrade.jpeg(degrade.as_8_bit(255 * image), entry["quality"]) / 255
    return np.asarray(255 * image, np.float64)


def _retraced_kernel(rival: SimpleNamespace, entry: dict[str, Any]) -> Float64:
    size, kind = entry["size"], entry.get("kind", "sinc")
    if kind == "sinc":
        return np.asarray(rival.circular_lowpass_kernel(entry["cutoff"] * np.pi, size), np.float64)
    shapes = {
        "generalized": rival.bivariate_generalized_Gaussian,
        "plateau": rival.bivariate_plateau,
    }
    given = (size, *entry["sigma"], entry["angle"])
    shape = shapes.get(kind.partition("_")[0])
    made = (
        rival.bivariate_Gaussian(*given, isotropic=False)
        if shape is None
        else shape(*given, entry["beta"], isotropic=False)
    )
    return np.asarray(made, np.float64)


def jpeg(rival: SimpleNamespace) -> dict[str, float]:
    """How many samples differ between OpenCV's JPEG and Pillow's, and by how much at most."""
    values, different, most = 0, 0, 0
    for image in photographs(6):
        for quality in range(30, 96, 5):
            bgr = np.ascontiguousarray(image[..., ::-1])
            # whole numbers of 0..255, since OpenCV rounds the halves of others otherwise
            theirs = np.rint(rival.add_jpg_compression(bgr / 255, quality)[..., ::-1] * 255)
            apart = np.abs(degrade.jpeg(image, quality).astype(int) - theirs)
            values += apart.size
            different += int((apart > 0).sum())
            most = max(most, int(apart.max()))
    return {"jpeg_values": values, "jpeg_different": different, "jpeg_most": most}


def lines(content: dict[str, Any]) -> list[str]:
    """The page's Markdown."""
    return [
        f"{content['rival']}. The largest difference of samples of 0..1, before rounding, at one "
        f"seed. Goal: {content['goal']:g}.",
        "",
        "| step | cases | largest difference |",
        "| --- | ---: | ---: |",
        *(f"| {row['step']} | {row['cases']} | {row['largest']:.1e} |" for row in content["rows"]),
        "",
        f"JPEG by OpenCV, which basicsr uses, and by Pillow, qualities 30 to 95: "
        f"{content['jpeg_different']} of {content['jpeg_values']} values differ, by "
        f"{content['jpeg_most']} of 255 at most.",
    ]


if __name__ == "__main__":
    sys.exit(main())
