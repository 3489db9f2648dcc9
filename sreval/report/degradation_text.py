"""How LR images were made, in words for a paper's methods section."""

from __future__ import annotations

from sreval.images.degradations import (
    Bicubic,
    Blur,
    Degradation,
    Jpeg,
    Noise,
    Resize,
    Sharpen,
    Shuffle,
    Sinc,
    Step,
    Subsample,
    known_degradation,
)

_BORDERS = {"replicate": "the outermost pixels repeated", "symmetric": "the image mirrored"}

_AFTER = {
    "bd": "the degradation BD of Zhang, Tian et al. 2018",
    "dn": "the degradation DN of Zhang, Tian et al. 2018",
    "real-esrgan": "the second-order chain of Wang et al. 2021, on whole images",
}
"""Whose a recipe is, as long as no parameter of it is changed."""


def degradation_text(recipe: Degradation, scale: float) -> str:
    """What follows "made from the HR images by": the steps, their source, name, hash and seed.

    Bicubic alone needs no name. What is drawn for each image is told by its range.
    """
    steps = [_step(step, scale) for step in recipe.steps]
    text = ", then ".join(steps)
    if len(steps) == 1 and isinstance(recipe.steps[0], Bicubic):
        return text
    for name, work in _AFTER.items():
        known = known_degradation(name)
        if (recipe.steps, recipe.rounding) == (known.steps, known.rounding):
            text = f"{text}: {work}" if len(steps) < 3 else work
    return f"{text} (recipe {recipe.name} of SHA-256 {recipe.sha256[:12]}, seed {recipe.seed})"


def _step(step: Step, scale: float) -> str:
    match step:
        case Bicubic():
            return (
                "antialiased bicubic interpolation as by MATLAB's imresize (Keys 1981), with "
                f"{_BORDERS[step.border]} at the borders"
            )
        case Subsample():
            first = 0 if step.first == "corner" else int(scale) // 2
            return (
                f"keeping one in {scale} rows and columns, from number {first} on, counted from 0"
            )
        case Blur():
            plain = not step.sinc and {kind for kind, w in step.kinds.items() if w} == {"iso"}
            kernel = "a Gaussian" if plain else "a kernel of a kind drawn for each image,"
            size = f"{kernel} of {_amount(step.size)} pixels a side"
            text = f"a blur with {size} and a standard deviation of {_amount(step.sigma)} pixels"
        case Sinc():
            text = f"a sinc filter with a cut-off of {_amount(step.cutoff)} pi radians a pixel"
        case Sharpen():
            return f"unsharp masking with a Gaussian of a standard deviation of {step.sigma:g}"
        case Resize():
            return f"resizing by {' or '.join(step.modes)} interpolation"
        case Noise():
            kinds = ["Poisson noise"] * (step.gaussian < 1)
            if step.gaussian and step.sigma is not None:
                sigma = _amount(step.sigma)
                kinds.insert(0, f"Gaussian noise of a standard deviation of {sigma} of 255")
            return " or ".join(kinds)
        case Jpeg():
            return f"JPEG compression of quality {_amount(step.quality)}"
        case Shuffle():
            groups = [", then ".join(_step(one, scale) for one in group) for group in step.groups]
            return f"in an order drawn for each image ({'; '.join(groups)})"
    return text if step.probability == 1 else f"{text} ({step.probability:.0%} of the images)"


def _amount(value: float | tuple[float, float]) -> str:
    return " to ".join(f"{one:g}" for one in (value if isinstance(value, tuple) else (value,)))
