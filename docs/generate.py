"""Write docs/reference/{api,command-line,configuration}.md from the code they describe, and the
figures of docs/scale.md from the results.

`python -m docs.generate`, or `make reference`. The API's pages come from what `import sreval`
offers and its docstrings, the commands' from click, the files' keys from the models that read
them and the strings below their fields.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import BaseModel

import sreval
from docs import figures
from sreval.benchmarking.plan import BenchmarkPlan
from sreval.cli import cli
from sreval.images.datasets import UserSet
from sreval.images.degradations import Degradation
from sreval.study.design import StudyDesign
from sreval.training.recipe import Recipe

FOLDER = Path(__file__).resolve().parent / "reference"
_WIDTH = 100
_NOTE = "<!-- Written by `python -m docs.generate`: change the code that it describes. -->"


def api() -> str:
    """Every public name of the package, with its signature and docstring."""
    lines = [
        "# The Python API",
        _NOTE,
        "`import sreval` offers these names. Every command of "
        "[the command line](command-line.md) makes one of these calls.",
    ]
    for name in sorted(sreval.__all__, key=str.lower):
        found = getattr(sreval, name)
        if name.startswith("__"):
            continue
        lines += [f"## {name}", *_described(f"sreval.{name}", found)]
        if inspect.isclass(found):
            for member, of_class in _members(found):
                lines += [f"### {name}.{member}", *_described(f"{name}.{member}", of_class)]
    return _page(lines)


def _members(of: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that the class itself defines, in the order of its text."""
    for name, value in vars(of).items():
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
            yield name, plain


def _described(name: str, of: Any) -> list[str]:
    text = markdown(inspect.getdoc(of) or "")
    if isinstance(of, property) or (inspect.isclass(of) and issubclass(of, Exception)):
        return [text]
    return [f"```python\n{_call(name, inspect.signature(of))}\n```", text]


def _call(name: str, signature: inspect.Signature) -> str:
    """A signature, a parameter a line where one line would be too long."""
    told: list[str] = []
    kinds: list[object] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.kind not in kinds:
            told.append("*")
        kinds.append(parameter.kind)
        if parameter.name != "self":
            told.append(_parameter(parameter))
    empty = signature.return_annotation is signature.empty
    returned = "" if empty else f" -> {_unquoted(signature.return_annotation)}"
    whole = f"{name}({', '.join(told)}){returned}"
    if len(whole) <= _WIDTH:
        return whole
    return "\n".join([f"{name}(", *(f"    {one}," for one in told), f"){returned}"])


def _parameter(of: inspect.Parameter) -> str:
    stars = "*" if of.kind is of.VAR_POSITIONAL else "**" if of.kind is of.VAR_KEYWORD else ""
    annotation = "" if of.annotation is of.empty else f": {_unquoted(of.annotation)}"
    written = "..." if callable(of.default) else repr(of.default)
    default = "" if of.default is of.empty else f" = {written}"
    return f"{stars}{of.name}{annotation}{default}"


def _unquoted(annotation: object) -> str:
    """An annotation as it is written; with annotations from __future__ it is text already."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):$", re.MULTILINE)


def markdown(docstring: str) -> str:
    """A docstring as Markdown: sections as bold words, their entries as lists, examples as code."""
    first, *rest = _SECTION.split(docstring)
    parts = [_prose(first)]
    for head, body in zip(rest[::2], rest[1::2], strict=True):
        inside, after = _indented(body)
        parts.append(f"**{head}**")
        entries = head in ("Args", "Attributes", "Raises")
        parts.append(_prose(_listed(inside) if entries else inside))
        parts.append(_prose(after))
    return "\n\n".join(part for part in parts if part)


def _indented(body: str) -> tuple[str, str]:
    """What is indented at the beginning of a section, and what follows it."""
    lines = body.strip("\n").splitlines()
    end = next((i for i, line in enumerate(lines) if line and line[0] != " "), len(lines))
    return textwrap.dedent("\n".join(lines[:end])), "\n".join(lines[end:])


def _listed(text: str) -> str:
    return re.sub(r"^(\*{0,2}\w+): ", r"- `\1`: ", text, flags=re.MULTILINE)


def _prose(text: str) -> str:
    """Text whose ``code`` has Markdown's one mark and whose examples are fenced."""
    text = text.strip("\n").replace("``", "`")
    example = re.compile(r"^([ ]*)>>> .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
    return example.sub(lambda m: f"{m[1]}```pycon\n{m[0]}\n{m[1]}```", text)


def command_line() -> str:
    """Every command's help, as it is printed on a wide terminal."""
    lines = [
        "# The command line",
        _NOTE,
        "What `sreval COMMAND --help` prints. All commands have these exit codes: 0, all done; 1, "
        "failed; 2, the command line or a configuration is wrong; 3, done, but some images failed "
        "or some values are missing; 130, interrupted.",
        *_helped("sreval", cli, None),
    ]
    return _page(lines)


def _helped(name: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    settings = {**command.context_settings, "terminal_width": _WIDTH}
    own = click.Context(command, info_name=name, parent=parent, **settings)
    yield f"{'##' if parent is None or parent.parent is None else '###'} {own.command_path}"
    yield f"```text\n{command.get_help(own).rstrip()}\n```"
    if isinstance(command, click.Group):
        for each in command.list_commands(own):
            found = command.get_command(own, each)
            if found is not None and not found.hidden:
                yield from _helped(each, found, own)


_FILES: tuple[tuple[str, type[BaseModel], str], ...] = (
    (
        "study.toml",
        StudyDesign,
        "The design of a study, in `studies/NAME/`. "
        "[studies/ledig2017](../../studies/ledig2017/study.toml) has every key with a comment; "
        "`sreval study schema` prints the schema for editors.",
    ),
    (
        "recipe.toml",
        Recipe,
        "A model's way from photographs to weights, in `models/NAME/`. A table `[profiles.NAME]` "
        "holds what a profile changes, as tables or as dotted keys; `sreval train --profile NAME` "
        "chooses one and `--set KEY=VALUE` changes one key.",
    ),
    ("plan.toml", BenchmarkPlan, "What `sreval benchmark --plan plan.toml` is to do."),
    (
        "A data set",
        UserSet,
        "A TOML file that `--dataset FILE` names. Folders are relative to the file.",
    ),
    (
        "A degradation",
        Degradation,
        "A TOML file that `sreval benchmark --degrade FILE` names. Its steps are tables "
        "`[[steps]]`, each with its `step`. Where a key takes a number or a range, "
        "`quality = [30, 95]` draws one for each image. "
        "[Degradations](../how-to/degradations.md) has an example.",
    ),
)


def configuration() -> str:
    """The keys of every TOML file that sreval reads."""
    lines = [
        "# Files in TOML",
        _NOTE,
        "An unknown key is refused. The message names the file, the field, the bad value and the "
        "remedy. A key without a default must be there.",
    ]
    for title, model, about in _FILES:
        lines += [f"## {title}", about, *_tables(model)]
    return _page(lines)


def _tables(model: type[BaseModel]) -> Iterator[str]:
    """A table of keys for the model, then one for every model within it."""
    schema = model.model_json_schema()
    yield _table(model, schema)
    shown = set[type[BaseModel]]()
    for key, inner, repeated in inner_models(model):
        if "step" in inner.model_fields and inner in shown:
            continue  # a step is the same within a shuffle
        shown.add(inner)
        tag = {"network": "name", "steps": "step"}.get(key)
        known = get_args(inner.model_fields[tag].annotation) if tag else ()
        # of a network of the user's own any name
        one_of = f', {tag} = "{(*known, "python:module:Class")[0]}"' if tag else ""
        yield f"### `[[{key}]]`{one_of}" if repeated else f"### `[{key}]`{one_of}"
        yield _prose(inspect.getdoc(inner) or "")
        yield _table(inner, schema["$defs"][inner.__name__])


def inner_models(
    model: type[BaseModel], prefix: str = ""
) -> Iterator[tuple[str, type[BaseModel], bool]]:
    """(dotted key, model, whether it is a list) of every model within a model, in order.

    NAME stands for the keys of a table that the user names.
    """
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}.NAME" if get_origin(field.annotation) is dict else prefix + name
        for inner in _models(field.annotation):
            if inner is Degradation:
                continue  # it has a section of its own
            yield key, inner, "tuple[" in str(field.annotation)
            yield from inner_models(inner, f"{key}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)


def _table(model: type[BaseModel], schema: Mapping[str, Any]) -> str:
    meanings = field_docs(model)
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        kind = _kind(schema["properties"][name])
        default = (
            "" if field.is_required() else _default(field.get_default(call_default_factory=True))
        )
        rows.append(f"| `{name}` | {kind} | {default} | {meanings.get(name, '')} |")
    return "\n".join(rows)


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field of a model, its base classes included."""
    found: dict[str, str] = {}
    for of in reversed(model.__mro__):
        if not (issubclass(of, BaseModel) and of.__module__.startswith("sreval")):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(of))).body
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _default(value: object) -> str:
    """A default as TOML, or in a word where TOML has none."""
    if value is None:
        return "absent"
    if isinstance(value, BaseModel):
        return "that of its keys"
    if value == {}:
        return "empty"
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value)}`"


def _kind(of: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in of:
        return "table"
    if "oneOf" in of or "anyOf" in of:
        kinds = [_kind(one) for one in of.get("oneOf", of.get("anyOf", ()))]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    if "enum" in of or "const" in of:
        values = of.get("enum", [of.get("const")])
        return " or ".join(f"`{json.dumps(one)}`" for one in values)
    if "prefixItems" in of:
        kinds = [_kind(one) for one in of["prefixItems"]]
        if len(set(kinds)) > 1:
            return f"list of {' and '.join(kinds)}"
        return f"list of {len(kinds)} {kinds[0]}s"
    if of["type"] == "array":
        many = re.sub(
            r"^(whole number|number|text|table|list)", r"\1s", _kind(of["items"]), count=1
        )
        return f"list of {many}" + (", at least one" if of.get("minItems") else "")
    if of["type"] == "object":
        inner = of["additionalProperties"]
        if inner is True:
            return "table"
        return f"table of {'table' if '$ref' in inner else _WORDS[inner['type']]}s"
    return of.get("format") or _WORDS[of["type"]] + _bounds(of)


_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true` or `false`",
    "null": "null",
}


def _bounds(of: Mapping[str, Any]) -> str:
    above = of.get("exclusiveMinimum")
    low = above + 1 if of["type"] == "integer" and above is not None else of.get("minimum")
    told = []
    if low is not None:
        told.append(f"from {low:g}")
    elif above is not None:
        told.append(f"above {above:g}")
    if "maximum" in of:
        told.append(f"to {of['maximum']:g}")
    if "exclusiveMaximum" in of:
        below = of["exclusiveMaximum"]
        told.append("below 2^63" if below == 2**63 else f"below {below:g}")
    return "".join(f" {one}" for one in told)


def _page(parts: list[str]) -> str:
    text = "\n\n".join(part for part in parts if part)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "api.md": api,
    "command-line.md": command_line,
    "configuration.md": configuration,
    "../scale.md": figures.page,
}


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
