"""What a caller gave, in the one form that the rooms take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sreval.errors import UsageError


def as_list(given: Any) -> list[Any]:
    """What may be named alone or in a list."""
    alone = isinstance(given, str) or not isinstance(given, Iterable)
    return [given] if alone else list(given)


def names_of(given: object) -> tuple[str, ...]:
    """Each as text; what stands alone is one name, a text not its letters."""
    return tuple(map(str, as_list(given)))


def named_objects(given: object, kind: str) -> tuple[list[str], dict[str, tuple[str, object]]]:
    """Methods or metrics as a plan's texts, and those of them that are objects, by their text."""
    if isinstance(given, Mapping):
        pairs = [(str(name), one) for name, one in given.items()]
    else:
        pairs = [("", one) for one in as_list(given)]
    texts: list[str] = []
    own: dict[str, tuple[str, object]] = {}
    for name, one in pairs:
        if isinstance(one, str | Path):
            text = f"{name}={one}" if name and name != str(one) else str(one)
        else:
            own_name = getattr(one, "name", "") or getattr(one, "__name__", type(one).__name__)
            text = name or str(own_name)
        if text in own:
            raise UsageError(
                f"Two {kind}s are called {text!r}.",
                f"Give one another name: {{NAME: {kind.upper()}}}.",
            )
        texts.append(text)
        if name or text != str(one):
            own[text] = (name, one)
    return texts, own


def is_frame(given: object) -> bool:
    """Whether it is a DataFrame; whoever has one has loaded pandas."""
    import sys

    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def kind_of(given: object) -> str:
    """A value in an error: None as itself, anything else by its type."""
    return "None" if given is None else f"of the type {type(given).__name__}"


def to_a_file(given: object) -> str:
    """The remedy for the name of a file where a figure's kind or data set is asked for."""
    name = str(given)
    drawing = Path(name).suffix.lower() in (".png", ".svg", ".pdf")
    return f"figure(...).savefig({name!r}) writes a file." if drawing else ""


def result_folders(results: object) -> list[Path]:
    """The folders of benchmark results: of a path, a Results, or a list of these."""
    from sreval.content import user_path

    if results is None:
        return []
    if isinstance(results, str | Path):
        return [user_path(results)]
    if isinstance(results, Iterable):
        return [folder for each in results for folder in result_folders(each)]
    if hasattr(results, "folders"):
        return list(results.folders)
    raise UsageError(
        f"results can't be {type(results).__name__}.",
        "Give a folder of results, or what sreval.benchmark returned.",
    )
