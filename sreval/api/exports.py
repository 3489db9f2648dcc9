"""Networks as files for other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sreval.errors import UsageError, check_name, option

if TYPE_CHECKING:
    from sreval.api.benchmarks import Method

_FORMS = ("onnx", "pt2")


@dataclass(frozen=True)
class ExportedModel:
    """A network that was written to a file, and how the file was checked.

    Attributes:
        path: the file.
        sha256: of the file.
        metadata: what the file says of itself: ``name``, ``scale``, ``colour``, ``channels``,
            ``input_range`` and ``output_range`` (the values of black and white), what sizes it
            takes, ``weights_sha256``, ``sreval_version`` and, where they are known, the licences.
        differences: a dict an image it was checked with, of ``batch``, ``height``, ``width`` and
            ``difference``, the largest from the network as a share of the output's range.
    """

    path: Path
    sha256: str
    metadata: dict[str, str] = field(repr=False)
    differences: list[dict[str, float]]


def export_model(
    model: Method,
    out: Path | str | None = None,
    *,
    format: Literal["onnx", "pt2"] | None = None,
    replace: bool = False,
    progress: bool = True,
) -> ExportedModel:
    """Write a network as ONNX, or as PyTorch's pt2, for other programs.

    Height, width and batch are free; the numbers are fp32; the input is called ``lr``, the output
    ``sr``. The file is run beside the network at three sizes, and written only where it differs by
    less than 1e-4 of the output's range. ``benchmark`` takes a file of ONNX as ``onnx:FILE``, with
    nothing to declare. ONNX needs the packages of the extra ``onnx``; PyTorch reads pt2 by
    ``torch.export.load``.

    Args:
        model: a model's name, or a network as ``benchmark`` takes it: a file of weights,
            ``spandrel:FILE``, ``python:package.module:Class``, a torch.nn.Module.
        out: the file; by default NAME.onnx or NAME.pt2 in the current folder.
        format: ``onnx`` or ``pt2``; by default what the ending of ``out`` says.
        replace: write over a file that is there already.
        progress: whether to say on stderr what is done, as it takes up to some minutes.

    Returns:
        An ExportedModel: the ``path``, the ``metadata`` and the ``differences``.

    Raises:
        SrevalError: a UsageError, where the file exists, packages are missing, or torch can't
            export the network; a WeightsError, where the file would differ from the network; a
            DataError, where it can't be written.

    Example:
        >>> import sreval
        >>> made = sreval.export_model("espcn", "espcn.pt2")
        >>> made.metadata["colour"], made.metadata["output_range"]
        ('luma', '-0.5..0.5')
    """
    import click

    from sreval.content import user_path
    from sreval.files import sha256_bytes, write_atomic
    from sreval.methods import method_of

    path = None if out is None else user_path(out)
    ending = "" if path is None else path.suffix.lower().removeprefix(".")
    chosen = format or ending
    if not chosen:
        raise UsageError("Nothing says as what to export it.", _remedy())
    check_name("format", chosen, _FORMS, _remedy())
    if ending in _FORMS and ending != chosen:
        raise UsageError(f"{path} isn't the name of a file of {chosen}.", f"End it in .{chosen}.")
    if path is not None:
        _require_new(path, replace)
    method = method_of(model)
    path = path or Path(f"{Path(method.name).name}.{chosen}")
    _require_new(path, replace)
    if progress:
        click.echo(
            f"Exporting {method.name} as {chosen} and checking the file; a deep network may take "
            "minutes.",
            err=True,
        )
    made = method.exported("onnx" if chosen == "onnx" else "pt2")
    write_atomic(path, made.data)
    return ExportedModel(path, sha256_bytes(made.data), made.metadata, made.differences)


def _remedy() -> str:
    onnx, pt2 = (option(f"--{form}", f"format={form!r}") for form in _FORMS)
    return f"Give {onnx} or {pt2}."


def _require_new(path: Path, replace: bool) -> None:
    if path.is_dir() or (path.exists() and not replace):
        remedy = "Name a new file"
        if not path.is_dir():
            remedy += f", or add {option('--replace', 'replace=True')}"
        raise UsageError(f"{path} exists already.", f"{remedy}.")
