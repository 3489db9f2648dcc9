"""README and docs/: links that lead somewhere, commands whose names and options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from benchmarks.timing import ROOT
from sreval.cli import cli

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
)
# Written by `make evidence` and `python -m benchmarks.reproduction`, not by hand.
GENERATED = re.compile(r"(benchmarks/results/\w+|docs/reproduction)\.md$")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [
        link.partition("#")[0]
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if not re.match(r"[a-z]+:|#", link)
    ]
    dead = [
        link
        for link in links
        if not (page.parent / link).exists()
        and not GENERATED.search(str((page.parent / link).resolve()))
    ]
    assert dead == []


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
    context = click.Context(cli, info_name="sreval")
    try:
        while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
            _, chosen, rest = found.resolve_command(context, rest)
            assert chosen is not None
            found, context = chosen, click.Context(chosen, info_name=chosen.name)
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
