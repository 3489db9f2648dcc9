"""What methods cost: parameters, multiply-adds, time, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sreval.api.given import as_list, named_objects, result_folders
from sreval.errors import ImageError, SrevalError, UsageError, is_out_of_memory, option

if TYPE_CHECKING:
    import pandas as pd

    from sreval.api.benchmarks import Method, Results
    from sreval.methods import Upscaler
    from sreval.report.costs import CostTable
    from sreval.report.scores import ScoreTable


def cost(
    methods: Mapping[str, object] | Sequence[object] | Method,
    *,
    scale: float = 4,
    input: tuple[int, int] | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    tile: int | None = None,
    repeat: int = 5,
    results: Results | Sequence[str | Path] | str | Path | None = None,
    protocol: str | None = None,
    datasets: Sequence[str] | str = (),
    metrics: Sequence[str] | str | None = None,
    progress: bool = True,
) -> CostTable:
    """Measure what each method takes to enlarge one image.

    A method that fails, also when it is opened, stops none of the others; only an unknown name
    stops all at once. ``hr`` and ``published:`` make no images and can't be measured. Ctrl-C ends
    the measurement, and the table holds the methods that were done; where none was,
    KeyboardInterrupt is raised.

    Args:
        methods: as ``benchmark`` takes them.
        scale: the upscaling factor, above 1 and up to 16.
        input: width and height of the LR image; by default that which becomes 1280x720, as papers
            count: 320x180 for a scale of 4.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: of networks: ``fp32`` or ``bf16``.
        tile: side of their tiles in LR pixels, 16 or more; None takes whole images.
        repeat: timed calls of each method, after two that aren't.
        results: folders of results, or a Results, whose mean scores are to stand beside the costs.
            A method's scores are left out where they are of another method of that name, or of
            other settings.
        protocol: of the scores; by default one that all folders have, ``ledig2017`` before others.
        datasets: of the scores; by default all in the results.
        metrics: of the scores; by default all that were computed.
        progress: whether to say on stderr how far it is, and what failed.

    Returns:
        A CostTable: ``frame``, ``failures``, and ``to_latex()`` and so on as of any table.
        ``frame`` holds for each method

            - ``parameters``: shared ones once, batch norm's statistics not;
            - ``multiply_adds``: of convolutions, linear layers, matrix products and attention of
              the network as it is defined;
            - ``seconds``: the median, with ``seconds_least`` and ``seconds_most``;
            - ``memory``: bytes at the peak, beyond what was held before.

            What a method hasn't, or what can't be told, is missing: parameters and multiply-adds
            of interpolations and functions, multiply-adds of ONNX files. The mean of a metric on
            a data set, as ``Results.table`` gives it, is in the column METRIC_DATASET.

    Raises:
        SrevalError: a ValueError, for an argument that makes no sense; an ImageError, where every
            method fails.

    Example:
        >>> import sreval
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
        >>> table = sreval.cost({"ours": net}, scale=2, input=(64, 48), repeat=1, progress=False)
        >>> table.frame[["parameters", "multiply_adds"]].values.tolist()
        [[336, 995328]]
    """
    import click
    import pandas as pd

    from sreval.benchmarking.costs import WARM_UP, Cost, default_size, measure
    from sreval.benchmarking.plan import find_methods
    from sreval.benchmarking.provenance import machine, package_versions
    from sreval.devices import pick_device
    from sreval.images.scales import checked_scale
    from sreval.methods import Running
    from sreval.own_code import apart
    from sreval.progress import progress_line
    from sreval.report.costs import cost_table

    scale = checked_scale(scale)
    size = default_size(scale) if input is None else _checked_size(input)
    if repeat < 1:
        raise UsageError(f"{option('--repeat')} can't be {repeat}.", "Give 1 or more.")
    scores = _scores(results, protocol, scale, datasets, metrics)
    # what an untrained network makes costs the same
    running = Running(pick_device(device), precision, tile, check_range=False)
    asked = methods if isinstance(methods, Mapping) else as_list(methods)
    texts, own = named_objects(asked, "method")
    if not texts:
        raise UsageError("No method is named.", "Name one.")
    aloud = progress and len(texts) > 1  # of a single one the error says all
    costs: list[Cost] = []
    failures: dict[str, str] = {}

    def fail(name: str, error: Exception) -> None:
        failures[name] = _reason(error)
        if aloud:
            click.echo(f"failed: {_named(name, failures[name])}", err=True)

    with apart():
        found = find_methods(texts, own, running, fail)
        left = list(found)
        try:
            with progress_line(len(found) * (WARM_UP + repeat), "cost", "image", progress) as line:
                for place, method in enumerate(found, 1):
                    try:
                        method.require_scale(scale)
                        _require_makes_images(method)
                        costs.append(measure(method, size, scale, running, repeat, line.update))
                    except Exception as error:
                        line.update(place * (WARM_UP + repeat) - line.n)
                        fail(method.name, error)
                    left.remove(method)
        except KeyboardInterrupt:
            if not costs:
                raise
            if progress:
                names = ", ".join(method.name for method in left)
                click.echo(f"Interrupted. Not measured: {names}.", err=True)
    if not costs:
        name, reason = next(iter(failures.items()))
        raise ImageError("No method could be measured.", "" if aloud else _named(name, reason))
    measured = [method for method in found if method.name in {one.method for one in costs}]
    means, notes = _of_these(scores, measured) if scores else (None, [])
    return cost_table(
        pd.DataFrame(costs).astype(
            dict.fromkeys(("parameters", "multiply_adds", "memory", "tile"), "Int64")
        ),
        machine(running.device),
        package_versions(),
        failures,
        [method.name for method in left],
        means,
        notes,
    )


def _scores(
    results: object,
    protocol: str | None,
    scale: float,
    datasets: Sequence[str] | str,
    metrics: Sequence[str] | str | None,
) -> tuple[pd.DataFrame, ScoreTable] | None:
    """The rows of results under one protocol, and the table of their means; None without any."""
    from sreval.api.benchmarks import Results, read_results

    folders = result_folders(results)
    if not folders:
        return None
    from sreval.report.collect import scored, select

    read = results if isinstance(results, Results) else read_results(folders)
    rows = scored(select(read.frame, protocol, scale))
    table = read.table(protocol=protocol, scale=scale, datasets=datasets, metrics=metrics)
    return rows[rows["dataset"].isin(table.frame["dataset"])], table


def _of_these(
    scores: tuple[pd.DataFrame, ScoreTable], methods: Sequence[Upscaler]
) -> tuple[pd.DataFrame, list[str]]:
    """The means of the methods that are what was scored, and what is said of them."""
    from sreval.benchmarking.identity import scored_as_another

    rows, table = scores
    own = {method.name: rows[rows["method"] == method.name] for method in methods}
    others = [m.name for m in methods if scored_as_another(m, own[m.name])]
    lacking = [name for name, of_it in own.items() if of_it.empty]
    protocol = rows["protocol"].iloc[0]
    notes = [f"Scores: means over images under {protocol}."]
    if others:
        notes.append(
            f"Scores left out, which are of another method of that name or of other settings: "
            f"{', '.join(others)}."
        )
    if lacking:
        notes.append(f"Without scores: {', '.join(lacking)}.")
    kept = [name for name in own if name not in others]
    return table.frame[table.frame["method"].isin(kept)], notes


def _require_makes_images(method: Upscaler) -> None:
    from sreval.methods import Upscaler

    if type(method).enlarge is Upscaler.enlarge:
        raise UsageError(
            f"{method.name} makes no images, so there is nothing to measure.", "Leave it out."
        )


def _named(name: str, reason: str) -> str:
    """A method's failure, which names it once."""
    return reason if reason.startswith(f"{name} ") else f"{name}: {reason}"


def _reason(error: Exception) -> str:
    """Why a method failed; an error that isn't the method's is raised again."""
    if isinstance(error, SrevalError):
        return str(error)
    if is_out_of_memory(error):
        return f"There is not enough memory. Name a smaller {option('--input')}."
    raise error


def _checked_size(given: object) -> tuple[int, int]:
    """Width and height. Raises UsageError for anything else than two whole numbers from 1 on."""
    sides = as_list(given)
    if len(sides) == 2 and all(isinstance(side, int) and 0 < side < 2**16 for side in sides):
        return sides[0], sides[1]
    text = "x".join(map(str, sides))
    raise UsageError(
        f"{option('--input')} can't be {text}.",
        f"Give a width and a height from 1 to 65535: {option('320x180', '(320, 180)')}.",
    )
