"""Degradations: recipes that make a low-resolution image of a high-resolution one.

A recipe is a name, a list of steps with all their parameters, and a seed. Where a step takes a
range, each image gets a value of its own, drawn uniformly. ``images.degrade`` carries recipes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sreval.config import Config, FieldError
from sreval.content import user_path
from sreval.errors import UsageError, option, shown, unknown_name
from sreval.files import json_text, sha256_bytes
from sreval.images.resize import Border
from sreval.reading import from_toml

Kernel = Literal[
    "iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"
]
Direction = Literal["up", "down", "keep"]
Mode = Literal["area", "bilinear", "bicubic"]


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("it must be odd")
    return value


def _weights(table: dict[str, float]) -> dict[str, float]:
    if sum(table.values()) <= 0:
        raise ValueError("one of them must be more than 0")
    return table


def _amount(low: float, high: float, kind: type[int | float] = float, step: int = 1) -> Any:
    """Validates a number of low..high, or a range of two; `step` 2 takes odd numbers alone."""
    what = "an odd number" if step == 2 else "a whole number" if kind is int else "a number"
    needed = f"it must be {what} from {low:g} to {high:g}, or a range of two, as in "
    needed += f"[{max(low, 1):g}, {min(high, 21):g}]"

    def number(value: Any) -> Any:
        fits = isinstance(value, int | kind) and not isinstance(value, bool)
        if not (fits and low <= value <= high and (step == 1 or value % 2)):
            raise ValueError(needed)
        return kind(value)

    def check(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return number(value)
        ends = tuple(map(number, value))
        if len(ends) != 2:
            raise ValueError(needed)
        if ends[0] > ends[1]:
            raise ValueError(f"a range begins with its smaller end: [{ends[1]:g}, {ends[0]:g}]")
        return ends

    return BeforeValidator(check)


Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Table = AfterValidator(_weights)
Size = Annotated[int | tuple[int, int], _amount(1, 101, int, 2)]
Sigma = Annotated[float | tuple[float, float], _amount(0.01, 255)]
Level = Annotated[float | tuple[float, float], _amount(0, 255)]
Cutoff = Annotated[float | tuple[float, float], _amount(0.01, 1)]
Quality = Annotated[int | tuple[int, int], _amount(1, 100, int)]
Below = Annotated[float, Field(ge=0.01, le=1)]
Above = Annotated[float, Field(ge=1, le=20)]
Beyond = Literal["replicate", "symmetric", "reflect"]


class Bicubic(Config):
    """MATLAB's bicubic `imresize` to the LR size."""

    step: Literal["bicubic"]
    """The step."""
    border: Border = "replicate"
    """What stands beyond the edge: `replicate` (older MATLABs) or `symmetric` (newer ones)."""


class Subsample(Config):
    """Every scale-th pixel of every scale-th row."""

    step: Literal["subsample"]
    """The step."""
    first: Literal["centre", "corner"] = "centre"
    """The first pixel kept: number scale // 2 from 0, as MATLAB's `nearest` has it, or 0."""


class Blur(Config):
    """A convolution with a kernel of sum 1."""

    step: Literal["blur"]
    """The step."""
    probability: Share = 1.0
    """How probable it is that the step is taken."""
    size: Size
    """The side of the kernel in pixels; of a range, each odd number is equally probable."""
    sigma: Sigma
    """The standard deviation in pixels; an `aniso` kernel draws one for each axis."""
    kinds: Annotated[dict[Kernel, Weight], Table] = Field({"iso": 1.0})
    """How probable each kind of kernel is, relative to the others."""
    generalized: tuple[Below, Above] = (0.5, 4.0)
    """The range of beta of `generalized` kernels: below and above 1 are equally probable."""
    plateau: tuple[Below, Above] = (1.0, 2.0)
    """The range of beta of `plateau` kernels, drawn likewise."""
    sinc: Share = 0.0
    """How probable a sinc kernel is in place of all these; its cut-off is drawn from pi/3..pi,
    from size 13 on from pi/5..pi."""
    border: Beyond = "replicate"
    """What stands beyond the edge: its last pixel, the mirror image with it, or without it."""


class Sinc(Config):
    """A circular low-pass filter, which rings."""

    step: Literal["sinc"]
    """The step."""
    probability: Share = 1.0
    """How probable it is that the step is taken."""
    size: Size
    """The side of the kernel in pixels; of a range, each odd number is equally probable."""
    cutoff: Cutoff
    """The cut-off frequency in units of pi radians a pixel."""
    border: Beyond = "reflect"
    """As for `blur`."""


class Sharpen(Config):
    """Unsharp masking where the image differs from its blurred self."""

    step: Literal["sharpen"]
    """The step."""
    size: Annotated[int, Field(ge=1, le=101), AfterValidator(_odd)]
    """The side of the Gaussian kernel in pixels."""
    sigma: float = Field(gt=0, le=255)
    """Its standard deviation in pixels."""
    weight: float = Field(gt=0, le=10)
    """How much of the difference is added."""
    threshold: float = Field(ge=0, le=255)
    """The difference, of 255, above which a pixel is sharpened; the mask is blurred, too."""


class Resize(Config):
    """An interpolation without antialiasing, as PyTorch's `interpolate` makes it."""

    step: Literal["resize"]
    """The step."""
    of: Literal["image", "lr"]
    """What the factor is of: the image as it is, or the LR size."""
    directions: Annotated[dict[Direction, Weight], Table] = Field({"keep": 1.0})
    """How probable each is, relative to the others: `up` draws a factor of 1 to the range's
    second value, `down` of its first value to 1, `keep` takes 1."""
    range: tuple[Below, Annotated[float, Field(ge=1, le=4)]] = (1.0, 1.0)
    """The smallest and the largest factor."""
    modes: Annotated[tuple[Mode, ...], Field(min_length=1)] = ("bicubic",)
    """Interpolations, each equally probable; `bicubic` is Keys' with a = -0.75."""


class Noise(Config):
    """Gaussian noise, or Poisson noise; the result is clipped to 0..255."""

    step: Literal["noise"]
    """The step."""
    gaussian: Share = 1.0
    """How probable Gaussian noise is; else it is Poisson noise."""
    sigma: Level | None = None
    """The standard deviation of Gaussian noise, of 255."""
    poisson: Level | None = None
    """By how much Poisson noise is multiplied."""
    grey: Share = 0.0
    """How probable it is that all three channels get the same noise."""

    @model_validator(mode="after")
    def _has_its_levels(self) -> Self:
        if self.gaussian > 0 and self.sigma is None:
            raise FieldError("Gaussian noise needs sigma", remedy="Add sigma.")
        if self.gaussian < 1 and self.poisson is None:
            raise FieldError(
                "Poisson noise needs poisson", remedy="Add poisson, or set gaussian = 1."
            )
        return self


class Jpeg(Config):
    """Compression by libjpeg with 4:2:0 chroma, after rounding and clipping to 8 bits."""

    step: Literal["jpeg"]
    """The step."""
    quality: Quality
    """libjpeg's quality, 1 to 100; of a range, each whole number is equally probable."""


Plain = Annotated[
    Bicubic | Subsample | Blur | Sinc | Sharpen | Resize | Noise | Jpeg,
    Field(discriminator="step"),
]


class Shuffle(Config):
    """Groups of steps, one after the other in an order that is drawn for each image."""

    step: Literal["shuffle"]
    """The step."""
    groups: Annotated[tuple[tuple[Plain, ...], ...], Field(min_length=2)]
    """The groups; within one, the order stays."""


Step = Annotated[
    Bicubic | Subsample | Blur | Sinc | Sharpen | Resize | Noise | Jpeg | Shuffle,
    Field(discriminator="step"),
]


class Degradation(Config):
    """How LR images are made of HR images."""

    name: str = Field(min_length=1, max_length=200)
    """What results call it."""
    rounding: Literal["each", "last"] = "last"
    """Whether each step rounds to 8 bits, as MATLAB does with images of 8 bits, or the last alone:
    between the steps stand float64 values, which noise and JPEG alone clip."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """What random values are drawn from, with the HR image's pixels and the scale."""
    steps: tuple[Step, ...] = Field(min_length=1)
    """The steps in their order."""

    @model_validator(mode="after")
    def _ends_at_the_lr_size(self) -> Self:
        size = "hr"
        for step in _flat(self.steps):
            if isinstance(step, Bicubic | Subsample):
                if size != "hr":
                    raise FieldError(
                        f"{step.step} takes an image of the HR size, and an earlier step resizes",
                        "steps",
                        remedy='Resize with step = "resize", of = "lr".',
                    )
                size = "lr"
            elif isinstance(step, Resize):
                drawn = {name for name, weight in step.directions.items() if weight > 0}
                size = "lr" if step.of == "lr" and drawn == {"keep"} else "other"
        if size != "lr":
            raise FieldError(
                "they don't end at the LR size",
                "steps",
                remedy='Add step = "bicubic", step = "subsample" or, for any size before, '
                'step = "resize", of = "lr".',
            )
        return self

    @property
    def sha256(self) -> str:
        """The hash of all that decides the pixels: the steps, the rounding and the seed."""
        content = self.model_dump(mode="json", exclude={"name"})
        return sha256_bytes(json_text(content).encode())

    @property
    def draws(self) -> bool:
        """Whether anything is drawn, so that another seed makes another image."""
        return any(map(_draws, self.steps))

    @property
    def plain_name(self) -> str:
        """The name as a part of a file's name: letters, digits, ``.``, ``_`` and ``-``."""
        return re.sub(r"[^\w.]+", "-", self.name).strip("-") or self.sha256[:12]

    def require_scale(self, scale: float) -> None:
        """Raises UsageError for a ratio where a step keeps every scale-th pixel."""
        if scale % 1 and any(isinstance(step, Subsample) for step in _flat(self.steps)):
            raise UsageError(
                f"{self.name} keeps every scale-th pixel: it has no scale of {scale:g}.",
                "Choose a whole scale or another recipe, such as bicubic.",
            )

    def __str__(self) -> str:
        return f"{self.name} (recipe {self.sha256[:12]})"


def _draws(step: Step) -> bool:
    match step:
        case Noise() | Shuffle():
            return True
        case Jpeg():
            return isinstance(step.quality, tuple)
        case Resize():
            directions = {name for name, weight in step.directions.items() if weight > 0}
            return directions != {"keep"} or len(set(step.modes)) > 1
        case Sinc():
            return step.probability < 1 or tuple in (type(step.size), type(step.cutoff))
        case Blur():
            kinds = {name for name, weight in step.kinds.items() if weight > 0}
            ranges = tuple in (type(step.size), type(step.sigma))
            return step.probability < 1 or step.sinc > 0 or kinds != {"iso"} or ranges
    return False


def _flat(steps: Iterable[Any]) -> Iterator[Any]:
    """The steps, those inside a shuffle in the order in which they are written."""
    for step in steps:
        if isinstance(step, Shuffle):
            yield from (inner for group in step.groups for inner in group)
        else:
            yield step


_ESRGAN_KINDS = {
    "iso": 0.45,
    "aniso": 0.25,
    "generalized_iso": 0.12,
    "generalized_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}
_ESRGAN_BLUR = {
    "step": "blur",
    "size": (7, 21),
    "kinds": _ESRGAN_KINDS,
    "generalized": (0.5, 4),
    "plateau": (1, 2),
    "sinc": 0.1,
    "border": "reflect",
}
_ESRGAN_NOISE = {"step": "noise", "gaussian": 0.5, "grey": 0.4}
_ESRGAN_JPEG = {"step": "jpeg", "quality": (30, 95)}
_MODES = ("area", "bilinear", "bicubic")

_KNOWN: dict[str, dict[str, Any]] = {
    "bicubic": {"rounding": "each", "steps": [{"step": "bicubic"}]},
    "bd": {
        "rounding": "each",
        "steps": [{"step": "blur", "size": 7, "sigma": 1.6}, {"step": "subsample"}],
    },
    "dn": {"rounding": "each", "steps": [{"step": "bicubic"}, {"step": "noise", "sigma": 30}]},
    "jpeg": {"rounding": "each", "steps": [{"step": "bicubic"}, {"step": "jpeg", "quality": 40}]},
    # options/train_realesrgan_x4plus.yml of xinntao/Real-ESRGAN, which RealESRGAN_x4plus.pth is of
    "real-esrgan": {
        "steps": [
            {"step": "sharpen", "size": 51, "sigma": 8, "weight": 0.5, "threshold": 10},
            {**_ESRGAN_BLUR, "sigma": (0.2, 3)},
            {
                "step": "resize",
                "of": "image",
                "directions": {"up": 0.2, "down": 0.7, "keep": 0.1},
                "range": (0.15, 1.5),
                "modes": _MODES,
            },
            {**_ESRGAN_NOISE, "sigma": (1, 30), "poisson": (0.05, 3)},
            _ESRGAN_JPEG,
            {**_ESRGAN_BLUR, "sigma": (0.2, 1.5), "probability": 0.8},
            {
                "step": "resize",
                "of": "lr",
                "directions": {"up": 0.3, "down": 0.4, "keep": 0.3},
                "range": (0.3, 1.2),
                "modes": _MODES,
            },
            {**_ESRGAN_NOISE, "sigma": (1, 25), "poisson": (0.05, 2.5)},
            {
                "step": "shuffle",
                "groups": [
                    [
                        {"step": "resize", "of": "lr", "modes": _MODES},
                        {
                            "step": "sinc",
                            "size": (7, 21),
                            "cutoff": (1 / 3, 1),
                            "probability": 0.8,
                        },
                    ],
                    [_ESRGAN_JPEG],
                ],
            },
        ]
    },
}

NAMES = tuple(_KNOWN)
"""The recipes known by name."""


@cache
def known_degradation(name: str) -> Degradation:
    """The recipe of that name, one of NAMES."""
    return Degradation.checked({"name": name, **_KNOWN[name]}, name)


def open_degradation(given: str | Path, seed: int | None = None) -> Degradation:
    """A recipe from what a user wrote: a name, ``name:parameter=value,...``, or a TOML file.

    A Path is a file. A parameter is that of the one step that has it, or ``seed``. ``seed``: in
    place of the recipe's own, of which the name then tells. Raises UsageError for an unknown name
    or parameter, an invalid value, a file that isn't a recipe or takes the name of one of NAMES,
    two seeds that differ, and a seed for a recipe that draws nothing.
    """
    if not isinstance(given, str | Path):
        raise UsageError(
            f"A degradation can't be of the type {type(given).__name__}.",
            "Give its name, or the path of a TOML file.",
        )
    if isinstance(given, Path):
        recipe, parameters = _from_file(given), dict[str, str]()
    else:
        recipe, parameters = _named(given)
    if seed is None:
        return recipe
    made = Degradation.checked({**recipe.model_dump(), "seed": seed}, recipe.name)
    if made.seed == recipe.seed:
        return recipe
    _require_draws(recipe, seed)
    if "seed" in parameters:
        raise UsageError(
            f"Two seeds are given: {shown(given)} has {recipe.seed}, and {option('--seed')} is "
            f"{seed}.",
            "Leave one of them out.",
        )
    return made.model_copy(update={"name": _name_with(recipe.name, "seed", seed)})


def _require_draws(recipe: Degradation, seed: int) -> None:
    if not recipe.draws:
        raise UsageError(
            f"A seed of {seed} is given, and {recipe.name} draws nothing.", "Leave the seed out."
        )


def _from_file(path: Path) -> Degradation:
    """The recipe of a TOML file, which may not go by the name of a known one."""
    recipe = Degradation.load(path)
    if {recipe.plain_name.lower(), recipe.name.partition(":")[0].strip().lower()} & set(_KNOWN):
        raise UsageError(
            f"{path}: name = {shown(recipe.name)}: a recipe of sreval's own is called so.",
            "Choose another name.",
        )
    return recipe


def _named(spec: str) -> tuple[Degradation, dict[str, str]]:
    """The recipe that ``spec`` names, and the parameters that it gives, by key."""
    name, colon, given = spec.partition(":")
    if name.lower() in _KNOWN:
        recipe = known_degradation(name.lower())
        parameters: dict[str, str] = {}
        # a comma within brackets is TOML's
        for parameter in re.split(r",(?![^{\[]*[}\]])", given) if colon else ():
            key, _, text = (part.strip() for part in parameter.partition("="))
            if key in parameters:
                raise UsageError(
                    f"Can't read the degradation {shown(spec)}: {shown(key)} is given twice.",
                    "Leave one of them out.",
                )
            recipe = _with(recipe, key, text, spec)
            parameters[key] = text
        if recipe.seed:
            _require_draws(recipe, recipe.seed)
        return recipe, parameters
    path = user_path(spec)
    if path.suffix == ".toml" or path.is_file():
        return _from_file(path), {}
    if name.endswith(".toml"):
        seed = re.fullmatch(r"\s*seed\s*=\s*(\d+)\s*", given)
        raise UsageError(
            f"Can't read the degradation {shown(spec)}: a file takes no parameters.",
            f"Use {option(f'--seed {seed[1]}', f'seed={seed[1]}')}."
            if seed
            else "Write them into the file.",
        )
    raise unknown_name("degradation", spec, NAMES, "A TOML file will do too.")


def _with(given: Degradation, key: str, text: str, spec: str) -> Degradation:
    """``given`` with ``key=text``, as the user's ``spec`` says; its name says so.

    The key is ``seed``, or one that one step alone has. A value that it has already changes
    nothing.
    """
    content = given.model_dump()
    fields = [own for step in _flat(given.steps) for own in type(step).model_fields]
    keys = [*(own for own in fields if own != "step"), "seed"]
    if not text or keys.count(key) != 1:
        several = "several of its steps have" if key in keys else "none of its steps has"
        why = f"{several} {shown(key)}" if text else "parameters are written as key=value"
        single = [own for own in keys if keys.count(own) == 1]
        raise UsageError(
            f"Can't read the degradation {shown(spec)}: {why}.",
            f"Its parameters: {', '.join(single)}. For others, write a TOML file.",
        )
    held = [part for part in (content, *content["steps"]) if key in part]
    try:
        held[0][key] = from_toml(f"value = {text}")["value"]
    except ValueError:
        held[0][key] = text
    content["name"] = _name_with(given.name, key, text)
    made = Degradation.checked(content, spec)
    return given if made.sha256 == given.sha256 else made


def _name_with(name: str, key: str, value: object) -> str:
    return f"{name}{',' if ':' in name else ':'}{key}={value}"
