"""Viewing checks: formulas against figures worked out by hand, plates against models of the eye."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from sreval.errors import UsageError
from sreval.study import viewing
from sreval.study.check import check
from sreval.study.design import StudyDesign
from sreval.study.viewing import DIRECTIONS, LINES, PLATES, ViewingChecks
from tests.study.designs import design_of, manifest_of, plain_pool

METHODS = ("a", "b")
ALL = dict.fromkeys(viewing.CHECKS, True)


def small(**viewing: Any) -> StudyDesign:
    return design_of(METHODS, [{"name": "pool"}], viewing=viewing)


def measured(kind: viewing.Check, known: Any = (), right: Any = (), **seen: Any) -> dict[str, Any]:
    return viewing.measured(kind, json.dumps({"ratio": 1, **seen}), dict(known), right)


def test_a_card_gives_the_size_of_a_pixel() -> None:
    """A monitor of 96 dots to the inch, 25.4 mm, shows 85.60 mm on 323.5 pixels."""
    assert measured("card", width=323.5)["pixels_per_mm"] == pytest.approx(96 / 25.4, abs=0.001)
    doubled = measured("card", width=323.5, ratio=2)
    assert doubled["pixels_per_mm"] == pytest.approx(192 / 25.4, abs=0.001)
    upright = measured("card", width=204.0, side="short")
    assert upright["pixels_per_mm"] == pytest.approx(96 / 25.4, abs=0.001)


def test_the_blind_spot_gives_the_distance() -> None:
    """tan 13.5 degrees is 0.2401; at 500 mm, with 4 pixels to one, that is 480.2 pixels."""
    card = {"card": {"pixels_per_mm": 4.0}}
    found = measured("distance", card, eye="left", separations=[480.2] * 5)
    assert found["distance_mm"] == pytest.approx(500, abs=0.1)
    assert found["sd_mm"] == pytest.approx(0, abs=1e-9)
    # a degree at 500 mm is 8.7266 mm
    assert found["pixels_per_degree"] == pytest.approx(4 * 8.7266, rel=1e-3)
    zoomed = measured("distance", card, eye="left", separations=[240.1] * 5, ratio=2)
    assert zoomed["distance_mm"] == pytest.approx(500, abs=0.1)
    spread = measured(
        "distance", card, eye="right", separations=[460.2, 500.2, 480.2, 470.2, 490.2]
    )
    assert spread["distance_mm"] == pytest.approx(500, abs=0.1)
    assert spread["sd_mm"] == pytest.approx(math.sqrt(250) / 4 / 0.24008, rel=1e-3)


@pytest.mark.parametrize(("grey", "gamma"), [(186, 2.2), (188, 2.27), (174, 1.81)])
def test_a_matched_grey_gives_the_gamma(grey: int, gamma: float) -> None:
    found = measured("patches", black=6, white=0, grey=grey)
    assert (grey / 255) ** gamma == pytest.approx(0.5, abs=0.002)
    assert found["gamma"] == pytest.approx(gamma, abs=0.01)
    assert (found["black_step"], found["white_step"]) == (1, None)
    assert measured("patches", black=1, white=4, grey=grey)["black_step"] == 32


def test_rings_are_of_whole_pixels_and_acuity_is_one_over_their_gap_in_minutes() -> None:
    """At 600 mm and 4 pixels to one, a minute of arc takes 0.6981 pixels."""
    scale = viewing.pixels_per_arcminute(4, 600)
    assert scale == pytest.approx(0.6981, abs=1e-4)
    gaps = viewing.gaps(scale)
    assert gaps == (7, 3, 2, 1)
    assert viewing.decimal_acuity(7, scale) == pytest.approx(1 / (7 / 0.6981), rel=1e-3)
    far = viewing.gaps(viewing.pixels_per_arcminute(8, 2000))
    assert list(far) == sorted(set(far), reverse=True)
    assert far[-1] == 3  # 4.65 pixels a minute over 1.6 is 2.9


def test_the_smallest_gap_is_that_of_three_in_five_after_all_larger_ones() -> None:
    passed = [(7, True)] * 3
    assert viewing.smallest_gap([]) is None
    assert viewing.smallest_gap([(7, True), (7, False), (7, True), (7, False), (7, False)]) is None
    assert viewing.smallest_gap([*passed, (3, False), (3, True), (3, False), (3, False)]) == 7
    luck = [(7, False)] * 3 + [(3, True)] * 3
    assert viewing.smallest_gap(luck) is None
    assert viewing.smallest_gap([*passed, (3, False), (3, True), (3, False), *[(3, True)] * 2]) == 3
    more_than_five = [(7, False)] * 4 + [(7, True)] * 5
    assert viewing.smallest_gap(more_than_five) is None


def test_acuity_counts_only_rings_that_are_shown() -> None:
    known = {"card": {"pixels_per_mm": 4.0}, "distance": {"distance_mm": 600.0}}
    right, wrong = {"shown": "up", "answer": "up"}, {"shown": "up", "answer": "down"}
    rings = [{"gap": 7, **right}] * 3 + [{"gap": 3, **right}] * 3 + [{"gap": 2, **wrong}] * 3
    found = measured("acuity", known, rings=rings)
    assert found["acuity"] == pytest.approx(0.6981 / 3, rel=1e-3)
    assert found["finest"] == pytest.approx(0.6981, rel=1e-3)
    assert measured("acuity", known, rings=[{"gap": 7, **wrong}] * 3)["acuity"] is None
    with pytest.raises(ValueError, match="isn't shown"):
        measured("acuity", known, rings=[{"gap": 5, **right}] * 3)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("card", {}),
        ("card", {"width": -1}),
        ("card", {"width": 1e9}),
        ("card", {"width": 20}),
        ("card", {"width": "wide"}),
        ("card", {"width": 300, "more": 1}),
        ("card", {"width": 300, "ratio": 0}),
        ("distance", {"eye": "left", "separations": [480] * 4}),
        ("distance", {"eye": "third", "separations": [480] * 5}),
        ("distance", {"eye": "left", "separations": [5] * 5}),
        ("distance", {"eye": "left", "separations": [480, 120, 130, 110, 125]}),
        ("patches", {"black": 7, "white": 1, "grey": 186}),
        ("patches", {"black": 1, "white": 1, "grey": 255}),
        ("colour", {"answers": ["left"]}),
        ("colour", {"answers": ["<b>"] * len(PLATES)}),
        ("acuity", {"rings": []}),
        ("acuity", {"rings": [{"gap": 7, "shown": "up", "answer": "up"}] * 1000}),
    ],
)
def test_what_no_page_observes_is_refused(kind: viewing.Check, seen: dict[str, Any]) -> None:
    known: Any = {"card": {"pixels_per_mm": 4.0}, "distance": {"distance_mm": 600.0}}
    with pytest.raises(ValueError):
        measured(kind, known, viewing.plate_gaps("a"), **seen)
    for text in ("", "{", "null", "x" * 10_000, '{"ratio": 1, "ratio": NaN}', "\x00\u202e"):
        with pytest.raises(ValueError):
            viewing.measured(kind, text, known, ())


# LMS of linear sRGB, by the fundamentals of Smith and Pokorny: Viénot, Brettel and Mollon (1999),
# Color Res. Appl. 24, p. 245.
LMS = {
    "L": (17.8824, 43.5161, 4.11935),
    "M": (3.45565, 27.1554, 3.86714),
    "S": (0.0299566, 0.184309, 1.46709),
}
LACKS = dict(zip(LINES, LMS, strict=True))


def cones(colour: tuple[float, ...]) -> dict[str, float]:
    return {cone: sum(a * b for a, b in zip(row, colour, strict=True)) for cone, row in LMS.items()}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_who_lacks_a_cone_sees_ring_and_ground_in_one_chromaticity(line: str, sign: int) -> None:
    """The ratio of the two cones that are left is the same on ring and ground; that of other pairs
    of cones isn't, so everybody else sees the ring."""
    ground = cones(viewing.linear_srgb((0.3127, 0.3290), 0.25))
    ring = cones(viewing.linear_srgb(viewing.shifted(line, sign * 0.05), 0.25))
    change = {cone: ring[cone] / ground[cone] for cone in LMS}
    one, other = (change[cone] for cone in LMS if cone != LACKS[line])
    assert one / other == pytest.approx(1, abs=0.02)
    assert abs(math.log(change[LACKS[line]] / one)) > 0.12
    shift = math.dist(_uv(viewing.shifted(line, sign * 0.05)), _uv((0.3127, 0.3290)))
    assert shift == pytest.approx(0.05, abs=1e-6)


def _uv(xy: tuple[float, float]) -> tuple[float, float]:
    """CIE 1976 u', v' by way of X and Z at Y = 1."""
    x, z = xy[0] / xy[1], (1 - xy[0] - xy[1]) / xy[1]
    return 4 * x / (x + 15 + 3 * z), 9 / (x + 15 + 3 * z)


def _dots(number: int, seed: str) -> list[tuple[float, float, str]]:
    found = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+" fill="#(\w{6})"',
                       viewing.plate(number, seed))  # fmt: skip
    return [(float(x), float(y), colour) for x, y, colour in found]


def _saturated(colour: str) -> bool:
    parts = [int(colour[n : n + 2], 16) for n in (0, 2, 4)]
    return max(parts) - min(parts) > 12


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_ring_is_told_by_its_colour_alone_and_is_open_where_its_gap_is() -> None:
    seed = "5/s-0123456789abcdef"
    towards = {"left": (20, 50), "right": (80, 50), "up": (50, 20), "down": (50, 80)}
    for number, (line, gap) in enumerate(zip(PLATES, viewing.plate_gaps(seed), strict=True)):
        dots = _dots(number, seed)
        assert len(dots) > 300
        if line == "control":
            ring = [dot for dot in dots if _luminance(dot[2]) < 0.12]
        else:
            ring = [dot for dot in dots if _saturated(dot[2])]
            # no channel is cut off, so that both have the luminances that were drawn
            for coloured in (True, False):
                own = [_luminance(dot[2]) for dot in dots if _saturated(dot[2]) is coloured]
                assert min(own) > 0.15
                assert max(own) < 0.35
                assert sum(own) / len(own) == pytest.approx(0.25, abs=0.025)
        assert all(20 < math.dist((x, y), (50, 50)) < 36 for x, y, _ in ring)
        nearest = {
            side: min(math.dist((x, y), place) for x, y, _ in ring)
            for side, place in towards.items()
        }
        assert max(nearest, key=lambda side: nearest[side]) == gap


def test_plates_are_a_session_s_own() -> None:
    assert viewing.plate(3, "1/a") == viewing.plate(3, "1/a")
    drawn = {viewing.plate_gaps(f"1/{n}") for n in range(50)}
    assert len(drawn) == 50
    assert {gap for gaps in drawn for gap in gaps} == set(DIRECTIONS)


def test_wrong_plates_are_counted_by_line_without_the_control() -> None:
    right = viewing.plate_gaps("a")
    answers = list(right)
    answers[0] = answers[4] = answers[5] = ""
    found = measured("colour", right=right, answers=answers)
    assert found["wrong"] == found["deutan_wrong"] == 2
    assert found["control_wrong"] == 1
    assert found["protan_wrong"] == found["tritan_wrong"] == 0


def test_limits_judge_whoever_made_the_check() -> None:
    asked = ViewingChecks.model_validate(ALL | {"colour_most_wrong": 2, "acuity_least": 0.8})
    assert not asked.screens_out("colour", {"wrong": 2})
    assert asked.screens_out("colour", {"wrong": 3})
    assert asked.screens_out("acuity", {"acuity": 0.7, "finest": 1.0})
    assert asked.screens_out("acuity", {"acuity": None, "finest": 1.0})
    assert not asked.screens_out("acuity", {"acuity": 0.65, "finest": 0.65})
    assert not asked.screens_out("acuity", {"skipped": True})
    assert not ViewingChecks.model_validate(ALL).screens_out("colour", {"wrong": 9})
    required = ViewingChecks.model_validate({"card": True, "required": True})
    assert required.screens_out("card", {"skipped": True})


def test_what_is_left_out_takes_along_what_needs_it() -> None:
    asked = ViewingChecks.model_validate(ALL)
    assert asked.without("card") == ("card", "distance", "acuity")
    assert asked.without("distance") == ("distance", "acuity")
    assert asked.without("colour") == ("colour",)
    assert ViewingChecks.model_validate({"card": True}).without("card") == ("card",)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"distance": True}, "Set card to true, too, or leave distance out."),
        ({"card": True, "acuity": True}, "Set distance to true, too, or leave acuity out."),
        ({"acuity_least": 0.8}, "Set acuity to true, or leave acuity_least out."),
        ({"colour_most_wrong": 2}, "Set colour to true, or leave colour_most_wrong out."),
        ({"required": True}, "Set a check to true, or leave required out."),
        ({"colour": True, "colour_most_wrong": 9}, "colour_most_wrong"),
        ({"cards": True}, "cards"),
    ],
)
def test_a_design_that_can_t_be_measured_is_refused(keys: dict[str, Any], said: str) -> None:
    content = small().model_dump(mode="json") | {"viewing": {"checks": keys}}
    with pytest.raises(UsageError, match=re.escape(said)):
        StudyDesign.checked(content, "study.toml")


def test_an_unused_key_changes_no_hash_and_checks_take_time() -> None:
    plain, with_checks = small(), small(checks={"card": True})
    assert plain.sha256 == small(checks={}).sha256
    assert plain.sha256 != with_checks.sha256
    assert ViewingChecks.model_validate(ALL).seconds == 240
    frozen = manifest_of(plain_pool(pool=4), METHODS)
    before, after = (check(design, frozen).sittings[0].minutes for design in (plain, with_checks))
    assert after - before == pytest.approx(40 / 60)


def test_data_on_health_are_said_to_need_consent() -> None:
    pool = manifest_of(plain_pool(pool=4), METHODS)
    for checks, named in (
        ({"card": True}, ""),
        ({"colour": True}, "colour vision"),
        (ALL, "acuity"),
    ):
        notes = [note for note in check(small(checks=checks), pool).notes if "health" in note]
        assert [named in note for note in notes] == [True] * bool(named)
