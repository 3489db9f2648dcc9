"""Plans of pairs and of degradations, counted by brute force over arbitrary designs."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sreval.errors import UsageError
from sreval.images.io import write_png
from sreval.report.study_text import CheckedStudy
from sreval.study.check import check, unfit
from sreval.study.design import StudyDesign, load_design
from sreval.study.exposure import StimulusSet, sides
from sreval.study.freeze import freeze
from sreval.study.manifest import Manifest, Trial
from sreval.study.plan import Item, make_plan
from sreval.study.presentation import Stream
from sreval.study.sources import Available
from tests.study.designs import BASE, Content, design_of, manifest_of, plain_pool
from tests.study.frozen import DESIGN
from tests.study.test_plan import refusal

FOUR = ["nearest", "bicubic", "lanczos", "hr"]
PAIR: Content = {"task": {"kind": "pair"}}
SLOTS = 4


@st.composite
def designs_of_pairs(draw: st.DrawFn) -> tuple[StudyDesign, Manifest]:
    """An arbitrary design of pairs, often one that can't be met, and its manifest."""
    methods = ["hr", *(f"m{k}" for k in range(draw(st.integers(1, 6))))]
    names = [f"set{k}" for k in range(draw(st.integers(1, 3)))]
    pool = plain_pool(**{name: draw(st.integers(1, 8)) for name in names}, pool=4)
    some_out = st.sets(st.sampled_from(methods[1:]), max_size=len(methods) - 2)
    left_out = draw(st.sampled_from([st.just(set[str]()), some_out]))
    datasets = [{"name": name, "without": sorted(draw(left_out))} for name in names]
    some, where = st.integers(1, 3), st.sampled_from(names)
    changes: Content = {"repeats": [], "gold": [], "same": []}
    if draw(st.booleans()):
        part = draw(st.sampled_from(datasets))
        other = draw(st.sampled_from([m for m in methods[1:] if m not in part["without"]]))
        changes["repeats"] = [
            {"dataset": part["name"], "method": "hr", "against": other, "images": 1}
            | {"times": draw(some), "distance": draw(st.integers(1, 8))}
        ]
    if draw(st.booleans()):
        gold = {"method": "hr", "against": methods[1], "images": draw(some)}
        changes["gold"] = [{"dataset": draw(where | st.just("pool")), **gold}]
    if draw(st.booleans()):
        same = {"method": draw(st.sampled_from(methods)), "images": draw(some)}
        changes["same"] = [{"dataset": draw(where), **same}]
    if draw(st.booleans()):
        changes["warm_up"] = {"dataset": "pool", "images": draw(some), "methods": methods[:3]}
        changes["warm_up"]["dataset"] = draw(where | st.just("pool"))
    question = draw(st.sampled_from(["better", "better", "photograph"]))
    design = design_of(
        methods,
        datasets,
        seed=draw(st.integers(0, 2**63 - 1)),
        raters=draw(st.integers(1, 9)),
        task={"kind": "pair", "question": question},
        subset=draw(st.none() | st.integers(2, 30).map(lambda n: n * (len(methods) // 2))),
        order={"scene_distance": draw(st.integers(1, 2))},
        **changes,
    )
    return design, manifest_of(pool, methods)


def trial(item: Item) -> Trial:
    assert item.right_method is not None
    return (item.dataset, item.image, item.method, item.right_method)


def turned(one: Trial) -> Trial:
    return (*one[:2], one[3], one[2])


def cell(one: Trial) -> tuple[str, str, frozenset[str]]:
    return (one[0], one[1], frozenset(one[2:]))


@settings(max_examples=80, deadline=None)
@given(study=designs_of_pairs())
def test_a_plan_of_pairs_is_refused_by_what_check_says_or_holds_every_constraint(
    study: tuple[StudyDesign, Manifest],
) -> None:
    design, manifest = study
    problems = check(design, manifest).problems
    if problems:
        event(problems[0].constraint)
        said = [error for n in range(design.raters) if (error := refusal(design, manifest, n))]
        assert str(said[0]) == str(problems[0].error())
        return
    event(f"feasible, subset {design.subset is not None}")
    shown: Counter[Trial] = Counter()
    before: list[Trial] = []
    for slot in range(SLOTS):
        items = make_plan(design, manifest, slot, slot)
        votes = [trial(item) for item in items if item.kind == "vote"]
        hold_votes(design, votes)
        hold_checks(items)
        hold_distances(design, items)
        if slot % 2:
            assert sorted(map(turned, votes)) == sorted(before)
        before = votes
        shown.update(votes)
        if slot % 2:
            hold_exposures(StimulusSet.of(design, manifest.scenes).voted, shown)


def hold_votes(design: StudyDesign, votes: Sequence[Trial]) -> None:
    assert len({cell(one) for one in votes}) == len(votes)
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for one in votes:
        for name in ((), one[:1], (one[0], *sorted(one[2:]))):
            groups.setdefault(name, []).append(one)
    for some in groups.values():
        hold_sides(some)
    for part in design.images.datasets:
        own = [one for one in votes if one[0] == part.name]
        methods = design.images.methods_of(part.name)
        assert is_connected(methods, own)
        counts = [sum(method in one[2:] for one in own) for method in methods]
        if design.task.question == "better":
            assert max(counts) - min(counts) <= 1
        else:
            assert counts[0] == len(own)
            assert max(counts[1:]) - min(counts[1:]) <= 1


def hold_sides(votes: Sequence[Trial]) -> None:
    left, right = Counter(one[2] for one in votes), Counter(one[3] for one in votes)
    for method in left | right:
        assert abs(left[method] - right[method]) == (left[method] + right[method]) % 2


def is_connected(methods: Sequence[str], votes: Iterable[Trial]) -> bool:
    edges = [(methods.index(one[2]), methods.index(one[3])) for one in votes]
    rows, columns = zip(*edges, strict=True)
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(methods),) * 2)
    return bool(connected_components(graph, directed=False)[0] == 1)


def hold_checks(items: Sequence[Item]) -> None:
    last: dict[object, Item] = {}
    for item in items:
        if item.kind == "repeat":
            assert trial(item) == turned(trial(last[cell(trial(item))]))
        if item.kind in ("vote", "repeat"):
            last[cell(trial(item))] = item
        assert (item.method == item.right_method) == (item.kind == "same")
        if item.kind == "gold":
            better = item.method if item.low == -1 else item.right_method
            assert (item.low, better) == (item.high, "hr")
        else:
            assert item.low is item.high is None
    answers = Counter(item.low for item in items if item.kind == "gold")
    assert abs(answers[-1] - answers[1]) <= 1


def hold_distances(design: StudyDesign, items: Sequence[Item]) -> None:
    warm_up = {item.scene for item in items if item.kind == "warm-up"}
    rating = [item for item in items if item.kind != "warm-up"]
    kept = items if len(warm_up) >= design.order.scene_distance else rating
    for one, other in itertools.combinations(kept, 2):
        apart = other.position - one.position
        if one.scene == other.scene:
            assert apart >= design.order.scene_distance
        if other.kind == "repeat" and cell(trial(one)) == cell(trial(other)):
            assert apart >= design.repeats[0].distance or one.kind == "gold"


def hold_exposures(voted: Iterable[Trial], shown: Counter[Trial]) -> None:
    orders = [(shown[one], shown[turned(one)]) for one in voted]
    assert all(one == other for one, other in orders)
    counts = {one for one, _ in orders}
    assert max(counts) - min(counts) <= 1


@given(
    edges=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("uvwxyz"), st.sampled_from("uvwxyz")),
        max_size=40,
    ),
    seed=st.integers(0, 99),
)
def test_sides_of_any_pairs_are_in_balance(edges: list[tuple[str, str, str]], seed: int) -> None:
    trials = [(d, f"i{k}", *two) for k, (d, *two) in enumerate(edges) if two[0] != two[1]]
    sided = sides(trials, Stream(seed))
    assert list(map(cell, sided)) == list(map(cell, trials))
    hold_sides(sided)
    for name in "ab":
        hold_sides([one for one in sided if one[0] == name])
        for pair in itertools.combinations("uvwxyz", 2):
            hold_sides([one for one in sided if one[0] == name and set(one[2:]) == set(pair)])


def test_either_side_is_as_likely_for_every_method() -> None:
    trials = [("d", "i", a, b) for a, b in itertools.combinations("uvwx", 2)]
    left = Counter(one[2] for seed in range(400) for one in sides(trials, Stream("side", seed)))
    # each is at the left once or twice of three times: a standard deviation of half the root of 400
    assert all(abs(left[method] - 600) < 4 * 10 for method in "uvwx")


@pytest.mark.parametrize(("raters", "subset"), [(1, 6), (4, 6), (5, 6), (9, 12), (7, None)])
def test_judgements_of_a_pair_are_told_as_they_will_be(raters: int, subset: int | None) -> None:
    design = design_of(FOUR, [{"name": "set"}], raters=raters, subset=subset, **PAIR)
    manifest = manifest_of(plain_pool(set=5), FOUR)
    stimuli = StimulusSet.of(design, manifest.scenes)
    seen = Counter(cell(one) for votes in stimuli.seen_in(range(raters)) for one in votes)
    counts = [seen[cell(one)] for one in stimuli.voted]
    found = check(design, manifest)
    assert found.exposures == (min(counts), max(counts))
    assert any("has nobody who judges" in note for note in found.notes) == bool(raters % 2)
    text = CheckedStudy.of("s", design, manifest, found, ()).text
    assert ("in both orders" in text) == (raters > 1)
    assert ("equally often but for the last rater" in text) == (raters > 1 and raters % 2 == 1)
    assert not any(note.startswith("1 raters") or "1 1 " in note for note in found.notes)


def test_a_scale_of_english_words_is_refused_in_another_language() -> None:
    manifest = manifest_of(plain_pool(set=4), FOUR)
    german: Content = {"task": {"kind": "dcr"}, "language": "de"}
    (problem,) = check(design_of(FOUR, [{"name": "set"}], **german), manifest).problems
    assert problem.constraint == "scale.words"
    own = design_of(FOUR, [{"name": "set"}], scale={"words": ["a", "b", "c", "d", "e"]}, **german)
    assert not check(own, manifest).problems


@pytest.mark.parametrize(
    ("question", "title", "noted"),
    [
        ("better", "Which picture looks better?", False),
        ("better", "Which is closer to the original?", True),
        ("photograph", "Which picture looks better?", True),
        ("photograph", "Which is the photograph?", False),
        ("better", "A study of mine", False),
    ],
)
def test_a_title_that_asks_something_else_is_noted(question: str, title: str, noted: bool) -> None:
    task = {"task": {"kind": "pair", "question": question}}
    design = design_of(FOUR, [{"name": "set"}], **task).model_copy(update={"title": title})
    notes = check(design, manifest_of(plain_pool(set=5), FOUR)).notes
    assert any("raters are asked the latter" in note for note in notes) is noted


def test_an_active_plan_is_noted_to_break_what_fixed_plans_promise() -> None:
    design = design_of(FOUR, [{"name": "set"}], subset=15, pairs={"plan": "active"}, **PAIR)
    notes = check(design, manifest_of(plain_pool(set=5), FOUR)).notes
    assert any("tests and intervals for fixed plans don't hold" in note for note in notes)


def test_no_pair_of_methods_follows_itself() -> None:
    design = design_of(FOUR, [{"name": "set"}], **PAIR)
    manifest = manifest_of(plain_pool(set=10), FOUR)
    for rater in range(4):
        items = make_plan(design, manifest, rater, rater)
        pairs = [set(trial(item)[2:]) for item in items]
        assert len(items) == 60
        assert all(one != other for one, other in itertools.pairwise(pairs))


def test_the_plan_of_pairs_of_a_seed_never_changes() -> None:
    """The hash was taken when the algorithm was fixed; another one needs another ALGORITHM."""
    design = design_of(FOUR, [{"name": "set"}, {"name": "two"}], subset=12, **PAIR)
    manifest = manifest_of(plain_pool(set=5, two=9), FOUR)
    plan = [trial(item) for item in make_plan(design, manifest, 3, 7)]
    assert hashlib.sha256(repr(plan).encode()).hexdigest() == (
        "8c384672c00f0bb368fffae978f3e50a30fefd3a5bc05b3afa8722cb0af512c3"
    )


@pytest.mark.parametrize(
    ("methods", "datasets", "subset", "what", "remedy"),
    [
        (
            4,
            [{"name": "set"}],
            7,
            "of 2 pairs each, not 7",
            "Set it to 6, or to another multiple of 2 from 4 on.",
        ),
        (
            4,
            [{"name": "set"}],
            2,
            "don't connect all methods",
            "Set it to 4, or to another multiple of 2 from 4 on.",
        ),
        (
            5,
            [{"name": "set"}, {"name": "two"}],
            6,
            "don't connect all methods",
            "Set it to 8, or to another multiple of 2 from 8 on.",
        ),
        (
            2,
            [{"name": "set"}],
            99,
            "the design only has 9",
            "Set it to 9 or less, or leave it out.",
        ),
        (
            4,
            [{"name": "set"}, {"name": "two", "without": ["m0"]}],
            6,
            "data sets differ",
            "Leave it out, or rate the same number of methods.",
        ),
    ],
)
def test_a_subset_that_leaves_methods_unconnected_is_a_problem(
    methods: int, datasets: list[Content], subset: int, what: str, remedy: str
) -> None:
    names = [f"m{k}" for k in range(methods)]
    manifest = manifest_of(plain_pool(set=9, two=9), names)
    (problem,) = check(design_of(names, datasets, subset=subset, **PAIR), manifest).problems
    assert (problem.constraint, problem.remedy) == ("subset", remedy)
    assert what in problem.what
    if remedy.startswith("Set it to "):
        fit = int(remedy.split()[3].strip(","))
        assert not check(design_of(names, datasets, subset=fit, **PAIR), manifest).problems


@pytest.mark.parametrize("known", [False, True])
def test_a_method_that_nothing_knows_is_a_problem_of_its_block(known: bool) -> None:
    method = "bicubic" if known else "bicubik"
    blocks: Content = {
        "same": [{"dataset": "set", "method": method, "images": 1}],
        "gold": [{"dataset": "set", "method": "hr", "against": method, "images": 1}],
        "warm_up": {"dataset": "set", "images": 2, "methods": ["hr", method]},
    }
    manifest = manifest_of(plain_pool(set=6), FOUR)
    problems = check(design_of(FOUR, [{"name": "set"}], **PAIR, **blocks), manifest).problems
    assert [one.constraint for one in problems] == (
        [] if known else ["warm_up", "gold.0", "same.0"]
    )
    assert all(one.remedy.startswith("Did you mean 'bicubic'?") for one in problems)


def test_keys_of_another_task_are_told_together_and_first() -> None:
    repeat = {"dataset": "set", "method": "hr", "images": 1, "against": "nearest"}
    same = {"dataset": "set", "method": "hr", "images": 1}
    changes: Content = {"repeats": [repeat], "gold": [repeat], "same": [same]}
    with pytest.raises(UsageError) as caught:
        StudyDesign.checked(
            {**BASE, "images": {"methods": FOUR, "datasets": [{"name": "set"}]}, **changes}, "s"
        )
    assert "the same holds of repeats.against, gold.against" in str(caught.value)
    assert "{" not in str(caught.value)
    photograph = {"kind": "pair", "question": "photograph"}
    with pytest.raises(UsageError, match="the question \"photograph\" needs 'hr' among them"):
        StudyDesign.checked(
            {**BASE, "images": {"methods": FOUR[:3], "datasets": [{"name": "set"}]}}
            | {"task": photograph, "repeats": [repeat]},
            "s",
        )


# Degradations


def test_calibration_and_warm_up_keep_the_distance_of_scenes() -> None:
    anchors = [{"method": "nearest", "score": 1}, {"method": "hr", "score": 5}]
    around: Content = {
        "calibration": {"dataset": "set", "images": 2, "anchors": anchors},
        "warm_up": {"dataset": "set", "images": 2, "methods": ["nearest"]},
    }
    design = design_of(FOUR, [{"name": "set"}], task={"kind": "dcr"}, **around)
    manifest = manifest_of(plain_pool(set=4), FOUR)
    for rater in range(20):
        scenes = [item.scene for item in make_plan(design, manifest, rater, rater)]
        assert all(one != other for one, other in itertools.pairwise(scenes))


def test_the_original_stands_beside_every_version_of_its_image() -> None:
    methods, calibration = ["nearest", "bicubic"], [{"method": "nearest", "score": 1}]
    around: Content = {
        "calibration": {"dataset": "pool", "images": 1, "anchors": calibration},
        "warm_up": {"dataset": "pool", "images": 1, "methods": ["nearest"]},
        "gold": [{"dataset": "pool", "method": "hr", "images": 1, "low": 5, "high": 5}],
    }
    task = {"task": {"kind": "dcr"}}
    design = design_of(methods, [{"name": "set"}], **task, **around)
    manifest = manifest_of(plain_pool(set=4, pool=4), FOUR)
    items = make_plan(design, manifest, 0, 0)
    assert Counter(item.kind for item in items)["vote"] == 8
    assert all(item.reference_sha256 == f"{item.dataset}/{item.image}/hr" for item in items)
    shown = set(StimulusSet.of(design, manifest.scenes).shown)
    assert {(*key[:2], "hr") for key in shown} <= shown
    without = replace(
        manifest,
        stimuli=tuple(s for s in manifest.stimuli if (s.dataset, s.method) != ("set", "hr")),
    )
    assert {key[2] for key in check(design, without).missing} == {"hr"}


def test_what_is_frozen_of_a_degradation_holds_the_originals(
    tmp_path: Path, photograph: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "photos" / "ant.png", photograph)
    folder = tmp_path / "small"
    folder.mkdir()
    text = DESIGN.split("[calibration]")[0].replace(', "hr"', "")
    text += '[task]\nkind = "dcr"\n[order]\nscene_distance = 1\n'
    text += '[consent]\nversion = "1"\ntext = "Yes"\n'
    (folder / "study.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    design = load_design(folder)
    manifest = freeze(folder, design, [])
    assert [s.method for s in manifest.stimuli] == ["nearest", "bicubic", "hr"]
    items = make_plan(design, manifest, 0, 0)
    assert {item.reference_sha256 for item in items} == {manifest.stimuli[-1].sha256}


@pytest.mark.parametrize(
    ("task", "width", "height", "fits"),
    [
        ({"kind": "pair"}, 952, 820, True),
        ({"kind": "pair"}, 953, 820, False),
        ({"kind": "pair"}, 952, 821, False),
        ({"kind": "pair", "reference": True}, 952, 820, False),
        ({"kind": "pair", "reference": True, "layout": "toggle"}, 1920, 820, True),
        ({"kind": "dcr"}, 953, 820, False),
        ({"kind": "acr"}, 4000, 4000, True),
    ],
)
def test_what_is_seen_together_must_fit_on_the_screen(
    task: Content, width: int, height: int, fits: bool
) -> None:
    manifest = manifest_of(plain_pool(set=4), FOUR)
    stimuli = tuple(replace(s, width=width, height=height) for s in manifest.stimuli)
    manifest = replace(manifest, stimuli=stimuli)
    design = design_of(FOUR, [{"name": "set"}], task=task)
    found = check(design, None, Available(manifest.scenes))
    told = any("once the study is frozen" in note for note in found.notes)
    assert told == (task["kind"] != "acr")
    problems = check(design, manifest).problems
    assert [p.constraint for p in problems] == ([] if fits else ["viewing.screen"])
    toggled = (
        design_of(FOUR, [{"name": "set"}], task={**task, "layout": "toggle"})
        if problems
        else design
    )
    would = not unfit(StimulusSet.of(toggled, manifest.scenes), manifest)
    assert all(("toggle" in p.remedy) == would for p in problems)


def test_versions_of_two_sizes_are_not_shown_together() -> None:
    manifest = manifest_of(plain_pool(set=4), FOUR)
    odd = replace(manifest.stimuli[0], width=41)
    manifest = replace(manifest, stimuli=(odd, *manifest.stimuli[1:]))
    (problem,) = check(design_of(FOUR, [{"name": "set"}], **PAIR), manifest).problems
    assert "set i000 measure 40 x 30 and 41 x 30" in problem.what


@pytest.mark.parametrize(
    ("unit", "images", "raters", "least"),
    [("both", 1, 5, 5), ("both", 5, 4, 5), ("rater", 4, 2, 3), ("image", 1, 1, 3)],
)
def test_a_pair_that_varies_over_one_of_them_can_not_be_tested(
    unit: str, images: int, raters: int, least: int
) -> None:
    asked: Content = {"analysis": {"unit": unit, "comparisons": [["nearest", "hr"]]}, **PAIR}
    manifest = manifest_of(plain_pool(set=images), FOUR)
    design = design_of(FOUR, [{"name": "set"}], raters=raters, order={"scene_distance": 1}, **asked)
    (problem,) = check(design, manifest).problems
    assert problem.constraint == "analysis"
    assert f"and a test needs {least}" in problem.what
    more: Content = {"raters": least, "order": {"scene_distance": 1}, **asked}
    enough = design_of(FOUR, [{"name": "set"}], **more)
    assert not check(enough, manifest_of(plain_pool(set=least), FOUR)).problems


# Keys that belong to some tasks


GOLD = {"dataset": "set", "method": "hr", "images": 1}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"task": {"layout": "toggle"}}, "it belongs to dcr and pair, and the kind is acr"),
        ({"task": {"kind": "dcr", "reference": True}}, "a dcr always shows the original"),
        ({"task": {"kind": "dcr", "third": "not sure"}}, "it belongs to pair, and the kind is dcr"),
        ({"task": {"question": "closer"}}, "it belongs to pair, and the kind is acr"),
        ({"task": {"kind": "pair", "switch_ms": 200}}, "pictures side by side are not exchanged"),
        ({"task": {"kind": "pair", "question": "closer"}}, "an original that isn't in view"),
        (
            {"task": {"kind": "pair", "question": "photograph", "reference": True}},
            "would tell which",
        ),
        ({"pairs": {"plan": "active"}}, "it belongs to a pair, and the task is acr"),
        ({"same": [{"dataset": "set", "method": "hr", "images": 1}]}, "it belongs to a pair"),
        ({"gold": [{**GOLD, "against": "nearest", "low": 1, "high": 2}]}, "it belongs to a pair"),
        ({"gold": [{**GOLD, "low": 1}]}, "it has no high"),
        ({**PAIR, "gold": [GOLD]}, "a pair needs a second method"),
        ({**PAIR, "gold": [{**GOLD, "against": "hr"}]}, "compared with itself"),
        ({**PAIR, "gold": [{**GOLD, "against": "nearest", "low": 1}]}, "chosen from, not scored"),
        (
            {
                **PAIR,
                "gold": [
                    {**GOLD, "against": "nearest"},
                    {**GOLD, "method": "nearest", "against": "hr"},
                ],
            },
            "have an answer already",
        ),
        ({**PAIR, "repeats": [{**GOLD, "against": "other"}]}, "'other' isn't rated on set"),
        ({**PAIR, "scale": {"line": True}}, "chosen from, not scored"),
        (
            {
                **PAIR,
                "calibration": {
                    "dataset": "set",
                    "images": 1,
                    "anchors": [{"method": "hr", "score": 5}],
                },
            },
            "chosen from, not scored",
        ),
        (
            {**PAIR, "analysis": {"look_before_close": True, "looks": [5]}},
            "chosen from, not scored",
        ),
        (
            {**PAIR, "warm_up": {"dataset": "set", "images": 1, "methods": ["hr"]}},
            "needs two methods",
        ),
        (
            {**PAIR, "warm_up": {"dataset": "set", "images": 1, "methods": ["hr", "hr"]}},
            "given twice",
        ),
        ({**PAIR, "pairs": {"plan": "active"}}, "a rater can't judge all of them"),
        (
            {"task": {"kind": "pair", "question": "photograph"}, "pairs": {"plan": "active"}},
            "leaves no pairs to choose among",
        ),
        (
            {
                "task": {"kind": "pair", "question": "photograph"},
                "gold": [{**GOLD, "method": "nearest", "against": "hr"}],
            },
            "the photograph is 'hr'",
        ),
    ],
)
def test_a_key_of_another_task_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        design_of(FOUR, [{"name": "set"}], **changes)


def test_a_pair_needs_two_methods_on_every_data_set_and_the_photograph_where_it_is_asked() -> None:
    with pytest.raises(ValueError, match="two methods on 'two'"):
        design_of(FOUR, [{"name": "set"}, {"name": "two", "without": FOUR[1:]}], **PAIR)
    photograph = {"task": {"kind": "pair", "question": "photograph"}}
    with pytest.raises(ValueError, match="needs 'hr' among them"):
        design_of(FOUR[:3], [{"name": "set"}], **photograph)
    with pytest.raises(ValueError, match="needs 'hr' on every data set"):
        design_of(FOUR, [{"name": "set", "without": ["hr"]}], **photograph)


def test_defaults_that_are_written_out_change_no_hash() -> None:
    plain = design_of(FOUR, [{"name": "set"}])
    task = {"kind": "acr", "layout": "side", "switch_ms": 0, "reference": False}
    told = design_of(
        FOUR,
        [{"name": "set"}],
        task={**task, "question": "better", "third": ""},
        pairs={"plan": "balanced"},
        same=[],
        viewing={"screen": [1920, 1080]},
    )
    assert told.sha256 == plain.sha256


def test_a_degradation_has_its_own_words_unless_the_design_gives_others() -> None:
    dcr = {"task": {"kind": "dcr"}}
    made = design_of(FOUR, [{"name": "set"}], **dcr)
    assert (made.scale.words[0], made.scale.words[-1]) == ("very annoying", "imperceptible")
    assert StudyDesign.model_validate_json(made.as_json()) == made
    own = design_of(FOUR, [{"name": "set"}], scale={"words": ["seen", "unseen"]}, **dcr)
    assert own.scale.words == ("seen", "unseen")
