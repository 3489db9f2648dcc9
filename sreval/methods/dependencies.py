"""What a function of a user's own depends on: the modules it loads, the files it names.

Of the modules the user's own count, not Python's and not installed packages: those that the
function's module imports, directly or through others of the user's own, and those below the
working directory that were loaded since but are named in no function's import.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import sreval
from sreval.errors import UsageError, listed
from sreval.files import sha256_bytes
from sreval.methods.declarations import NETWORK

_INSTALLED = {"site-packages", "dist-packages"}
_NOT_OWN = (Path(sysconfig.get_path("stdlib")).resolve(), Path(sreval.__file__).resolve().parent)


@dataclass(frozen=True)
class _Loaded:
    """A module as it was when it was first seen, and the names that its source imports."""

    module: ModuleType
    path: Path
    sha256: str
    imports: frozenset[str]


_loaded: dict[str, _Loaded] = {}
_roots: set[str] = set()
_others: set[str] = set()
"""Modules that were there before any function's were."""

_left: set[str] = set()
"""Modules that were there when the last run ended."""


def split_files(text: str) -> tuple[str, dict[str, Path], dict[str, str]]:
    """``module:name,weights=FILE,scale=2,...``: the name, its files by key, what is declared of it.

    Paths are absolute. A path may contain a comma: the longest reading that is a file counts.
    Raises UsageError for a part that neither names a file nor declares anything, and for a key that
    is given twice.
    """
    name, *parts = text.split(",")
    files: dict[str, Path] = {}
    declared: dict[str, str] = {}
    while parts:
        key, equals, value = parts[0].partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(
                f"Can't read {parts[0]!r} in python:{text}.",
                "Name a file that it reads as in python:module:name,weights=FILE, or declare one "
                f"of {listed(NETWORK, 9)} as in scale=2.",
            )
        if key in files or key in declared:
            raise UsageError(f"python:{text} names {key!r} twice.", "Give each file its own key.")
        if key in NETWORK:
            declared[key], parts = value, parts[1:]
            continue
        for count in range(len(parts), 0, -1):
            path = Path(",".join(parts[:count])[len(key) + 1 :]).expanduser()
            if path.is_file():
                files[key], parts = path.resolve(), parts[count:]
                break
        else:
            raise UsageError(
                f"python:{text} names a file that isn't there: {value!r}.",
                f"Check the path; name files, not folders. To declare: {listed(NETWORK, 9)}.",
            )
    return name, files, declared


def forget_modules() -> None:
    """Let every module that a function has loaded be imported again, with all that it reads.

    Within one process Python would go on with what it has read before. That also holds for modules
    that a run loaded without asking for them, as it was refused or stopped.
    """
    here = Path.cwd()
    for name in set(sys.modules) - _others if _others else ():
        _see(name, here)
    for name, seen in _loaded.items():
        if sys.modules.get(name) is seen.module and name not in _others:
            del sys.modules[name]
    _loaded.clear()
    _roots.clear()
    _others.clear()
    _others.update(sys.modules)
    importlib.invalidate_caches()


@contextmanager
def apart() -> Iterator[None]:
    """A run within a process that goes on: what is imported between two runs is nobody's function.

    Such modules are the process's own, so ``forget_modules`` leaves them.
    """
    _others.update(set(sys.modules) - _left)
    try:
        yield
    finally:
        _left.clear()
        _left.update(sys.modules)


def is_installed(name: str) -> bool:
    """Whether a loaded module is Python's, this package's or an installed package's."""
    if name.partition(".")[0] in {*sys.stdlib_module_names, "__builtin__"}:
        return name != "__main__"
    file = getattr(sys.modules.get(name), "__file__", None)
    return isinstance(file, str) and _own_path(file, Path.cwd(), False) is None


def own_modules(root: str) -> dict[str, str]:
    """SHA-256, by path, of the files of the user's own modules that ``root``'s function loaded.

    A file counts as it was when its module was first seen. Empty where ``root`` has no file.
    """
    here = Path.cwd()
    _roots.add(root)
    if _see(root, here, whatever=True) is None:
        return {}
    named = {name for other in _roots for name in _reached(other, here)}
    late = set(sys.modules) - _others - named
    below = {name for name in late if (seen := _see(name, here)) and here in seen.path.parents}
    names = {*_reached(root, here), *below}
    return {str(_loaded[name].path): _loaded[name].sha256 for name in sorted(names)}


def _reached(root: str, here: Path) -> set[str]:
    """The user's own modules that ``root`` imports, with those that these import, and itself."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        seen = _see(name, here, whatever=name == root)
        if name not in found and seen:
            found.add(name)
            waiting += seen.imports
    return found


def _see(name: str, here: Path, whatever: bool = False) -> _Loaded | None:
    """A loaded module of the user's own (or ``whatever`` module has a file), hashed once."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or not isinstance(file, str):
        return None
    seen = _loaded.get(name)
    if seen and seen.module is module:
        return seen
    path = _own_path(file, here, whatever)
    if path is None:
        return None
    data = path.read_bytes()
    imports = frozenset(_imports(data, module)) if path.suffix == ".py" else frozenset()
    _loaded[name] = _Loaded(module, path, sha256_bytes(data), imports)
    return _loaded[name]


@cache
def _own_path(file: str, here: Path, whatever: bool) -> Path | None:
    path = Path(file).resolve()
    inside = path.relative_to(here) if here in path.parents else path
    foreign = _INSTALLED & set(inside.parts) or any(place in path.parents for place in _NOT_OWN)
    return path if path.is_file() and (whatever or not foreign) else None


def _imports(source: bytes, module: ModuleType) -> Iterator[str]:
    """Every name that a source may import as a module, wherever in it the import stands."""
    package = getattr(module, "__package__", None) or ""
    with suppress(SyntaxError, ValueError):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from _with_packages(alias.name)
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name(
                    "." * node.level + (node.module or ""), package or None
                )
                yield from _with_packages(base)
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: count + 1]) for count in range(len(parts)))
