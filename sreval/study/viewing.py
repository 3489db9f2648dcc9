"""Viewing checks: the size of a rater's screen, the distance from it, its greys, and the eyes.

A page in the browser observes; what follows from an observation is computed here alone. Lengths on
a screen are in device pixels, of which `ratio` make one CSS pixel, so that a zoom changes nothing.
The checks screen; they diagnose nothing.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from functools import cache
from statistics import fmean, stdev
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PositiveInt, StrictBool, model_validator

from sreval.config import Config, FieldError

Check = Literal["card", "distance", "patches", "colour", "acuity"]
CHECKS: tuple[Check, ...] = get_args(Check)
"""All checks, in the order in which a rater makes them."""
NEEDS: Mapping[Check, Check] = {"distance": "card", "acuity": "distance"}
"""The check without whose result another can't be computed."""
SECONDS: Mapping[Check, int] = {
    "card": 40, "distance": 60, "patches": 40, "colour": 40, "acuity": 60,
}  # fmt: skip
"""How long a rater is expected to take for each."""

CARD_MM = {"long": 85.60, "short": 53.98}
"""The sides of an ID-1 card, such as a bank card, in millimetres (ISO/IEC 7810)."""
BLIND_SPOT_DEGREES = 13.5
"""The angle from where an eye looks to where its blind spot begins (Li, Joo, Yeatman and Reinecke
2020, Sci. Rep. 10:904, and the authors' program)."""
RUNS = 5
"""How often the blind spot is looked for."""
_MOST_SPREAD = 0.25
"""The largest standard deviation of the runs over their mean: who presses at random has more."""
STEPS = (1, 2, 4, 8, 16, 32)
"""By how much of 255 the patches differ from the black or white around them."""
LINES = ("protan", "deutan", "tritan")
"""Whose confusion line the colours of a plate lie on."""
PLATES: tuple[str, ...] = ("control", *(line for line in LINES for _ in range(3)))
"""The lines of all plates. The ring of a control differs in luminance, so everybody sees it."""
DIRECTIONS = ("left", "right", "up", "down")
ACUITIES = (0.1, 0.2, 0.32, 0.5, 0.63, 0.8, 1.0, 1.25, 1.6)
"""The decimal acuities whose rings are shown, as nearly as whole device pixels allow."""
RINGS, ENOUGH = 5, 3
"""The most rings of one size, and how many of them must be right (ISO 8596, from memory)."""

_D65 = (0.3127, 0.3290)
_CONFUSION = {"protan": (0.7465, 0.2535), "deutan": (1.400, -0.400), "tritan": (0.1748, 0.0000)}
"""The confusion points in CIE 1931 x, y (Smith and Pokorny 1975, from memory)."""
_SHIFT = 0.05
"""How far the ring's chromaticity lies from the ground's, in CIE 1976 u', v'. An eye with three
kinds of cones tells apart about a tenth of it."""
_DARK, _LIGHT = 0.16, 0.34
"""The luminances between which dots vary at random; white is 1."""
_TO_SRGB = (
    (3.2406, -1.5372, -0.4986),
    (-0.9689, 1.8758, 0.0415),
    (0.0557, -0.2040, 1.0570),
)
"""CIE XYZ to linear sRGB (IEC 61966-2-1)."""
_PLATE, _RING_WIDTH = 100.0, 14.0
"""The side of a plate, and the width of its ring, which is also that of its gap."""
_RADII = (1.0, 1.4, 1.9, 2.5)
_TRIES = 9000


class ViewingChecks(Config):
    """What is measured of a rater's screen and eyes before the questions; absent: nothing.

    A rater may leave a check out. A limit judges only those who made its check: who fails it
    ends as `screened_out`. Colour vision and acuity are data on health: the consent must name them.
    """

    card: StrictBool = False
    """The size of the screen's pixels, by a bank card that is held against it."""
    distance: StrictBool = False
    """The distance from the screen, by the blind spot of an eye; it needs `card`."""
    patches: StrictBool = False
    """The least grey that is told from black and from white, and the screen's gamma."""
    colour: StrictBool = False
    """Colour vision, by ten plates of coloured dots."""
    acuity: StrictBool = False
    """Visual acuity, by Landolt rings; it needs `distance`."""
    required: StrictBool = False
    """Whether leaving a check out ends the session as `screened_out`."""
    colour_most_wrong: int | None = Field(default=None, ge=0, lt=len(PLATES) - 1)
    """How many of the nine plates other than the control may be wrong; absent: all."""
    acuity_least: float | None = Field(default=None, ge=ACUITIES[0], le=ACUITIES[-1])
    """The least decimal acuity; a screen whose pixels can't show it asks for what it can show.
    Absent: none."""

    @model_validator(mode="after")
    def _checks_are_made(self) -> ViewingChecks:
        for kind, needed in NEEDS.items():
            if getattr(self, kind) and not getattr(self, needed):
                raise FieldError(
                    f"it can't be computed without the check {needed!r}", kind,
                    remedy=f"Set {needed} to true, too, or leave {kind} out.",
                )  # fmt: skip
        for limit, kind in (("colour_most_wrong", "colour"), ("acuity_least", "acuity")):
            if getattr(self, limit) is not None and not getattr(self, kind):
                raise FieldError(
                    f"the check {kind!r} isn't made", limit,
                    remedy=f"Set {kind} to true, or leave {limit} out.",
                )  # fmt: skip
        if self.required and not self.kinds:
            raise FieldError(
                "no check is made", "required", remedy="Set a check to true, or leave required out."
            )
        return self

    @property
    def kinds(self) -> tuple[Check, ...]:
        """The checks that are made, in order."""
        return tuple(kind for kind in CHECKS if getattr(self, kind))

    @property
    def seconds(self) -> int:
        """How long a rater is expected to take for all of them."""
        return sum(SECONDS[kind] for kind in self.kinds)

    def without(self, kind: Check) -> tuple[Check, ...]:
        """A check that is left out, and those of this design that can't be computed then."""
        left = [kind]
        for one in self.kinds:
            if NEEDS.get(one) in left:
                left.append(one)
        return tuple(left)

    def screens_out(self, kind: Check, facts: Mapping[str, Any]) -> bool:
        """Whether what was found by a check, or that it was left out, ends the session."""
        if facts.get("skipped"):
            return self.required
        if kind == "colour" and self.colour_most_wrong is not None:
            return int(facts["wrong"]) > self.colour_most_wrong
        if kind == "acuity" and self.acuity_least is not None:
            return bool((facts["acuity"] or 0) < min(self.acuity_least, facts["finest"]))
        return False


Pixels = Annotated[float, Field(gt=0, le=20_000)]
Direction = Literal["left", "right", "up", "down"]


class _Observed(Config):
    """What a page observed; `ratio` is device pixels to one CSS pixel, pinching counted in."""

    ratio: float = Field(ge=0.1, le=100)


class _Card(_Observed):
    """`width`: the outline that fits one side of the card, in CSS pixels."""

    width: Pixels
    side: Literal["long", "short"] = "long"

    def found(self, known: Mapping[str, Any], right: Sequence[str]) -> dict[str, Any]:
        density = pixels_per_mm(self.width * self.ratio, self.side)
        return {"pixels_per_mm": _plausible(density, 1, 60)}


class _Distance(_Observed):
    """`separations`: from the square to the dot when it vanished, run by run, in CSS pixels."""

    eye: Literal["left", "right"]
    separations: tuple[Pixels, ...] = Field(min_length=RUNS, max_length=RUNS)

    def found(self, known: Mapping[str, Any], right: Sequence[str]) -> dict[str, Any]:
        density = known["pixels_per_mm"]
        runs = [distance_mm(one * self.ratio, density) for one in self.separations]
        mean = _plausible(fmean(runs), 120, 4000)
        _plausible(stdev(runs) / mean, 0, _MOST_SPREAD)
        return {
            "distance_mm": mean,
            "sd_mm": stdev(runs),
            "pixels_per_degree": 60 * pixels_per_arcminute(density, mean),
        }


class _Patches(_Observed):
    """How many of the patches of `STEPS` were told from `black` and `white`, and the 8-bit `grey`
    that looked as light as lines of black and white."""

    black: int = Field(ge=0, le=len(STEPS))
    white: int = Field(ge=0, le=len(STEPS))
    grey: int = Field(ge=1, le=254)

    def found(self, known: Mapping[str, Any], right: Sequence[str]) -> dict[str, Any]:
        steps = {f"{end}_step": least_step(getattr(self, end)) for end in ("black", "white")}
        return {**steps, "gamma": gamma(self.grey)}


class _Colour(_Observed):
    """Where the gap of each plate's ring was seen, "" where none was."""

    answers: tuple[Direction | Literal[""], ...] = Field(
        min_length=len(PLATES), max_length=len(PLATES)
    )

    def found(self, known: Mapping[str, Any], right: Sequence[str]) -> dict[str, Any]:
        wrong = [
            line
            for line, gap, answer in zip(PLATES, right, self.answers, strict=True)
            if gap != answer
        ]
        by_line = {f"{line}_wrong": wrong.count(line) for line in ("control", *LINES)}
        return {**by_line, "wrong": sum(by_line[f"{line}_wrong"] for line in LINES)}


class _Ring(Config):
    """A ring that was shown: its gap in device pixels, where it was, and where it was seen."""

    gap: PositiveInt
    shown: Direction
    answer: Direction


class _Acuity(_Observed):
    """The rings of a descending staircase, in order."""

    rings: tuple[_Ring, ...] = Field(min_length=ENOUGH, max_length=RINGS * len(ACUITIES))

    def found(self, known: Mapping[str, Any], right: Sequence[str]) -> dict[str, Any]:
        scale = pixels_per_arcminute(known["pixels_per_mm"], known["distance_mm"])
        if {ring.gap for ring in self.rings} - set(gaps(scale)):
            raise ValueError("a ring has a size that isn't shown")
        passed = smallest_gap([(ring.gap, ring.shown == ring.answer) for ring in self.rings])
        best = None if passed is None else decimal_acuity(passed, scale)
        return {"acuity": best, "finest": decimal_acuity(gaps(scale)[-1], scale)}


_OBSERVED: Mapping[Check, type[_Card | _Distance | _Patches | _Colour | _Acuity]] = {
    "card": _Card, "distance": _Distance, "patches": _Patches, "colour": _Colour, "acuity": _Acuity,
}  # fmt: skip

RESULTS: Mapping[str, tuple[Check, str]] = {
    "pixels_per_mm": ("card", "pixels_per_mm"),
    "distance_mm": ("distance", "distance_mm"),
    "distance_sd_mm": ("distance", "sd_mm"),
    "pixels_per_degree": ("distance", "pixels_per_degree"),
    "black_step": ("patches", "black_step"),
    "white_step": ("patches", "white_step"),
    "gamma": ("patches", "gamma"),
    "colour_wrong": ("colour", "wrong"),
    "acuity": ("acuity", "acuity"),
    "finest_acuity": ("acuity", "finest"),
}
"""Where the columns of an export's sessions.csv stand among the facts of the checks."""


def measured(
    kind: Check, observed: str, known: Mapping[Check, Mapping[str, Any]], right: Sequence[str]
) -> dict[str, Any]:
    """What is kept of a check: what its page observed, as JSON, and what follows from it.

    ``known`` are the facts of the checks before, ``right`` the gaps of the plates. Raises
    ValueError for what no page observes, and for a result that can't be true.
    """
    seen = _OBSERVED[kind].model_validate_json(observed)
    before = {name: value for facts in known.values() for name, value in facts.items()}
    return {**seen.model_dump(mode="json"), **seen.found(before, right)}


def results(facts: Mapping[Check, Mapping[str, Any]], kinds: Sequence[Check]) -> dict[str, Any]:
    """The columns of a session by the facts of its checks, of these kinds; None where unknown."""
    return {
        name: facts.get(kind, {}).get(fact)
        for name, (kind, fact) in RESULTS.items()
        if kind in kinds
    }


def _plausible(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(f"{value:g} isn't within {low:g}..{high:g}")
    return value


def pixels_per_mm(pixels: float, side: str = "long") -> float:
    """Device pixels to a millimetre where one side of a card takes so many."""
    return pixels / CARD_MM[side]


def distance_mm(separation: float, density: float) -> float:
    """The distance of an eye for which a dot vanished at so many device pixels, ``density`` to a
    millimetre, from where it looked."""
    return separation / density / math.tan(math.radians(BLIND_SPOT_DEGREES))


def pixels_per_arcminute(density: float, distance: float) -> float:
    """Device pixels, ``density`` to a millimetre, in a minute of arc at ``distance`` mm."""
    return density * distance * math.tan(math.radians(1 / 60))


def least_step(seen: int) -> int | None:
    """The least of STEPS that was told from its ground; None where none was."""
    return STEPS[-seen] if seen else None


def gamma(grey: int) -> float:
    """The exponent of a screen on which an 8-bit grey has half the luminance of white."""
    return math.log(0.5) / math.log(grey / 255)


def decimal_acuity(gap: float, scale: float) -> float:
    """1 over the gap in minutes of arc; ``gap`` in device pixels, ``scale`` of them to one."""
    return scale / gap


def gaps(scale: float) -> tuple[int, ...]:
    """The gaps of the rings that are shown, in device pixels, from the largest.

    They are the nearest to ACUITIES, a pixel at least, with ``scale`` device pixels to a minute
    of arc.
    """
    nearest = (max(1, math.floor(scale / acuity + 0.5)) for acuity in ACUITIES)
    return tuple(dict.fromkeys(nearest))


def smallest_gap(rings: Sequence[tuple[int, bool]]) -> int | None:
    """The smallest gap that was seen, as it and all larger ones were ENOUGH times; None: none.

    Of each ring, its gap and whether the answer was right. No more than RINGS of a size count.
    """
    smallest = None
    for gap in sorted({gap for gap, _ in rings}, reverse=True):
        if sum([right for own, right in rings if own == gap][:RINGS]) < ENOUGH:
            break
        smallest = gap
    return smallest


def plate_gaps(seed: str) -> tuple[str, ...]:
    """Where the gap of each plate's ring is, drawn by ``seed``."""
    chance = random.Random(f"{seed}/gaps")
    return tuple(chance.choice(DIRECTIONS) for _ in PLATES)


def plate(number: int, seed: str) -> str:
    """One of PLATES as an SVG image: dots of many sizes and a random luminance, among which a ring
    with a gap stands out by its chromaticity alone, along a confusion line.

    The first of a line's plates is shifted towards its confusion point, the second away from it.
    """
    line, gap = PLATES[number], plate_gaps(seed)[number]
    chance = random.Random(f"{seed}/{number}")
    sign = (-1) ** (number + 1)
    ring = _D65 if line == "control" else shifted(line, sign * _SHIFT)
    dots = []
    for x, y, radius in _packed():
        inside = _on_ring(x, y, gap)
        low, high = _DARK, _LIGHT
        if line == "control":
            low, high = (0.05, 0.1) if inside else (0.25, 0.35)
        colour = _srgb(ring if inside else _D65, chance.uniform(low, high))
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')
    side = f"{_PLATE:g}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" '
    return f'{head}width="400" height="400">{"".join(dots)}</svg>'


def shifted(line: str, by: float) -> tuple[float, float]:
    """The CIE x, y that lies from D65 towards a confusion point, ``by`` in u', v'."""
    (u, v), (to_u, to_v) = _uv(*_D65), _uv(*_CONFUSION[line])
    length = math.hypot(to_u - u, to_v - v)
    u, v = u + by * (to_u - u) / length, v + by * (to_v - v) / length
    below = 6 * u - 16 * v + 12
    return 9 * u / below, 4 * v / below


def _uv(x: float, y: float) -> tuple[float, float]:
    below = -2 * x + 12 * y + 3
    return 4 * x / below, 9 * y / below


def linear_srgb(chromaticity: tuple[float, float], luminance: float) -> tuple[float, ...]:
    """The linear sRGB of a CIE x, y and a luminance of 0 to 1."""
    x, y = chromaticity
    xyz = (x * luminance / y, luminance, (1 - x - y) * luminance / y)
    return tuple(sum(a * b for a, b in zip(row, xyz, strict=True)) for row in _TO_SRGB)


def _srgb(chromaticity: tuple[float, float], luminance: float) -> str:
    linear = linear_srgb(chromaticity, luminance)
    encoded = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in linear)
    return "#" + "".join(f"{round(255 * min(1, max(0, c))):02x}" for c in encoded)


@cache
def _packed() -> tuple[tuple[float, float, float], ...]:
    """Dots that don't touch, within the circle of every plate: x, y, radius."""
    chance = random.Random(0)
    half, cell = _PLATE / 2, 2 * _RADII[-1]
    cells: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    dots = []
    for _ in range(_TRIES):
        radius = chance.choice(_RADII)
        x, y = chance.uniform(radius, _PLATE - radius), chance.uniform(radius, _PLATE - radius)
        if math.hypot(x - half, y - half) > half - radius:
            continue
        i, j = int(x / cell), int(y / cell)
        near = (
            dot
            for a in (i - 1, i, i + 1)
            for b in (j - 1, j, j + 1)
            for dot in cells.get((a, b), ())
        )
        if all(math.hypot(x - u, y - v) >= radius + r + 0.2 for u, v, r in near):
            dots.append((x, y, radius))
            cells.setdefault((i, j), []).append((x, y, radius))
    return tuple(dots)


def _on_ring(x: float, y: float, gap: str) -> bool:
    """Whether the middle of a dot lies on the ring and not in its gap: that of a Landolt ring, five
    widths across."""
    x, y = x - _PLATE / 2, y - _PLATE / 2
    if not 1.5 * _RING_WIDTH <= math.hypot(x, y) <= 2.5 * _RING_WIDTH:
        return False
    along, across = {"left": (-x, y), "right": (x, y), "up": (-y, x), "down": (y, x)}[gap]
    return not (along > 0 and abs(across) <= _RING_WIDTH / 2)


def simulated(kind: Check, known: Mapping[Check, Mapping[str, Any]], right: Sequence[str]) -> str:
    """What a simulated rater's page observes: of an ordinary screen at 60 cm, by normal eyes."""
    seen: dict[str, Any]
    match kind:
        case "card":
            seen = {"width": 323.5}
        case "distance":
            density = known["card"]["pixels_per_mm"]
            away = 600 * density * math.tan(math.radians(BLIND_SPOT_DEGREES))
            seen = {"eye": "left", "separations": [away + shift for shift in (-8, -4, 0, 4, 8)]}
        case "patches":
            seen = {"black": len(STEPS) - 1, "white": len(STEPS) - 1, "grey": 186}
        case "colour":
            seen = {"answers": list(right)}
        case "acuity":
            scale = known["distance"]["pixels_per_degree"] / 60
            ring = {"shown": "left", "answer": "left"}
            seen = {"rings": [ring | {"gap": gap} for gap in gaps(scale) for _ in range(ENOUGH)]}
    return json.dumps({"ratio": 1.0, **seen})
