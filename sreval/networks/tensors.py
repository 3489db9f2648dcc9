"""The tensors of a network in a file that others wrote: safetensors, or what torch.save wrote.

Nothing in such a file is run: torch reads it with `weights_only`.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from sreval.errors import WeightsError, listed
from sreval.files import sha256_bytes
from sreval.reading import from_json, read_bytes

MOST_BYTES = 16 * 2**30
"""The most that a file of weights, or an exported network, may have."""

_HOLDERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""The keys under which training programs keep the tensors, the first of them preferred: averaged
weights (EMA) are those meant to be used."""
_PREFIX = "module."
"""What torch.nn.DataParallel puts before every name."""
_SAVE = "save its tensors: torch.save(network.state_dict(), FILE)."


@dataclass(frozen=True)
class Tensors:
    """The tensors of a file by name, its SHA-256, and its metadata, empty but for safetensors.

    `taken` says from which key of the file, and without which prefix; empty where they lay open.
    """

    tensors: dict[str, Tensor]
    sha256: str
    taken: str
    metadata: dict[str, str]


def is_torchscript(path: Path) -> bool:
    """Whether a file is a network exported by torch.jit, which holds its code."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_file(path: Path) -> bytes:
    """The bytes of a file of weights. Raises WeightsError where it can't be read."""
    try:
        data = read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise WeightsError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
    except ValueError as error:
        raise WeightsError(f"{path} is too large: {error}.", "Check the path.") from None
    if not data:
        raise WeightsError(f"{path} is empty.", "Get the file again.")
    return data


def read_any_tensors(path: Path) -> Tensors:
    """The tensors in a file of safetensors or of torch.save, also below a key such as `params`.

    Raises WeightsError for a file that is missing, damaged or empty, that holds a whole network
    instead of its tensors, or no tensors.
    """
    data = read_file(path)
    metadata: dict[str, str] = {}
    held: object
    if path.suffix.lower() == ".safetensors":
        held, metadata = _safetensors(path, data)
    else:
        held = _torch(path, data)
    tensors, taken = _unwrapped(path, held)
    if all(name.startswith(_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PREFIX): one for name, one in tensors.items()}
        taken = " ".join(filter(None, [taken, f"without the prefix {_PREFIX}"]))
    return Tensors(tensors, sha256_bytes(data), taken, metadata)


def fill_from(network: nn.Module, found: Tensors, path: Path) -> None:
    """Load the tensors of a file into a network.

    Raises WeightsError naming the first tensor that is missing, unknown, of another shape or not
    finite.
    """
    wanted, tensors = network.state_dict(), found.tensors
    for name in [*wanted, *tensors]:
        if name not in wanted or name not in tensors:
            what = "lacks the tensor" if name in wanted else "holds the unknown tensor"
            count = len(wanted.keys() ^ tensors.keys())
            raise WeightsError(
                f"{path} {what} {name!r}; {count} names differ from those of "
                f"{type(network).__name__}.",
                "Name the weights of this network, or make it with the arguments of its training.",
            )
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise WeightsError(
                f"{path}: the tensor {name!r} has the shape {tuple(tensor.shape)}, "
                f"{type(network).__name__} needs {tuple(wanted[name].shape)}.",
                "Make the network with the arguments of its training.",
            )
    require_finite(found, path)
    network.load_state_dict(tensors)


def require_finite(found: Tensors, path: Path) -> None:
    """Raises WeightsError naming the first tensor that holds NaN or an infinity."""
    for name, tensor in found.tensors.items():
        if not tensor.isfinite().all():
            raise WeightsError(
                f"{path}: the tensor {name!r} has values that are not finite.",
                "Get the file again.",
            )


def _safetensors(path: Path, data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        tensors = load(data)
        header = from_json(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{path} isn't a readable safetensors file: {error}.", "Get the file again."
        ) from None
    return tensors, {str(k): str(v) for k, v in header.get("__metadata__", {}).items()}


def _torch(path: Path, data: bytes) -> object:
    if is_torchscript(path):
        raise WeightsError(
            f"{path} is a whole network exported by torch.jit, not its tensors.",
            f"Write torchscript:{path}.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged file it may also have doubts
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that is no checkpoint torch raises anything
        why = str(error)
        if "Unsupported global" in why or "weights_only" in why or "WeightsUnpickler" in why:
            named = why.partition("GLOBAL ")[2].split(" ")[0]
            holds = f" such as {named}" if named else ""
            raise WeightsError(
                f"{path} isn't made of tensors alone: it is damaged, or holds pickled Python "
                f"objects{holds}, which could run code of their own.",
                f"Get the file again. Of a network saved whole: {_SAVE}",
            ) from None
        reason = why.partition("\n")[0].rstrip(".") or type(error).__name__
        raise WeightsError(
            f"{path} isn't a readable file of weights: {reason}.", "Get the file again."
        ) from None


def _unwrapped(path: Path, held: object) -> tuple[dict[str, Tensor], str]:
    """The tensors in what a file holds, and below which keys they lay."""
    taken: list[str] = []
    while isinstance(held, Mapping):
        if held and all(isinstance(one, Tensor) for one in held.values()):
            return {str(name): one for name, one in held.items()}, " ".join(taken)
        inner = [str(key) for key, one in held.items() if isinstance(one, Mapping) and one]
        known = [key for key in _HOLDERS if key in inner]
        if not (known or len(inner) == 1) or len(taken) > 3:
            break
        taken.append((known or inner)[0])
        held = held[taken[-1]]
    keys = f" below {listed(list(_keys(held)))}" if _keys(held) else ""
    raise WeightsError(f"{path} holds no tensors by name{keys}.", f"From Python, {_SAVE}")


def _keys(held: Any) -> list[str]:
    return [str(key) for key in held] if isinstance(held, Mapping) else []
