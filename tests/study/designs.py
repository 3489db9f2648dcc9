"""Designs and manifests for the tests of plans: made by hand, or drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest, Stimulus

BASE: dict[str, Any] = {
    "name": "made",
    "title": "Made",
    "instructions": "Rate.",
    "raters": 5,
    "seed": 3,
    "consent": {"version": "1", "text": "Yes."},
}
Content = dict[str, Any]


def design_of(methods: Iterable[str], datasets: list[Content], **changes: Any) -> StudyDesign:
    """A design with these methods and data sets and defaults elsewhere."""
    images = {"methods": list(methods), "datasets": datasets}
    return StudyDesign.model_validate({**BASE, "images": images, **changes})


def manifest_of(pool: Mapping[str, Mapping[str, str]], methods: Iterable[str]) -> Manifest:
    """Every method on every image of a pool of data set -> image -> scene."""
    chosen = list(dict.fromkeys(methods))
    return Manifest(
        tuple(
            Stimulus(dataset, image, scene, method, f"{dataset}/{image}/{method}", "", 40, 30)
            for dataset, images in pool.items()
            for image, scene in images.items()
            for method in chosen
        )
    )


def plain_pool(**counts: int) -> dict[str, dict[str, str]]:
    """So many images of each data set, every image a scene of its own."""
    return {
        name: {f"i{k:03}": f"{name}/i{k:03}" for k in range(count)}
        for name, count in counts.items()
    }


@st.composite
def studies(draw: st.DrawFn) -> tuple[StudyDesign, Manifest]:
    """An arbitrary design, often one that can't be met, and the manifest of all it may show."""
    methods = [f"m{k}" for k in range(draw(st.integers(1, 5)))]
    scenes = st.integers(0, 11).map(lambda k: f"scene{k}")
    pool: dict[str, dict[str, str]] = {"pool": {f"p{k}": f"pool{k}" for k in range(6)}}
    datasets: list[Content] = []
    for number in range(draw(st.integers(1, 3))):
        name = f"set{number}"
        shown = draw(st.lists(scenes, min_size=1, max_size=8, unique=True))
        pool[name] = {f"{name}-{k}": scene for k, scene in enumerate(shown)}
        some = draw(st.sets(st.sampled_from(list(pool[name]))))
        without = draw(st.sets(st.sampled_from(methods), max_size=len(methods) - 1))
        datasets.append({"name": name, "images": sorted(some), "without": sorted(without)})
    extra = draw(_around(methods, [*(d["name"] for d in datasets), "pool"]))
    repeats: list[Content] = []
    for part in draw(st.lists(st.sampled_from(datasets), max_size=2)):
        rated = [m for m in methods if m not in part["without"]]
        count = st.integers(1, 2)
        repeat = {"dataset": part["name"], "method": draw(st.sampled_from(rated))}
        repeat |= {
            "images": draw(count),
            "times": draw(count),
            "distance": draw(st.integers(1, 12)),
        }
        repeats.append(repeat)
    design = design_of(
        methods,
        datasets,
        seed=draw(st.integers(0, 2**63 - 1)),
        raters=draw(st.integers(1, 4)),
        subset=draw(st.none() | st.integers(1, 30)),
        repeats=repeats,
        order={
            "scene_distance": draw(st.integers(1, 5)),
            "methods_alternate": draw(st.booleans()),
        },
        sittings={"items": draw(st.integers(1 if _later(extra) else 0, 15))},
        **extra,
    )
    return design, manifest_of(pool, methods)


def _later(extra: Content) -> bool:
    return "later" in extra.get("stabilising", {})


@st.composite
def _around(draw: st.DrawFn, methods: list[str], datasets: list[str]) -> Content:
    """Calibration, warm-up, stabilising items and gold of an arbitrary design."""
    one, name = st.integers(1, 4), st.sampled_from(datasets)
    made: Content = {}
    if draw(st.booleans()):
        anchors = [{"method": methods[0], "score": 1}, {"method": methods[-1], "score": 5}]
        made["calibration"] = {
            "dataset": draw(name),
            "images": draw(one),
            "anchors": anchors[: len(methods)],
        }
    if draw(st.booleans()):
        made["warm_up"] = {"dataset": draw(name), "images": draw(one), "methods": methods[:2]}
    if draw(st.booleans()):
        images, later = draw(one), draw(st.none() | st.just(1))
        opening = {"dataset": draw(name), "images": images, "methods": methods[:2]}
        made["stabilising"] = opening | ({"later": later} if later else {})
    made["gold"] = [
        {
            "dataset": draw(name),
            "method": draw(st.sampled_from(methods)),
            "images": draw(one),
            "low": 1,
            "high": draw(st.integers(1, 5)),
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    if len({(gold["dataset"], gold["method"]) for gold in made["gold"]}) < len(made["gold"]):
        made["gold"].pop()
    return made


def in_languages(content: Content, *codes: str, told: str = "{text}") -> Content:
    """A design's content with texts in further languages: its own, put into ``told``."""
    design = StudyDesign.model_validate(content)

    def texts(code: str) -> Content:
        def say(text: str) -> str:
            return told.format(text=text, code=code)

        made: Content = {
            "title": say(design.title),
            "instructions": say(design.instructions),
            "consent": say(design.consent.text),
            "questions": {
                question.key: {
                    "text": say(question.text),
                    "options": [*map(say, question.options)],
                    "rows": [*map(say, question.rows)],
                }
                for question in design.questions
            },
            "groups": {g.name: say(g.instructions) for g in design.groups if g.instructions},
        }
        if design.comment:
            made["comment"] = say(design.comment.text)
        if not design.task.pair:
            made["words"] = [word and say(word) for word in design.scale.words]
        return made

    return {**content, "texts": {code: texts(code) for code in codes}}
