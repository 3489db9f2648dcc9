"""Metrics by what a user wrote or gave, made ready; and what those of results folders mean."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from sreval.benchmarking.results import Snapshot
from sreval.content import user_path
from sreval.errors import DataError, UsageError, option, shown, unknown_name
from sreval.files import sha256_bytes, sha256_file
from sreval.methods.base import IN_PYTHON
from sreval.metrics.metric import LIBRARY, METRICS, Metric, declare, is_taken
from sreval.metrics.own import Declaration, OwnMetric, checked_name, of_function
from sreval.metrics.protocol import PROTOCOLS
from sreval.own_code import load_object, own_modules

if TYPE_CHECKING:
    import pandas as pd

_TEXT = re.compile(
    r"(?:(?P<name>(?!(?:python|pyiqa):).*?)=)?(?P<kind>python|pyiqa):(?P<what>.+)", re.DOTALL
)
"""A name, up to the first ``=python:`` or ``=pyiqa:``, and what it names."""


def metrics_of(
    given: Sequence[str], device: str, own: Mapping[str, tuple[str, object]] = {}
) -> tuple[Metric, ...]:
    """The metrics that are named, each once, ready to be computed on ``device`` and declared.

    A text is a key of METRICS or LIBRARY, ``python:module:function`` or ``pyiqa:NAME``, both of
    them with a name before and options behind: ``NAME=python:module:function,better=lower``.
    ``own`` holds a name and an object, a function or an OwnMetric, for a text that stands for it.
    Raises UsageError for what is none of these and for two of one name, DataError for missing
    weights.
    """
    made: dict[str, Metric] = {}
    for text in dict.fromkeys(given):
        name, one = own.get(text, ("", text))
        metric = _named(text, device) if isinstance(one, str) else _object(name, one)
        if metric.key in made:
            raise UsageError(
                f"Two metrics are called {metric.key!r}.",
                f"Give one another name: {option('--metric NAME=METRIC', '{NAME: METRIC}')}.",
            )
        made[metric.key] = metric
        declare(metric)
    return tuple(made.values())


def from_anywhere(text: str) -> str:
    """A metric's text that says the same in every folder: the path of its weights is absolute."""
    found = _TEXT.fullmatch(text)
    _, options = _options(found["what"], text) if found else ("", {})
    if weights := options.get("weights"):
        return text.replace(f"weights={weights}", f"weights={user_path(weights).resolve()}")
    return text


def _named(text: str, device: str) -> Metric:
    if text in METRICS:
        return METRICS[text]
    if text in LIBRARY:
        from sreval.metrics.packages import ready

        return ready(LIBRARY[text], device)
    found = _TEXT.fullmatch(text)
    if not found:
        raise _unknown(text)
    what, options = _options(found["what"], text)
    if found["kind"] == "python":
        key = what.rpartition(":")[2] if found["name"] is None else found["name"]
        return _function(what, options, checked_name(key), text)
    from sreval.metrics.pyiqa import ready as of_pyiqa

    key = what if found["name"] is None else found["name"]
    unknown = set(options) - {"crop"}
    if unknown:
        raise UsageError(
            f"{text}: {min(unknown)}= can't be said of a metric of pyiqa, which says it itself.",
            "Only crop= can be given.",
        )
    declared = Declaration.checked({"crop": "scale", **options}, text)
    if found["name"] is None and is_taken(key):
        raise UsageError(
            f"pyiqa's {what} needs another name here, as {shown(key)} is taken.",
            f"Write p={text}, or any other name before the =.",
        )
    checked_name(key)
    return of_pyiqa(what, key, declared.crop, device)


def _unknown(text: str) -> UsageError:
    """The error for a text that names no metric."""
    name, equals, of = text.rpartition("=")
    if equals and (of in METRICS or of in LIBRARY):
        return UsageError(
            f"{of} can't be called {shown(name)}: only a metric of your own, or of pyiqa, gets "
            "another name.",
            f"Write {of} alone.",
        )
    if of in PROTOCOLS:
        return UsageError(
            f"{of} is a protocol, not a metric.",
            f"Write {option(f'--protocol {of}', f'protocols={of!r}')}.",
        )
    return unknown_name(
        "metric",
        of,
        [*METRICS, *LIBRARY],
        "Or use NAME=python:module:function or pyiqa:NAME.",
    )


def _options(what: str, text: str) -> tuple[str, dict[str, str]]:
    """``function,key=value,...`` as the function and its options; a value may hold commas."""
    function, *parts = what.split(",")
    options: dict[str, str] = {}
    last = ""
    for part in parts:
        key, equals, value = part.partition("=")
        if equals and key.isidentifier():
            if key in options:
                raise UsageError(f"{text} says {key}= twice.", "Say it once.")
            options[key], last = value, key
        elif last == "weights":
            options[last] += f",{part}"
        else:
            raise UsageError(
                f"Can't read {part!r} in {text}.",
                "Write options as in python:module:function,better=lower,low=0.",
            )
    return function, options


def _function(path: str, options: Mapping[str, str], key: str, text: str) -> Metric:
    found = load_object(path)
    if isinstance(found, OwnMetric):
        said = found.declaration.model_dump(exclude_unset=True) | dict(options)
        function = found.function
    else:
        said, function = dict(options), found
    if not callable(function):
        raise UsageError(f"{path} isn't a function.", "Check the name.")
    declared = Declaration.checked(said, text)
    named: dict[str, str] = {}
    if declared.weights is not None:
        if not declared.weights.is_file():
            raise UsageError(f"{text}: {declared.weights} isn't there.", "Check the path.")
        named = {str(declared.weights.resolve()): sha256_file(declared.weights)}
    metric = replace(of_function(function, key, declared), specification=f"python:{path}")
    # A function that names no file may read any: it is another one in each run.
    known = bool(named) and bool(own_modules(path.partition(":")[0]))
    run = "" if known else uuid.uuid4().hex

    elsewhere: dict[str, str] = {}

    def now(loaded: Mapping[str, str] = {}) -> Metric:
        elsewhere.update(loaded)
        here = {**elsewhere, **own_modules(path.partition(":")[0])}
        files = {**dict(sorted(here.items())), **named}  # whichever process saw one first
        content = repr((path, declared.reference, declared.per, declared.crop, files, run))
        sha256 = sha256_bytes(content.encode())
        return replace(metric, files=files, sha256=sha256, known=known, now=now)

    return now()


def _object(name: str, given: object) -> Metric:
    """The metric that an object of the running program is; each run computes it anew."""
    own = given if isinstance(given, OwnMetric) else None
    function = own.function if own else given
    if not callable(function):
        raise UsageError(
            f"An object of type {type(given).__name__} can't be a metric.",
            "Give a name such as psnr, a function of HR and SR, or what sreval.metric returns.",
        )
    key = name or (own.name if own else "") or getattr(function, "__name__", "")
    kind = function if hasattr(function, "__qualname__") else type(function)
    return replace(
        of_function(function, checked_name(key), own.declaration if own else Declaration()),
        specification=f"{IN_PYTHON}{kind.__module__}.{kind.__qualname__}",
        sha256=sha256_bytes(uuid.uuid4().bytes),
        known=False,
    )


def notes_on(metrics: Iterable[Metric]) -> list[str]:
    """What a user is to know of metrics before a run: no direction, another's licence."""
    how = option("better=lower or better=higher", "sreval.metric(..., better=...)")
    undirected = [
        f"{m.key} has no ranks, as whether higher or lower is better isn't said. Say it by {how}."
        for m in metrics
        if m.higher_is_better is None
    ]
    foreign = [m for m in metrics if m.specification.startswith("pyiqa:")]
    return undirected + [f"{m.key}: computed by {m.package}. {m.licence}." for m in foreign]


def declare_metrics(frame: pd.DataFrame, snapshots: Iterable[Snapshot]) -> None:
    """Let ``metric_of`` know what ``snapshots``, which ``frame`` is of, say of its metrics.

    Raises DataError where rows of one key come from two metrics.
    """
    used: dict[str, dict[str, str]] = {}
    for key, sha256, folder in dict.fromkeys(
        map(tuple, frame[["metric", "metric_sha256", "folder"]].to_numpy())
    ):
        used.setdefault(key, {})[sha256] = folder
    manifests = [one.metrics for one in snapshots]
    for key, folders in used.items():
        known = [one for manifest in manifests for one in manifest.get(key, ())]
        found = list({one.sha256: one for one in known if one.sha256 in folders}.values())
        for one, other in combinations(found, 2):
            if key not in METRICS and not (one.may_be(other) and other.may_be(one)):
                raise DataError(
                    f"These results hold two metrics called {key}: {one} in "
                    f"{folders[one.sha256]} and {other} in {folders[other.sha256]}, which differ.",
                    "Run one of the benchmarks again, or give its metric another name: "
                    f"{option('--metric NAME=METRIC', '{NAME: METRIC}')}.",
                )
        for one in known:
            declare(one)
