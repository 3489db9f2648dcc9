"""A network as one file for other programs, ONNX or PyTorch's pt2, which says what it takes.

Height, width and batch are free, the numbers fp32; the input is called `lr`, the output `sr`.
Before a file is handed out it is run beside the network.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sreval import __version__
from sreval.devices import exact_fp32
from sreval.errors import UsageError, WeightsError, cut, install
from sreval.networks.inference import Interface
from sreval.networks.onnx import OnnxNetwork

Form = Literal["onnx", "pt2"]
FORMS: tuple[Form, ...] = get_args(Form)

TOLERANCE = 1e-4
"""As far as a file may lie from its network, as a share of the output's range."""

FORMAT = "sreval-export-1"
EXTRA = "sreval.json"
"""The extra file of a pt2 that holds what a file of ONNX has as its metadata."""

_TRIED = ((1, 9, 9), (1, 17, 31), (2, 40, 26))
"""Batch, height and width of the images that a file is checked with."""

_STATED = {
    "scale": "scale",
    "colour": "colour",
    "input_range": "range",
    "output_range": "output_range",
    "multiple": "multiple",
    "least": "least",
    "fixed": "fixed",
    "overlap": "overlap",
}
"""What a file says of itself, and how a user would declare it."""


@dataclass(frozen=True)
class Checked:
    """A file's bytes, what it says of itself, and how it was checked.

    `differences` has a row for each image: `batch`, `height`, `width` and the largest `difference`
    from the network, as a share of the output's range.
    """

    data: bytes
    metadata: dict[str, str]
    differences: list[dict[str, float]]


def exported(
    network: nn.Module, interface: Interface, form: Form, name: str, facts: Mapping[str, str]
) -> Checked:
    """The network in that form, checked; `facts` go into its metadata beside the interface.

    Raises UsageError where packages are missing and for a network that torch can't export,
    WeightsError where the file differs from the network by TOLERANCE or more.
    """
    if form == "onnx":
        _require_onnx(name)
    metadata = {"format": FORMAT, "name": name, **_told(interface), **facts}
    metadata["sreval_version"] = __version__
    with _quietly():
        try:
            plain = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
            program = _program(plain, interface)
            data = (_as_onnx if form == "onnx" else _as_pt2)(program, metadata)
        except Exception as error:  # torch and the network's own code may raise anything
            if _asks_for_values(error):
                torchs, _, _ = _reason(error).partition(" (unhinted")
                raise UsageError(
                    f"{name} can't be exported as {form}: its forward depends on the values of the "
                    f"image, which an export can't hold ({cut(torchs, 120)}).",
                    "Compute what doesn't depend on them, or both ways and choose by torch.where.",
                ) from error
            raise UsageError(
                f"{name} can't be exported as {form}: {_reason(error)}.",
                "Its forward must be made of torch's operations, and must not choose its way by "
                "the values or the size of an image.",
            ) from error
        differences = _compared(plain, data, interface, form, name)
    return Checked(data, metadata, differences)


def stated(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a file's metadata declares, in a user's words; nothing where sreval didn't write it."""
    if metadata.get("format") != FORMAT:
        return {}
    return {word: metadata[key] for key, word in _STATED.items() if key in metadata}


def _told(shown: Interface) -> dict[str, str]:
    told = {
        "scale": str(shown.scale),
        "colour": shown.colour,
        "channels": str(shown.channels),
        "input_range": _ends(shown.input_range),
        "output_range": _ends(shown.output_range),
        "multiple": str(shown.multiple),
        "least": str(shown.least),
        "overlap": str(shown.overlap),
    }
    return told | ({"fixed": "x".join(map(str, shown.fixed))} if shown.fixed else {})


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g}..{ends[1]:g}"


def _require_onnx(name: str) -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        try:
            __import__(package)
        except ImportError:
            raise UsageError(
                f"To export {name} as ONNX, the package {package} is needed.", install("onnx")
            ) from None


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the lines that torch's exporters print, warn of and log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _size(shown: Interface, height: int, width: int) -> tuple[int, int]:
    """A size that the network takes, about `height` and `width` above its least one."""
    if shown.fixed:
        return shown.fixed
    up = shown.multiple
    rows, columns = (up * math.ceil((shown.least - 1 + n) / up) for n in (height, width))
    return rows, columns


def _program(network: nn.Module, shown: Interface) -> torch.export.ExportedProgram:
    # sides that differ, or torch would take them for one and the same
    height, width = _size(shown, 16, 16 + 4 * shown.multiple)
    free = torch.export.Dim.AUTO
    sides = {0: free} if shown.fixed else {0: free, 2: free, 3: free}
    low = torch.zeros(2, shown.channels, height, width)
    program = torch.export.export(network, (low,), dynamic_shapes=(sides,), strict=False)
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # it names this machine's folders
    return program


def _as_onnx(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    import onnx

    made: Any = torch.onnx.export(
        program,
        (),
        input_names=["lr"],
        output_names=["sr"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = made.model_proto
    graph = model.graph
    inner = [node for function in model.functions for node in function.node]
    for part in (graph, *graph.node, *graph.initializer, *inner):
        part.ClearField("metadata_props")
    sides = graph.input[0].type.tensor_type.shape.dim
    names = {sides[at].dim_param: name for at, name in ((0, "batch"), (2, "height"), (3, "width"))}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = re.sub(
                    r"\w+", lambda word: names.get(word[0], word[0]), side.dim_param
                )
    onnx.helper.set_model_props(model, metadata)
    data: bytes = model.SerializeToString()
    return data


def _as_pt2(program: torch.export.ExportedProgram, metadata: dict[str, str]) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={EXTRA: json.dumps(metadata, indent=1)})
    return file.getvalue()


def _loaded(data: bytes, form: Form, name: str) -> Callable[[Tensor], Tensor]:
    """What another program makes of the file."""
    if form == "onnx":
        return OnnxNetwork(data, Path(f"{name}.onnx"), "cpu")
    return torch.export.load(io.BytesIO(data)).module()


@torch.inference_mode()
@exact_fp32()
def _compared(
    network: nn.Module, data: bytes, shown: Interface, form: Form, name: str
) -> list[dict[str, float]]:
    generator = torch.Generator().manual_seed(0)
    black, white = shown.input_range
    extent = shown.output_range[1] - shown.output_range[0]
    rows = []
    try:
        again = _loaded(data, form, name)
        for batch, *sides in _TRIED:
            height, width = _size(shown, *sides)
            low = torch.rand(batch, shown.channels, height, width, generator=generator)
            low = low * (white - black) + black
            # some networks write into their input
            apart = (again(low.clone()) - network(low.clone())).abs().max() / extent
            rows.append(
                {"batch": batch, "height": height, "width": width, "difference": float(apart)}
            )
    except Exception as error:  # whatever is made of the exported network
        raise UsageError(
            f"{name} can't be exported as {form}: the file fails on images of another size than "
            f"it was made with: {_reason(error)}.",
            "Its forward must not choose its way by the size of an image.",
        ) from error
    worst = max(
        rows, key=lambda row: math.inf if math.isnan(row["difference"]) else row["difference"]
    )
    if not worst["difference"] < TOLERANCE:
        raise WeightsError(
            f"{name} as {form} isn't the network: at {worst['width']:.0f}x{worst['height']:.0f} "
            f"pixels it differs by {worst['difference']:.1e} of the output's range, where less "
            f"than {TOLERANCE:.0e} is asked; no file was written.",
            f"Export it in the other form, {' or '.join(one for one in FORMS if one != form)}.",
        )
    return rows


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, the first cause last."""
    yield error
    while error.__cause__ is not None:
        error = error.__cause__
        yield error


def _asks_for_values(error: Exception) -> bool:
    """Whether torch failed as a network needs a number out of a tensor, which has none yet."""
    return any(
        "DataDependent" in type(one).__name__ or "data-dependent" in str(one)
        for one in _causes(error)
    )


def _reason(error: Exception) -> str:
    """The first line that says something of what torch reports on a page."""
    *_, cause = (one for one in _causes(error) if isinstance(one, Exception))
    lines = [line.strip() for line in str(cause).splitlines()]
    said = next((line for line in lines if line), "")
    text = f"{type(cause).__name__}: {said}" if said else type(cause).__name__
    return cut(text, 300).rstrip(".: ")
