"""README and docs/: links that lead somewhere, commands that exist, a reference that is fresh."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from benchmarks.timing import ROOT
from docs import generate
from sreval.benchmarking.plan import BenchmarkPlan
from sreval.cli import cli
from sreval.images.datasets import UserSet
from sreval.images.degradations import Degradation, known_degradation, open_degradation
from sreval.metrics.metric import METRICS
from sreval.study.design import StudyDesign
from sreval.training.recipe import Recipe

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name / "README.md" for name in ("benchmarks", "models", "studies", "web")),
    ]
)
SPEAKS_OF_DOCS = ("sreval", "benchmarks", "tests", "web", "models", "studies", "examples")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_relative_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    assert [link for link in links(page.read_text("utf-8")) if not leads(page, link)] == []


def links(text: str) -> list[str]:
    """The links of a page that lead to no other site."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found: list[str] = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8"))


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose, re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        numbered = (f"{name}-{i}" for i in itertools.count(1))
        found.add(name if name not in found else next(n for n in numbered if n not in found))
    return found


def test_a_dead_link_and_a_dead_anchor_are_seen(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    assert links("[a](b.md#c) [d](https://e.org)\n```\n[f](g.md)\n```\n") == ["b.md#c"]
    assert leads(page, "CONTRIBUTING.md#the-data")
    assert not leads(page, "CONTRIBUTING.md#the-dates")
    assert not leads(page, "CONTRIBUTE.md")
    assert anchors("# A `b`, c!\n## A b c\n") == {"a-b-c", "a-b-c-1"}


def test_every_page_of_docs_that_is_named_is_there() -> None:
    named = {
        (str(path.relative_to(ROOT)), page)
        for folder in SPEAKS_OF_DOCS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".toml", ".html", ".mjs")
        for page in re.findall(r"(?<![\w/])docs/[\w/-]+\.md\b", path.read_text("utf-8"))
    }
    assert {pair for pair in named if not (ROOT / pair[1]).is_file()} == set()


def test_the_index_leads_to_every_page_of_docs() -> None:
    index = ROOT / "docs" / "index.md"
    reached = {(index.parent / link).resolve() for link in links(index.read_text("utf-8"))}
    assert {*(ROOT / "docs").rglob("*.md")} - {index} <= reached


@pytest.mark.parametrize("name", list(generate.PAGES))
def test_the_reference_is_what_the_code_says(name: str) -> None:
    written = (generate.FOLDER / name).read_text("utf-8")
    assert written == generate.PAGES[name](), "run `make reference`"


@pytest.mark.parametrize("model", [StudyDesign, Recipe, BenchmarkPlan, UserSet, Degradation])
def test_every_key_has_a_meaning(model: type[BaseModel]) -> None:
    for one in [model, *(inner for _, inner, _ in generate.inner_models(model))]:
        assert set(one.model_fields) <= set(generate.field_docs(one)), one.__name__


def test_the_printed_chain_is_the_recipe_of_its_name(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "degradations.md").read_text("utf-8")
    (printed,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "printed.toml").write_text(printed, "utf-8")
    known = known_degradation("real-esrgan")
    assert open_degradation(tmp_path / "printed.toml").sha256 == known.sha256


def test_a_docstring_becomes_markdown() -> None:
    text = "Do ``it``.\n\nArgs:\n    a: first,\n        or not.\n\nMore.\n\n>>> 1 + 1\n2"
    assert generate.markdown(text) == (
        "Do `it`.\n\n**Args**\n\n- `a`: first,\n    or not.\n\nMore.\n\n```pycon\n>>> 1 + 1\n2\n```"
    )


def commands(page: Path) -> Iterator[list[str]]:
    """Every `sreval ...` of the page, in a block or within a line, as words."""
    text = page.read_text(encoding="utf-8")
    in_blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(in_blocks).replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [" ".join(span.split()) for span in re.findall(r"`(sreval [^`]+)`", prose)]
    for line in lines:
        if line.startswith("sreval ") and not line.startswith("sreval COMMAND"):
            words = shlex.split(line, comments=True)
            ends = [i for i, word in enumerate(words) if word in ("|", ">", "<", "&&", "&")]
            yield words[1 : ends[0] if ends else None]


def problem(words: list[str]) -> str:
    """What is wrong with a command's name, options or choices; '' where nothing is.

    Values are not looked at and files not opened: the pages speak of files that aren't here.
    """
    found: click.Command = cli
    rest = [word for word in words if word not in ("...", "…")]
    # click keeps a command's option for help as the first context names it
    context = click.Context(cli, info_name="sreval", **cli.context_settings)
    try:
        while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
            _, chosen, rest = found.resolve_command(context, rest)
            assert chosen is not None
            context = click.Context(chosen, info_name=chosen.name, parent=context)
            found = chosen
        if rest and rest[-1].startswith("-"):
            rest = [*rest, "VALUE"]  # prose names an option without its value
        given, _, _ = found.make_parser(context).parse_args(list(rest))
    except click.UsageError as error:
        return error.format_message()
    for parameter in found.params:
        value = given.get(parameter.name or "")
        values = {*value} if isinstance(value, list) else {value}
        if isinstance(parameter.type, click.Choice):
            wrong = values - {*parameter.type.choices, "VALUE", None}
            if any(isinstance(each, str) for each in wrong):
                return f"{parameter.name} can't be {wrong}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_command_and_option_that_is_printed_exists(page: Path) -> None:
    wrong = {" ".join(words): said for words in commands(page) if (said := problem(words))}
    assert wrong == {}


@pytest.mark.parametrize(
    "line",
    [
        "benchmrk --out results",
        "study frieze mine",
        "table results --basline bicubic",
        "table results --format word",
        "operator add ada --role emperor --study mine",
    ],
)
def test_what_is_misspelt_is_seen(line: str) -> None:
    assert problem(line.split())


def test_the_commands_of_the_pages_are_found() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 80


LISTS = (
    "sreval/cli/benchmark.py",
    "sreval/api/benchmarks.py",
    "docs/reference/vote-files.md",
)


@pytest.mark.parametrize("path", LISTS)
def test_whatever_lists_the_metrics_names_all_of_them(path: str) -> None:
    lines = (ROOT / path).read_text("utf-8").splitlines()
    lists = [line for line in lines if "psnr" in line and "ssim" in line and "lpips" in line]
    assert lists
    assert [
        line for line in lists if not set(METRICS) <= set(re.findall(r"[a-z]+(?:-[a-z]+)*", line))
    ] == []
