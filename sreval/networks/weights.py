"""Weight files: safetensors whose metadata says what they hold and where they came from.

A file that sreval writes carries the SHA-256 of its own content, and a published model's card that
of the file; both are checked whenever it is read. A file without either loads unchecked.

Matrices and kernels that are trained may be kept in half precision. Vectors (biases, batch norm),
buffers, and what leaves the range of fp16, as the variances of batch norm do, stay as they are.
What a file says of itself is read without torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open

from sreval.config import validated
from sreval.errors import UsageError, WeightsError
from sreval.files import sha256_bytes, write_atomic
from sreval.networks.architecture import Architecture, ModelFile
from sreval.networks.recipes import recipe_networks
from sreval.own_code import code_changes, code_sha256
from sreval.reading import from_json, read_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = "sreval-weights-1"
_MOST_BYTES = 4 * 2**30
GIVEN = "the network was given in Python"
"""How the note begins that says where a run's network came from, if not from its recipe."""
_SEAL = "content_sha256"
"""The field of the metadata that holds the SHA-256 of everything else in the file."""


class Stage(BaseModel):
    """One training run on the way to some weights. Hashes are SHA-256.

    `started_from` is that of the weight file it began with, empty for scratch; `changes` are what
    was set over the profile; `vgg_factor` is what the VGG terms were multiplied by. What earlier
    versions didn't keep is empty or 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    updates: int
    batch: int = 0
    crop: int = 0
    seconds: float = 0.0
    profile: str = ""
    changes: dict[str, Any] = Field(default_factory=dict)
    recipe_sha256: str = ""
    started_from: str = ""
    data_sha256: str = ""
    photographs: int = 0
    hardware: str = ""
    vgg_factor: float = 1.0
    code: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of the user's own code, by the name of the network or the loss term."""


class Provenance(BaseModel):
    """What a weight file says of itself. Hashes are SHA-256; `data` that of the data manifest.

    `stages` are all training runs that led to the weights, the last one's included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: Architecture
    recipe: str
    recipe_sha256: str
    data_sha256: str
    step: int
    code_version: str
    notes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


def write_weights(
    path: Path, network: nn.Module, provenance: Provenance, dtype: Literal["fp16", "fp32"] = "fp32"
) -> None:
    """Write a network and its provenance to `path`, whole or not at all.

    fp16 is that of trained matrices and kernels in its range alone. Raises WeightsError when a
    value is not finite, DataError when the disk is full.
    """
    tensors = dict(network.state_dict())
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{path}: tensor {name!r} is not finite; not written.")
    if dtype == "fp16":
        for name, parameter in network.named_parameters(remove_duplicate=False):
            if parameter.requires_grad and name in tensors and _fits_fp16(tensors[name]):
                tensors[name] = tensors[name].half()
    low, high = provenance.architecture.output_range
    metadata = {
        "format": FORMAT,
        "output_range": f"{low:g}..{high:g}",
        "scale": str(provenance.architecture.scale),
        "dtype": dtype,
        **{
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in provenance.model_dump(mode="json").items()
        },
    }
    write_atomic(path, serialise(tensors, metadata))


def read_provenance(path: Path) -> Provenance:
    """What the file at `path` says of itself; see `load_network` for the errors."""
    return _provenance(path, read_metadata(path))


def load_network(path: Path, expected: Architecture | None = None) -> tuple[nn.Module, Provenance]:
    """The network in `path`, in single precision and test mode, and its provenance.

    A network of the user's own is made only where it is `expected`: a file may name any code.
    Raises WeightsError naming the field when the file is damaged, of another format, holds
    another network than `expected`, or its tensors are not those of the network it names.
    """
    return _network(path, _read(path), expected)


def load_model(
    path: Path, expected: Architecture | None = None
) -> tuple[nn.Module, Provenance, str]:
    """As `load_network`, of weights that a card may lie beside; and their file's SHA-256.

    A network of the user's own is also made where the recipe beside the weights names it.
    Raises WeightsError, too, where the card names another SHA-256.
    """
    data = _read(path)
    sha256 = sha256_bytes(data)
    card = path.parent / ModelFile.CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    named = re.search(r"^\| Weights \|.*SHA-256 ([0-9a-f]{64})", text, re.MULTILINE)
    if named and named[1] != sha256:
        raise WeightsError(
            f"{path} has the SHA-256 {sha256[:16]}..., but {card.name} beside it says "
            f"{named[1][:16]}...",
            "The weights are damaged or were replaced: get them again. If they are right, remove "
            f"{card}.",
        )
    return *_network(path, data, expected, path.parent / ModelFile.RECIPE), sha256


def photograph_licences(weights: Path) -> list[str]:
    """The licences of the photographs that weights were trained on, as their card lists them."""
    path = weights.parent / ModelFile.CARD
    card = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    _, _, rest = card.partition("| licence | photographs |\n| --- | ---: |\n")
    return re.findall(r"^\| (.+) \| [\d,]+ \|$", rest.partition("\n\n")[0], re.MULTILINE)


def _network(
    path: Path, data: bytes, expected: Architecture | None, recipe: Path | None = None
) -> tuple[nn.Module, Provenance]:
    import torch

    tensors, metadata = _parsed_tensors(path, data)
    provenance = _provenance(path, metadata)
    architecture = provenance.architecture
    if expected is not None:
        _compare(path, architecture.model_dump(), expected.model_dump())
    if architecture.own:
        if expected is None:
            _require_named(path, architecture, recipe)
    else:
        with torch.device("meta"):  # what the file claims costs no memory until its tensors bear it
            _check_tensors(architecture.build().state_dict(), tensors, path)
    try:
        network = architecture.build()
        fill(network, tensors, path)
    except (UsageError, WeightsError) as error:
        name, before = architecture.name, provenance.stages[-1].code if provenance.stages else {}
        if not architecture.own:
            raise
        if not code_changes(before, {name: code_sha256(name)}):
            if not any(note.startswith(GIVEN) for note in provenance.notes):
                raise
            raise WeightsError(
                f"{error.message} {GIVEN[0].upper()}{GIVEN[1:]}, and its arguments aren't known.",
                "Make it in a module of yours, as in net = Net(...), and name that: "
                f"python:module:net,weights={path}.",
            ) from error
        raise WeightsError(
            f"{error.message} The code of {name} has changed since these weights were trained.",
            "Restore the code as it was then, or train anew.",
        ) from error
    return network.eval(), provenance


def _require_named(path: Path, architecture: Architecture, recipe: Path | None) -> None:
    """Raises WeightsError unless the user's own recipe names the network that a file asks for."""
    name = architecture.name
    if recipe is None or not recipe.is_file():
        raise WeightsError(
            f"{path} holds a network of {name}, which it alone is not trusted to run.",
            "Publish its run and name the model, whose recipe names the code; or name the code and "
            f"the file: {name},weights={path}.",
        )
    if architecture not in recipe_networks(recipe):
        raise WeightsError(
            f"{path} holds a network of {name} that no profile of {recipe} names with these "
            "arguments: it is not run.",
            "Restore the recipe, or publish the weights again from a run of it.",
        )


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy the tensors read from `path` into a network whose names and shapes they must have.

    Raises WeightsError naming the tensor otherwise.
    """
    wanted = network.state_dict()
    _check_tensors(wanted, tensors, path)
    network.load_state_dict({name: tensors[name].to(wanted[name].dtype) for name in wanted})


def _check_tensors(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> None:
    for name in sorted(wanted.keys() ^ tensors.keys()):
        what = "is missing" if name in wanted else "is unknown to this network"
        raise WeightsError(f"{path}: tensor {name!r} {what}.", _OTHER_FILE)
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise WeightsError(
                f"{path}: tensor {name!r} has shape {tuple(tensor.shape)}, the network needs "
                f"{tuple(wanted[name].shape)}.",
                _OTHER_FILE,
            )
        if not tensor.isfinite().all():
            raise WeightsError(
                f"{path}: tensor {name!r} has values that are not finite.", "Get the file again."
            )


def serialise(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file: the same for the same tensors and metadata.

    `read_tensors` refuses the file once any of it has changed.
    """
    from safetensors.torch import save

    data = save(_apart(tensors), metadata)
    header, content = _halves(data)
    header.setdefault("__metadata__", {})[_SEAL] = _seal(header, content)
    text = _canonical(header)
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, content))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, none in memory that another has: shared weights are written twice."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        apart[name] = own.clone() if place in seen else own
        seen.add(place)
    return apart


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, on the CPU, and its metadata.

    Raises WeightsError when there is no such file, it isn't a safetensors file, or its content has
    changed.
    """
    return _parsed_tensors(path, _read(path))


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, without reading its tensors; errors as above."""
    try:
        with safe_open(path, "numpy") as file:
            return file.metadata() or {}
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _parsed_tensors(path: Path, data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors.torch import load

    try:
        header, content = _halves(data)
        metadata = validated(dict[str, str], header.get("__metadata__", {}))
        if _SEAL in metadata and metadata[_SEAL] != _seal(header, content):
            raise WeightsError(
                f"{path} is damaged: its content no longer has its own SHA-256.",
                "Get it again from where it was made.",
            )
        return load(data), {name: text for name, text in metadata.items() if name != _SEAL}
    except (SafetensorError, ValueError) as error:
        raise _unreadable(path, error) from error


def _halves(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header of a safetensors file, whose length stands in 8 bytes before it, and the rest."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = validated(dict[str, Any], from_json(data[8:end]))
    return header, memoryview(data)[end:]


def _canonical(header: Mapping[str, Any]) -> bytes:
    """A header's bytes in one order; safetensors writes it in any."""
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _seal(header: Mapping[str, Any], content: memoryview) -> str:
    """The SHA-256 of a file's content: of its header without the seal, and of its tensors."""
    metadata = {k: v for k, v in header.get("__metadata__", {}).items() if k != _SEAL}
    digest = hashlib.sha256(_canonical({**header, "__metadata__": metadata}))
    digest.update(content)
    return digest.hexdigest()


_OTHER_FILE = "The file belongs to another network or version; train or fetch it again."


def _unreadable(path: Path, error: Exception) -> WeightsError:
    if not path.exists():
        return WeightsError(f"No weight file {path}.", "`sreval models list` shows all.")
    return WeightsError(f"{path} isn't a readable safetensors file: {error}.", "Get it again.")


def _fits_fp16(tensor: Tensor) -> bool:
    """Whether it is a matrix or a kernel that fp16 rounds by little: neither huge nor all tiny."""
    if tensor.ndim < 2 or not tensor.is_floating_point() or not tensor.numel():
        return False
    import torch

    fp16, largest = torch.finfo(torch.float16), float(tensor.abs().max())
    return largest == 0 or fp16.tiny <= largest <= fp16.max


def _provenance(path: Path, metadata: dict[str, str]) -> Provenance:
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: metadata field 'format' is {metadata.get('format')!r}, not {FORMAT!r}.",
            "Only files written by sreval can be loaded by name.",
        )
    try:
        fields = {k: _parsed(k, metadata[k]) for k in Provenance.model_fields if k in metadata}
        provenance = validated(Provenance, fields)
    except ValueError as error:
        raise WeightsError(f"{path}: metadata field {error}.", _OTHER_FILE) from None
    low, high = provenance.architecture.output_range
    _compare(
        path,
        {key: metadata.get(key) for key in ("output_range", "scale")},
        {"output_range": f"{low:g}..{high:g}", "scale": str(provenance.architecture.scale)},
    )
    return provenance


def _parsed(key: str, text: str) -> object:
    if key not in ("architecture", "step", "notes", "stages"):
        return text
    try:
        return from_json(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _compare(path: Path, found: dict[str, object], wanted: dict[str, object]) -> None:
    for field in sorted(found.keys() | wanted.keys()):
        if found.get(field) != wanted.get(field):
            raise WeightsError(
                f"{path}: field {field!r} is {found.get(field)!r}, not {wanted.get(field)!r}.",
                _OTHER_FILE,
            )
