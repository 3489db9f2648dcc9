"""How large sreval/ is, and how much its rooms know of each other.

Four figures of the Python files below sreval/, for each room and in all:

- lines and files.
- names across rooms: the different names that some other room takes from this one, either by
  `from sreval.room.module import name` or, where the module itself was imported, as
  `module.name`. A name counts once, however many rooms take it.
- names per 1,000 code lines: functions and classes that stand directly in a module. A code line is
  one that is neither empty nor only a comment or docstring.

A room is a folder of sreval/, or a single api.py. The other files directly in sreval/ are one
room, the ground floor.

`python -m benchmarks.house` counts the working tree, `--commit REV` a revision in git.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from benchmarks.timing import ROOT

PACKAGE = "sreval"
GROUND = "ground floor"
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Count:
    """What one room comes to."""

    files: int
    lines: int
    code_lines: int
    names: int
    crossing: int

    @property
    def names_per_thousand(self) -> float:
        """Functions and classes in modules, per 1,000 code lines."""
        return 1000 * self.names / self.code_lines if self.code_lines else 0.0


def of_folder(root: Path) -> dict[str, str]:
    """The Python files below root/sreval: path within root to text."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((root / PACKAGE).rglob("*.py"))
    }


def of_commit(root: Path, revision: str) -> dict[str, str]:
    """The same of a revision. Raises CalledProcessError where git knows no such revision."""

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
        return run.stdout.decode("utf-8")

    listed = git("ls-tree", "-r", "--name-only", revision, PACKAGE).splitlines()
    paths = [path for path in listed if path.endswith(".py")]
    return {path: git("show", f"{revision}:{path}") for path in paths}


def room(path: str) -> str:
    """The room of a file such as `sreval/report/table.py`."""
    parts = PurePosixPath(path).with_suffix("").parts
    return parts[1] if len(parts) > 2 or parts[1:] == ("api",) else GROUND


def count(sources: Mapping[str, str]) -> dict[str, Count]:
    """Every room's figures, and their sums under "total". Sources: path to text."""
    modules = {_module(path): path for path in sources}
    crossing: dict[str, set[str]] = defaultdict(set)
    for path, text in sources.items():
        for home, name in _taken(ast.parse(text), modules):
            if room(modules[home]) != room(path):
                crossing[room(modules[home])].add(f"{home}.{name}")
    counts = {
        each: _count([text for path, text in sources.items() if room(path) == each], crossing[each])
        for each in sorted({room(path) for path in sources})
    }
    sums = [asdict(one) for one in counts.values()]
    return counts | {"total": Count(**{key: sum(one[key] for one in sums) for key in sums[0]})}


def _module(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts).removesuffix(".__init__")


def _count(texts: list[str], crossing: set[str]) -> Count:
    trees = [ast.parse(text) for text in texts]
    return Count(
        files=len(texts),
        lines=sum(text.count("\n") for text in texts),
        code_lines=sum(_code_lines(text, tree) for text, tree in zip(texts, trees, strict=True)),
        names=sum(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            for tree in trees
            for node in tree.body
        ),
        crossing=len(crossing),
    )


def _code_lines(text: str, tree: ast.Module) -> int:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            lines.difference_update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(lines)


def _taken(tree: ast.Module, modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a module takes from others of the package."""
    called: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in modules:
                    called[alias.asname or alias.name] = full
                else:
                    yield str(node.module), alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            home = called.get(node.value.id)
            if home is not None:
                yield home, node.attr


def table(counts: Mapping[str, Count]) -> str:
    """One line a room."""
    heads = "lines", "files", "names across rooms", "names/1,000 code lines"
    lines = [f"{'room':14}{heads[0]:>8}{heads[1]:>7}{heads[2]:>20}{heads[3]:>24}"]
    for name, one in counts.items():
        lines.append(
            f"{name:14}{one.lines:8,}{one.files:7}{one.crossing:20}{one.names_per_thousand:24.1f}"
        )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--commit", metavar="REV", help="a revision in git, not the working tree")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    counts = count(of_commit(ROOT, options.commit) if options.commit else of_folder(ROOT))
    if options.json:
        rounded = {
            name: asdict(one) | {"names_per_thousand": round(one.names_per_thousand, 1)}
            for name, one in counts.items()
        }
        print(json.dumps(rounded, indent=2))
    else:
        print(table(counts))


if __name__ == "__main__":
    main()
