"""What methods cost: parameters, multiply-adds, time, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from sreval.api.given import as_list, checked_scale
from sreval.errors import ImageError, SrevalError, UsageError, option

if TYPE_CHECKING:
    from sreval.api.benchmarks import Method
    from sreval.report.costs import CostTable


def cost(
    methods: Mapping[str, object] | Sequence[object] | Method,
    *,
    scale: int = 4,
    input: tuple[int, int] | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    tile: int | None = None,
    repeat: int = 5,
    progress: bool = True,
) -> CostTable:
    """Measure what each method takes to enlarge one image.

    A method that fails stops none of the others. Ctrl-C ends the measurement, and the table holds
    the methods that were done; where none was, KeyboardInterrupt is raised.

    Args:
        methods: as ``benchmark`` takes them.
        scale: the upscaling factor, 2 to 16.
        input: width and height of the LR image; by default that which becomes 1280x720, as papers
            count: 320x180 for a scale of 4.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
        precision: of networks: ``fp32`` or ``bf16``.
        tile: side of their tiles in LR pixels; None takes whole images.
        repeat: timed calls of each method, after one that isn't.
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
            of interpolations and functions, multiply-adds of ONNX files.

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

    from sreval.api.benchmarks import methods_of
    from sreval.benchmarking.costs import WARM_UP, Cost, default_size, measure
    from sreval.benchmarking.plan import find_methods
    from sreval.benchmarking.provenance import machine, package_versions
    from sreval.devices import pick_device
    from sreval.methods import Running
    from sreval.methods.dependencies import apart
    from sreval.progress import progress_line
    from sreval.report.costs import cost_table

    scale = checked_scale(scale)
    size = default_size(scale) if input is None else _checked_size(input)
    if repeat < 1:
        raise UsageError(f"{option('--repeat')} can't be {repeat}.", "Give 1 or more.")
    running = Running(pick_device(device), precision, tile)
    costs: list[Cost] = []
    failures: dict[str, str] = {}
    with apart():
        found = find_methods(*methods_of(methods), running)
        if not found:
            raise UsageError("No method is named.", "Name one.")
        left = list(found)
        try:
            with progress_line(len(found) * (WARM_UP + repeat), "cost", "image", progress) as line:
                for place, method in enumerate(found, 1):
                    try:
                        method.require_scale(scale)
                        costs.append(measure(method, size, scale, running, repeat, line.update))
                    except SrevalError as error:
                        failures[method.name] = str(error)
                        line.update(place * (WARM_UP + repeat) - line.n)
                        if progress:
                            click.echo(f"failed: {method.name}: {error}", err=True)
                    left.remove(method)
        except KeyboardInterrupt:
            if not costs:
                raise
            if progress:
                names = ", ".join(method.name for method in left)
                click.echo(f"Interrupted. Not measured: {names}.", err=True)
    if not costs:
        name, reason = next(iter(failures.items()))
        raise ImageError(f"No method could be measured. {name}: {reason}")
    return cost_table(
        pd.DataFrame(costs).astype(
            dict.fromkeys(("parameters", "multiply_adds", "memory", "tile"), "Int64")
        ),
        machine(running.device),
        package_versions(),
        failures,
        [method.name for method in left],
    )


def _checked_size(given: object) -> tuple[int, int]:
    """Width and height. Raises UsageError for anything else than two whole numbers from 1 on."""
    sides = as_list(given)
    if len(sides) == 2 and all(isinstance(side, int) and 0 < side < 2**16 for side in sides):
        return sides[0], sides[1]
    text = "x".join(map(str, sides))
    raise UsageError(
        f"{option('--input')} can't be {text}.",
        f"Give a width and a height: {option('320x180', '(320, 180)')}.",
    )
