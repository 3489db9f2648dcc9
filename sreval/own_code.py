"""A user's own code: imported by name, and what it depends on, the modules that it loads.

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
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import sreval
from sreval.errors import UsageError, told
from sreval.files import sha256_bytes

_BEGUN = time.time()
_INSTALLED = {"site-packages", "dist-packages"}
_NOT_OWN = (Path(sysconfig.get_path("stdlib")).resolve(), Path(sreval.__file__).resolve().parent)


@dataclass(frozen=True)
class _Loaded:
    """A module as it was when it was first seen, and the names that its source imports."""

    module: ModuleType | None
    path: Path
    sha256: str
    imports: frozenset[str]


_loaded: dict[str, _Loaded] = {}
_roots: set[str] = set()
_others: set[str] = set()
"""Modules that were there before any function's were."""

_left: set[str] = set()
"""Modules that were there when the last run ended."""


def load_object(path: str) -> Any:
    """What ``module:name`` is, the current folder searched first. Raises UsageError."""
    module_name, _, function_name = path.partition(":")
    if not function_name:
        raise UsageError(
            f"python:{path} names a module alone.", "Write python:package.module:name."
        )
    here = str(Path.cwd())
    if here in sys.path:
        sys.path.remove(here)
    # It stays there: a function may import its neighbours only when it is called.
    sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no answer of a command
            module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"Can't import {module_name}: {told(error)}.",
            "Install it, or run sreval in the folder that holds it.",
        ) from error
    found = getattr(module, function_name, None)
    if found is None:
        raise UsageError(f"{module_name} has no {function_name!r}.", "Check the name.")
    return found


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


def is_edited() -> str:
    """A file of the user's own that was loaded and has been written to since; "" if there is none.

    As far as that can be told: a file that was written to after this process imported sreval.
    """
    here = Path.cwd()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        path = _own_path(file, here, False) if isinstance(file, str) else None
        with suppress(OSError):
            if path and path.stat().st_mtime > _BEGUN:
                return str(path)
    return ""


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


def code_files(path: str) -> dict[str, str]:
    """SHA-256, by file, of the code of ``python:module:name``; empty where its module has no file.

    It is that module and the user's own modules that it imports, directly or through others, be
    they loaded by now or not.
    """
    root = path.removeprefix("python:").partition(":")[0]
    reached = _reached(root, Path.cwd(), unloaded=True)
    found = {str(seen.path): seen.sha256 for seen in reached.values()}
    return found if root in reached else {}


def code_sha256(path: str) -> str:
    """One SHA-256 of ``code_files``, the same wherever they lie; empty where there are none."""
    files = sorted(f"{Path(file).name} {sha256}" for file, sha256 in code_files(path).items())
    return sha256_bytes("\n".join(files).encode()) if files else ""


def code_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names whose `code_sha256` differs, of those that both know."""
    known = [name for name in sorted(before) if before[name] and now.get(name)]
    return [name for name in known if before[name] != now[name]]


def _reached(root: str, here: Path, unloaded: bool = False) -> dict[str, _Loaded]:
    """The user's own modules that ``root`` imports, with those that these import, and itself.

    Of those that nothing has loaded yet only where they too are asked for.
    """
    found: dict[str, _Loaded] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        seen = _see(name, here, whatever=name == root)
        if seen is None and unloaded and name not in sys.modules:
            seen = _unloaded(name, here, whatever=name == root)
        if seen:
            found[name] = seen
            waiting += seen.imports
    return found


def _unloaded(name: str, here: Path, whatever: bool) -> _Loaded | None:
    """As `_see`, of a module as an import would find it, which runs none of its code."""
    places: Sequence[str] | None = None
    spec = None
    for prefix in _with_packages(name):
        if spec is not None and places is None:
            return None  # a name in a module that is no package
        spec = PathFinder.find_spec(prefix, places)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    path = _own_path(spec.origin, here, whatever) if spec and spec.origin else None
    package = name if places is not None else name.rpartition(".")[0]
    return _read(path, package, None) if path else None


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
    _loaded[name] = _read(path, getattr(module, "__package__", None) or "", module)
    return _loaded[name]


def _read(path: Path, package: str, module: ModuleType | None) -> _Loaded:
    data = path.read_bytes()
    imports = frozenset(_imports(data, package)) if path.suffix == ".py" else frozenset()
    return _Loaded(module, path, sha256_bytes(data), imports)


@cache
def _own_path(file: str, here: Path, whatever: bool) -> Path | None:
    path = Path(file).resolve()
    inside = path.relative_to(here) if here in path.parents else path
    foreign = _INSTALLED & set(inside.parts) or any(place in path.parents for place in _NOT_OWN)
    return path if path.is_file() and (whatever or not foreign) else None


_parsing = threading.Lock()
"""Python 3.11 refuses a source now and then while another thread parses one."""


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Every name that a source may import as a module, wherever in it the import stands."""
    with suppress(SyntaxError, ValueError):
        with _parsing:
            tree = ast.parse(source)
        for node in ast.walk(tree):
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
