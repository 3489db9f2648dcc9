"""The paragraph on an opinion study for a paper's methods section, from its design and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sreval.errors import counted, listed
from sreval.report.methods_text import works_cited
from sreval.report.text import CORRECTIONS

if TYPE_CHECKING:
    from sreval.report.pair_facts import PairFacts
    from sreval.report.study_facts import StudyFacts

GROUPS_DIFFER = (
    "The groups rated different parts: where two methods were rated by different groups, their "
    "difference also holds what differs between the raters of these."
)
_HOLM = {"holm": "Holm's procedure (Holm 1979)"}
_ERRORS = {
    "both": "raters and images as sources of error (Cameron, Gelbach and Miller 2011)",
    "rater": "raters as the source of error",
    "image": "images as the source of error",
}


def of_votes(facts: StudyFacts) -> list[str]:
    """How a study in which pictures are scored was made and analysed, and the works cited."""
    design = facts.data.design
    return _with_works(
        f"Opinion study {design.name}: {design.task}, {design.scale}, on "
        f"×{design.images.scale:g}. Rated: {_rated(facts)}. "
        f"{counted(facts.counts['votes'], 'vote')} of {counted(facts.counts['raters'], 'rater')} "
        f"count. {_languages(facts)}{_groups(facts)}{_tests(facts)}"
    )


def of_pairs(facts: PairFacts) -> list[str]:
    """How a study of pairs was made and analysed, and the works cited."""
    design = facts.data.design
    ties = not facts.data.opinions.empty and bool((facts.data.opinions["choice"] == "tie").any())
    model = (
        "Davidson's model of ties (Davidson 1970)"
        if ties
        else "the Bradley-Terry model (Bradley and Terry 1952)"
    )
    normal = (
        "Thurstone's case V with ties (Thurstone 1927; Glenn and David 1960)"
        if ties
        else "Thurstone's case V (Thurstone 1927)"
    )
    errors = " or ".join(dict.fromkeys(_ERRORS[facts.unit_on(name)] for name in facts.datasets))
    return _with_works(
        f"Opinion study {design.name}: {design.task}, on ×{design.images.scale:g}; answers "
        f"{design.answers}. Compared: {_rated(facts)}; "
        f"{counted(len(facts.data.trials), 'pair')} of pictures, {facts.plan_words}. "
        f"{counted(facts.counts['votes'], 'judgement')} of "
        f"{counted(facts.counts['raters'], 'rater')} count. {_languages(facts)}{_groups(facts)}"
        f"Scale values are those of {model}, in JOD (Perez-Ortiz and Mantiuk 2017) those of "
        f"{normal}, by maximum likelihood. Intervals and tests take {errors}. {_tests(facts)}"
    )


def _rated(facts: StudyFacts | PairFacts) -> str:
    methods_of = facts.data.design.images.methods_of
    return ", ".join(
        f"{name} ({counted(facts.images_of(name), 'image')} by "
        f"{counted(len(methods_of(name)), 'method')})"
        for name in facts.by_paper
    )


def _languages(facts: StudyFacts | PairFacts) -> str:
    """In which languages raters read the study, where it has several."""
    return f"Texts were in {by}. " if (by := facts.raters_by_language) else ""


def _groups(facts: StudyFacts | PairFacts) -> str:
    """The groups between subjects, and what that means for a comparison; "" without them."""
    design = facts.data.design
    if not design.groups:
        return ""
    named = listed([f"{group.name} (planned {group.raters})" for group in design.groups], 20)
    alike = "All groups rated the same." if design.groups_rate_alike else GROUPS_DIFFER
    return f"Raters were in {counted(len(design.groups), 'group')}: {named}. {alike} "


def _tests(facts: StudyFacts | PairFacts) -> str:
    plan = facts.data.design.analysis
    pairs = counted(len(plan.comparisons), "planned pair") if plan.comparisons else "all pairs"
    adjusted = _HOLM.get(plan.correction, CORRECTIONS[plan.correction])
    return (
        f"Tests of {pairs} of methods within each data set: {facts.planned_test}, alpha "
        f"{plan.alpha:g}, {adjusted}."
    )


def _with_works(text: str) -> list[str]:
    return [text, *works_cited(text)]
