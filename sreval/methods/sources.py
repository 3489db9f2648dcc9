"""Where networks come from: sreval's weights, spandrel, TorchScript, ONNX, a torch.nn.Module.

torch takes seconds to import, and interpolations are done without it.
"""

from __future__ import annotations

import copy
import io
import pickletools
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sreval import content
from sreval.content import user_path
from sreval.errors import SrevalError, UsageError, WeightsError, briefly_told, install
from sreval.files import sha256_bytes
from sreval.methods.base import IN_PYTHON, Running
from sreval.methods.declarations import NETWORK, Declarations, split_file, written_ends
from sreval.methods.network import (
    NOT_STATED,
    NetworkUpscaler,
    foreign,
    identity_of,
    ready,
    settings_of,
)
from sreval.networks.architecture import OwnArchitecture
from sreval.own_code import code_changes, code_files, code_sha256, is_installed

if TYPE_CHECKING:
    from torch import nn

    from sreval.networks.tensors import Tensors
    from sreval.networks.weights import Provenance

WEIGHTS = "weights.safetensors"
_LICENCES = ("modelspec.license", "license", "licence")
"""Where the metadata of a safetensors file may name its licence."""
_SPANDREL = ("colour", "overlap")
"""What may be declared of a network that spandrel knows; it knows the rest."""


def own_network(spec: str, running: Running) -> NetworkUpscaler:
    """A model from models/, or a weight file that sreval wrote.

    Raises WeightsError when there are no weights or they can't be loaded.
    """
    from sreval.networks.weights import load_model

    path = weights_path(spec).resolve()
    return _loaded(path, running, *load_model(path))


def network_of_class(
    path: Path, running: Running, name: str, given: Mapping[str, Any]
) -> NetworkUpscaler | None:
    """The network of ``python:module:Class`` in a file that sreval wrote; None for another file.

    The file says how it is made and what it takes and returns; its user, who has named the class,
    may declare the same, and the overlap of tiles. Raises UsageError for a declaration that
    contradicts the file, WeightsError for a file that can't be loaded.
    """
    from sreval.networks.weights import FORMAT, load_model, read_metadata, read_provenance

    try:
        if read_metadata(path).get("format") != FORMAT:
            return None
    except WeightsError:
        return None  # it may hold tensors in another form
    architecture = read_provenance(path).architecture
    if architecture.name != name or not isinstance(architecture, OwnArchitecture):
        return None
    stated = {
        "scale": str(architecture.scale),
        "colour": architecture.colour,
        "range": written_ends(architecture.input_range),
        "output_range": written_ends(architecture.output_range),
        "multiple": str(architecture.multiple),
    }
    declared = Declarations.of(dict(given), name, (*stated, "overlap")).beside(stated, path)
    return _loaded(path, running, *load_model(path, architecture), overlap=declared.overlap)


def _loaded(
    path: Path,
    running: Running,
    network: nn.Module,
    provenance: Provenance,
    sha256: str,
    overlap: int | None = None,
) -> NetworkUpscaler:
    """What ``load_model`` found in a file that sreval wrote."""
    from sreval.networks.architecture import parameter_count
    from sreval.networks.inference import Inference

    own = _own_code(provenance)
    inference = Inference.of(
        network,
        provenance.architecture,
        device=running.device,
        precision=running.precision,
        tile=running.tile,
    )
    settings = running.precision + (f", tiles of {running.tile}" if running.tile else "")
    if overlap is not None:
        inference.interface = replace(inference.interface, overlap=overlap)
        settings += f", overlap {overlap}"
    return NetworkUpscaler(
        inference,
        name=provenance.recipe,
        specification=str(path),
        settings=settings,
        identity=["network", sha256, *own.values()],
        facts={
            "network": provenance.architecture.model_dump(mode="json"),
            "parameters": parameter_count(network),
            "weights_sha256": sha256,
            **({"code_sha256": own} if own else {}),
        },
        files={str(path): sha256, **{k: v for name in own for k, v in code_files(name).items()}},
        weights_sha256=sha256,
        # code of the user's own may not bear several threads
        parallel=running.device == "cpu" and not own,
        odd=[
            f"the code of {name} has changed since its weights were trained"
            for name in code_changes(provenance.stages[-1].code if provenance.stages else {}, own)
        ],
    )


def _own_code(provenance: Provenance) -> dict[str, str]:
    """The SHA-256 of the code of a network of the user's own, by its name."""
    shown = provenance.architecture
    return {shown.name: code_sha256(shown.name)} if shown.own else {}


def spandrel_network(text: str, running: Running) -> NetworkUpscaler:
    """``FILE[,overlap=...]``: weights of a network whose architecture spandrel recognises.

    Raises UsageError where spandrel is missing, for what isn't a network from one image to a larger
    one, and for a precision that it can't compute in; WeightsError for a file that can't be read or
    isn't recognised.
    """
    from sreval.networks.architecture import parameter_count
    from sreval.networks.inference import OVERLAP, Interface
    from sreval.networks.tensors import read_any_tensors, require_finite

    path, given = split_file(text, "spandrel")
    declared = Declarations.of(given, f"spandrel:{text}", _SPANDREL)
    path = path.resolve()
    found = read_any_tensors(path)
    require_finite(found, path)
    model, library = _recognised(found, path)
    channels = model.input_channels
    if channels != model.output_channels or channels not in (1, 3):
        raise UsageError(
            f"{path} holds a network from {channels} to {model.output_channels} channels.",
            "Name one that takes and returns 3 channels, or 1.",
        )
    if running.precision == "bf16" and not model.supports_bfloat16:
        raise UsageError(
            f"{path} holds {model.architecture.name}, which can't be computed in bf16.",
            "Use fp32.",
        )
    if declared.colour and (declared.colour in ("rgb", "bgr")) != (channels == 3):
        raise UsageError(
            f"{path} holds a network of {channels} channels, not one of colour={declared.colour}.",
            "Leave the declaration out.",
        )
    sizes = model.size_requirements
    interface = Interface(
        model.scale,
        declared.colour or ("rgb" if channels == 3 else "grey"),
        overlap=OVERLAP if declared.overlap is None else declared.overlap,
        multiple=sizes.multiple_of,
        least=max(1, sizes.minimum),
    )
    inference = foreign(_as_module(model), interface, running)
    architecture = model.architecture
    extra = type(architecture).__module__.startswith("spandrel_extra_arches")
    return NetworkUpscaler(
        inference,
        name=path.stem,
        specification=",".join([f"spandrel:{path}", *declared.written.values()]),
        settings=settings_of(inference, running),
        identity=identity_of(inference, found.sha256, library),
        facts={
            "network": f"{architecture.name} {' '.join(model.tags)}".strip(),
            "purpose": model.purpose,
            "package": library,
            "parameters": parameter_count(model.model),
            "licence": next(
                (found.metadata[key] for key in _LICENCES if key in found.metadata), NOT_STATED
            ),
            "code_licence": "its own, which may forbid commercial use: see spandrel_extra_arches"
            if extra
            else "MIT, Apache 2.0 or public domain, as of all that spandrel brings",
            **_taken(found),
            "weights_sha256": found.sha256,
        },
        files={str(path): found.sha256},
        weights_sha256=found.sha256,
        # CRAFT keeps the size of the image that it is at
        parallel=running.device == "cpu" and architecture.id != "CRAFT",
    )


def torchscript_network(text: str, running: Running) -> NetworkUpscaler:
    """``FILE[,range=...]``: a network that ``torch.jit.save`` wrote.

    Raises WeightsError for a file that can't be read, UsageError for a network that fails on a
    trial image.
    """
    import torch

    from sreval.networks.architecture import parameter_count
    from sreval.networks.tensors import is_torchscript, read_file

    path, given = split_file(text, "torchscript")
    declared = Declarations.of(given, f"torchscript:{text}", NETWORK)
    path = path.resolve()
    data = read_file(path)
    if not is_torchscript(path):
        raise WeightsError(
            f"{path} isn't a network that torch.jit.save wrote.",
            "Export it with torch.jit.trace, or name weights as spandrel:FILE.",
        )
    try:
        with warnings.catch_warnings():
            # torch would have new exports made otherwise; files that are there stay
            warnings.simplefilter("ignore", FutureWarning)
            network = torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # of a damaged file torch raises anything
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise WeightsError(
            f"{path} isn't a readable TorchScript file: {reason}.", "Export it again."
        ) from None
    library = f"torch {torch.__version__}"
    parameters = parameter_count(network)
    return _exported(
        network.eval(), "torchscript", path, declared, running, data, library, parameters
    )


def onnx_network(text: str, running: Running) -> NetworkUpscaler:
    """``FILE[,range=...]``: a network in ONNX, run by onnxruntime.

    A file that sreval exported says itself what it takes. Raises UsageError where onnxruntime is
    missing, for a network that doesn't take and return one image as (1, channels, h, w), for bf16
    and for a declaration that contradicts the file; WeightsError for a file that can't be read.
    """
    from sreval.networks.export import stated
    from sreval.networks.onnx import OnnxNetwork, initializer_count
    from sreval.networks.tensors import read_file

    path, given = split_file(text, "onnx")
    declared = Declarations.of(given, f"onnx:{text}", NETWORK)
    path = path.resolve()
    if running.precision != "fp32":
        raise UsageError(
            f"onnx:{path} is computed as its file says, not in {running.precision}.", "Use fp32."
        )
    data = read_file(path)
    network = OnnxNetwork(data, path, running.device)
    parameters = initializer_count(data)
    said = stated(network.metadata)
    declared = declared.beside(said, path)
    return _exported(
        network,
        "onnx",
        path,
        declared,
        running,
        data,
        network.package,
        parameters,
        network.fixed,
        network.metadata.get("licence", NOT_STATED),
        stated="output_range" in said,
    )


def _exported(
    network: nn.Module,
    kind: str,
    path: Path,
    declared: Declarations,
    running: Running,
    data: bytes,
    library: str,
    parameters: int | None,
    fixed: tuple[int, int] | None = None,
    licence: str = NOT_STATED,
    stated: bool = False,
) -> NetworkUpscaler:
    """A network that lies whole in one file."""
    inference = ready(network, f"{kind}:{path.name}", declared, running, fixed, stated)
    sha256 = sha256_bytes(data)
    return NetworkUpscaler(
        inference,
        name=path.stem,
        specification=",".join([f"{kind}:{path}", *declared.written.values()]),
        settings=settings_of(inference, running),
        identity=identity_of(inference, sha256, library),
        facts={
            "network": kind,
            "package": library,
            **({} if parameters is None else {"parameters": parameters}),
            "licence": licence,
            "weights_sha256": sha256,
        },
        files={str(path): sha256},
        weights_sha256=sha256,
        # onnxruntime has threads of its own
        parallel=running.device == "cpu" and kind == "torchscript",
    )


def module_network(
    module: nn.Module,
    running: Running,
    name: str,
    given: Mapping[str, Any] = {},
    weights: Path | None = None,
) -> NetworkUpscaler:
    """A torch.nn.Module of the running program, with the tensors of ``weights`` if given.

    A copy of it runs in evaluation mode. Where all its code is that of installed packages it is
    known by its weights and settings; of a class of the user's own each run computes its images
    anew. Raises UsageError for a module that can't be copied or fails on a trial image, and for
    declarations that make no sense; WeightsError for weights that aren't its own.
    """
    from sreval.networks.architecture import parameter_count
    from sreval.networks.tensors import fill_from, read_any_tensors

    declared = Declarations.of(dict(given), name, NETWORK)
    try:
        network = copy.deepcopy(module).eval()
    except Exception as error:
        raise UsageError(
            f"{name} can't be copied: {briefly_told(error)}.",
            "Give a function that calls it.",
        ) from error
    taken: dict[str, str] = {}
    if weights is not None:
        found = read_any_tensors(weights)
        fill_from(network, found, weights)
        taken = _taken(found)
    sha256, known = _identity(network)
    inference = ready(network, name, declared, running)
    kind = type(module)
    specification = f"{IN_PYTHON}{kind.__module__}.{kind.__qualname__}"
    return NetworkUpscaler(
        inference,
        name=name,
        specification=f"{specification} of SHA-256 {sha256}" if known else specification,
        settings=", ".join([settings_of(inference, running), *declared.written.values()]),
        identity=identity_of(inference, specification, sha256 if known else ""),
        facts={
            "network": f"{kind.__module__}.{kind.__qualname__}",
            "parameters": parameter_count(network),
            **taken,
        },
        files={},
        weights_sha256=sha256 if known else "",
        parallel=False,
        known=known,
    )


def _recognised(found: Tensors, path: Path) -> tuple[Any, str]:
    """What spandrel makes of the tensors, and the versions of spandrel and its extras."""
    try:
        import spandrel
    except ImportError:
        raise UsageError(
            f"spandrel:{path} needs the package spandrel.", install("community")
        ) from None
    library = f"spandrel {spandrel.__version__}"
    try:
        import spandrel_extra_arches
    except ImportError:
        pass
    else:
        spandrel_extra_arches.install(ignore_duplicates=True)
        library += f", spandrel_extra_arches {version('spandrel_extra_arches')}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how its networks call torch
            model = spandrel.ModelLoader("cpu").load_from_state_dict(found.tensors)
    except spandrel.UnsupportedModelError:
        first = next(iter(found.tensors))
        raise WeightsError(
            f"{path}: {library} recognises no network in its {len(found.tensors)} tensors, such "
            f"as {first!r}.",
            "If you have its code, write python:package.module:Class,weights=FILE.",
        ) from None
    except Exception as error:  # a file can look like a network without being one
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{path}: spandrel can't load it: {type(error).__name__}: {reason}".rstrip(": ") + ".",
            "Get the file again, or write python:package.module:Class,weights=FILE.",
        ) from None
    if not isinstance(model, spandrel.ImageModelDescriptor):
        raise UsageError(
            f"{path} holds {model.architecture.name}, which takes a mask beside its image.",
            "Name a network for super-resolution.",
        )
    return model, library


def _as_module(model: Any) -> nn.Module:
    """spandrel's call, which is each network's own way to one image, as a module."""
    from torch import Tensor, nn

    class Described(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # a copy of the whole is then a copy of both
            self.model, self.network = model, model.model

        def forward(self, low: Tensor) -> Tensor:
            result: Tensor = self.model(low)
            return result

    return Described().eval()


def _taken(found: Tensors) -> dict[str, str]:
    return {"taken_from": found.taken} if found.taken else {}


def _identity(network: nn.Module) -> tuple[str, bool]:
    """SHA-256 of all that the network holds, and whether its code is that of installed packages.

    What is pickled names each class and function that it consists of.
    """
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(network, buffer)
    except Exception:  # of whatever a class of the user's own holds
        return "", False
    with zipfile.ZipFile(buffer) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        operations = list(pickletools.genops(archive.read(member)))
    named = [str(text).split(" ")[0] for code, text, _ in operations if code.name == "GLOBAL"]
    known = all(map(is_installed, named))
    return sha256_bytes(buffer.getvalue()), known and not any(
        code.name in ("STACK_GLOBAL", "INST") for code, _, _ in operations
    )


Source = Callable[[str, Running], NetworkUpscaler]

SOURCES: dict[str, Source] = {
    "spandrel": spandrel_network,
    "torchscript": torchscript_network,
    "onnx": onnx_network,
}
"""By what stands before the colon."""


_ENDINGS = (".safetensors", ".onnx", ".pth", ".pt", ".ckpt")


def is_named_model(spec: str) -> bool:
    """Whether ``spec`` can only be a model's name or its folder."""
    return ":" not in spec and user_path(spec).suffix.lower() not in _ENDINGS


def source_of(spec: str) -> Source | None:
    """What loads a model's name, or a bare file or folder of weights; None for anything else."""
    if spec in content.names("models"):
        return own_network
    path = user_path(spec)
    ending = path.suffix.lower()
    if (path / WEIGHTS).is_file():
        return own_network
    if ending == ".safetensors":
        return own_network if _is_own(path) else spandrel_network
    if ending == ".onnx":
        return onnx_network
    if ending in _ENDINGS:
        from sreval.networks.tensors import is_torchscript

        return torchscript_network if is_torchscript(path) else spandrel_network
    return None


def _is_own(path: Path) -> bool:
    """Whether a file is one that sreval wrote, or none that can be read as anything else."""
    from sreval.networks.weights import FORMAT, read_metadata

    try:
        return read_metadata(path).get("format", "") == FORMAT
    except SrevalError:
        return True


def weights_path(spec: str) -> Path:
    """The weight file of a model's name, its folder or the file itself. Raises WeightsError."""
    path = user_path(spec)
    if path.suffix == ".safetensors":
        return path
    folder = path if (path / WEIGHTS).is_file() else content.find("models", spec)
    if not (folder / WEIGHTS).is_file():
        raise WeightsError(
            f"The model {folder.name} has a recipe but no weights yet: {folder / WEIGHTS}.",
            f"Run `sreval train {folder.name} --data PHOTOGRAPHS`, or name a weight file.",
        )
    return folder / WEIGHTS
