"""A network or a loss of the user's own: made from its code, and tried before hours are spent.

Its code is imported here alone, and only for names that a recipe or a command gives: what a weight
file says of itself is never a reason to run code.
"""

from __future__ import annotations

import copy
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from sreval.errors import (
    SrevalError,
    TrainingError,
    UsageError,
    briefly_told,
    is_out_of_memory,
    listed,
    told,
    without_addresses,
)
from sreval.networks.architecture import OwnArchitecture
from sreval.own_code import load_object

_WHOLE = 40, 56
"""Height and width of the image that a network is tried on beside a crop, in LR pixels."""

Term = Callable[[Tensor, Tensor], Tensor]


def make(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network of the class `python:module:Class`.

    Raises UsageError where it can't be imported, is no torch.nn.Module's class, or can't be made
    with these arguments; and as `require_storable` does.
    """
    found = load_object(name.removeprefix("python:"))
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UsageError(
            f"{name} is {_kind(found)}, not a class derived from torch.nn.Module.",
            "Name the class; its arguments stand in network.arguments.",
        )
    fix = "Fix the class, or its arguments in network.arguments."
    network = _made(found, name, arguments, fix)
    require_storable(network, name)
    return network


def make_term(name: str) -> Term:
    """The function `python:module:name`, or an object of the torch.nn.Module of that name.

    Raises UsageError where it can't be imported, made or called.
    """
    found = load_object(name.removeprefix("python:"))
    if isinstance(found, type) and issubclass(found, nn.Module):
        return cast(
            Term, _made(found, name, {}, "It is made without arguments: give all defaults.")
        )
    if isinstance(found, type) or not callable(found):
        raise UsageError(
            f"{name} is {_kind(found)}, not a function or a class derived from torch.nn.Module.",
            "Name a function from (sr, hr) to a tensor without dimensions.",
        )
    return cast(Term, found)


def _kind(found: object) -> str:
    if isinstance(found, nn.Module):
        return f"an object of the class {type(found).__name__}"
    return f"a {type(found).__name__}" if not isinstance(found, type) else "a plain class"


def _made(kind: type[nn.Module], name: str, arguments: Mapping[str, Any], fix: str) -> nn.Module:
    try:
        with redirect_stdout(sys.stderr), _unwarned():
            made: object = kind(**copy.deepcopy(dict(arguments)))
    except (Exception, SystemExit) as error:
        written = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise UsageError(f"{name}({written}) failed: {told(error)}.", fix) from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{name}() made {_kind(made)}, not a torch.nn.Module.", "Fix the class.")
    return made


def require_storable(network: nn.Module, name: str) -> None:
    """Raises UsageError for a network that can't be trained, or that a weight file can't hold."""
    tensors = [*network.parameters(), *network.buffers()]
    if any(isinstance(t, UninitializedParameter | UninitializedBuffer) for t in tensors):
        raise UsageError(
            f"{name} has lazy layers, whose weights are made at the first call.",
            "Give the layers their numbers of channels.",
        )
    for key, parameter in network.named_parameters():
        if not parameter.is_floating_point():
            raise UsageError(
                f"{name}: the parameter {key!r} is of {parameter.dtype}; parameters must be "
                "floating-point numbers.",
                "Keep the real and the imaginary part of a complex one as two; register what "
                "isn't trained as a buffer.",
            )
    for key, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            raise UsageError(
                f"{name}: its state_dict() holds {key!r}, a {type(value).__name__}; a weight file "
                "holds tensors alone.",
                "Register it as a buffer, or leave it out of the state.",
            )
        if not bool(value.isfinite().all()):
            raise UsageError(
                f"{name}: the tensor {key!r} has values that are not finite.",
                "Start with finite weights; register a mask as a buffer with persistent=False.",
            )
    if not any(p.requires_grad for p in network.parameters()):
        raise UsageError(
            f"{name} has no parameters to train.", "Give it some, with requires_grad=True."
        )


def try_network(
    network: nn.Module, architecture: OwnArchitecture, side: int, device: torch.device
) -> None:
    """Run a copy of a network on crops of `side` LR pixels as in training, and on a whole image.

    Raises UsageError for what fails, or isn't an image of the scale and colour that its recipe
    says.
    """
    name, channels = architecture.name, 3 if architecture.colour == "rgb" else 1
    own = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=own):
        trial = copied(network, name)
        made = _image(trial, architecture, (2, channels, side, side), device)
        if not made.requires_grad:
            raise UsageError(
                f"No parameter of {name} reaches its output: nothing can be learnt.",
                "Compute the output without detach() and no_grad().",
            )
        trial = copied(trial, name).eval()
        with torch.inference_mode():
            _image(trial, architecture, (1, channels, *whole(architecture)), device)


def unlike_recipe(network: nn.Module, architecture: OwnArchitecture) -> str:
    """How a network given in Python differs from the one that a recipe's class and arguments make.

    Empty where no difference shows: neither in what the two print, nor in their tensors' names,
    shapes and being trained, nor, with the same tensors, in what they return in evaluation and in
    training.
    """
    name = architecture.name
    channels = 3 if architecture.colour == "rgb" else 1
    black, white = architecture.input_range
    chance = torch.Generator().manual_seed(0)
    low = torch.rand((2, channels, *whole(architecture)), generator=chance)
    low = low * (white - black) + black
    with torch.random.fork_rng(devices=[]):
        try:
            named = make(name, architecture.arguments)
            given = copied(network, name).cpu()
            if _trained(named) != _trained(given):
                return "its tensors have other names or shapes, or others of them are trained"
            if printed(named) != printed(given):
                return "its layers have other settings"
            named.load_state_dict(given.state_dict())
            for training in (False, True):
                made: list[Tensor] = []
                for one in (named, given):
                    torch.manual_seed(0)
                    with torch.no_grad():
                        made.append(one.train(training)(low))
                if not torch.allclose(made[0], made[1]):
                    return "with the same weights it returns another image"
        except SrevalError as error:
            return error.message.rstrip(".")
        except Exception as error:  # a network of others may raise anything
            return f"the two can't be compared: {told(error)}"
    return ""


def printed(network: nn.Module) -> str:
    """What it prints of its layers, without addresses in memory."""
    return without_addresses(repr(network))


def _trained(network: nn.Module) -> dict[str, tuple[torch.Size, bool]]:
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    return {name: (t.shape, name in trained) for name, t in network.state_dict().items()}


def whole(architecture: OwnArchitecture) -> tuple[int, int]:
    """Height and width of an image that is no crop, in LR pixels, a multiple where one is asked."""
    height, width = (
        architecture.multiple * math.ceil(length / architecture.multiple) for length in _WHOLE
    )
    return height, width


def copied(network: nn.Module, name: str) -> nn.Module:
    """A copy of it. Raises UsageError where it can't be copied."""
    try:
        with _unwarned():
            return copy.deepcopy(network)
    except Exception as error:
        raise UsageError(
            f"{name} can't be copied: {briefly_told(error)}.",
            "Validation runs on a copy: keep no tensors made in forward() on the module, and take "
            "torch.nn.utils.parametrizations.weight_norm for weight_norm.",
        ) from error


def _image(
    network: nn.Module,
    architecture: OwnArchitecture,
    shape: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    name, scale = architecture.name, architecture.scale
    black, white = architecture.input_range
    low = torch.rand(shape, device=device) * (white - black) + black
    try:
        with _unwarned():
            made: object = network(low)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UsageError(
            f"{name} failed on a trial of {_size(shape)}: {told(error)}.",
            "Fix it, or the keys of [network]: multiple is what height and width are padded to.",
        ) from error
    wanted = (*shape[:2], scale * shape[2], scale * shape[3])
    if not isinstance(made, Tensor):
        raise UsageError(
            f"{name} returned a {type(made).__name__}, not a tensor.",
            "Return the image alone.",
        )
    if tuple(made.shape) != wanted or not made.is_floating_point():
        raise UsageError(
            f"{name} returned {made.dtype} of the shape {tuple(made.shape)} for {tuple(shape)}; "
            f"scale {scale} and colour {architecture.colour!r} ask for floats of {wanted}.",
            "Fix it, or network.scale and network.colour.",
        )
    if not bool(made.isfinite().all()):
        raise UsageError(
            f"{name} returned NaN or infinite values on a trial of {_size(shape)}, random values "
            f"in {black:g}..{white:g}.",
            "Fix its forward(), or how its weights begin.",
        )
    return made


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without what others' code warns of: lines of a source that isn't the user's to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} channels x {shape[2]} x {shape[3]}"


def try_term(term: Term, name: str, shape: tuple[int, ...], device: torch.device) -> None:
    """Call a loss term once. Raises UsageError for what can't be trained by."""
    own = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=own):
        sr = (2 * torch.rand(shape, device=device) - 1).requires_grad_()
        value = called(term, name, sr, 2 * torch.rand(shape, device=device) - 1)
    if not bool(value.isfinite()):
        raise UsageError(f"{name} is {value.item():g} for random images.", "Fix the function.")
    try:
        (slope,) = torch.autograd.grad(value, sr, allow_unused=True)
    except RuntimeError as error:
        raise UsageError(f"{name} has no gradient: {told(error)}.", _SMOOTH) from error
    if slope is None:
        raise UsageError(f"{name} doesn't depend on sr: it has no gradient.", _SMOOTH)
    if not bool(slope.isfinite().all()):
        raise UsageError(f"{name} has a gradient that isn't finite for random images.", _SMOOTH)


_SMOOTH = "Compute it from sr with torch's differentiable functions, without detach() and item()."


def called(term: Term, name: str, sr: Tensor, hr: Tensor) -> Tensor:
    """The value of a term, a tensor without dimensions. Raises TrainingError for anything else."""
    with running(name):
        value: object = term(sr, hr)
    if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
        what = f"a {type(value).__name__}"
        if isinstance(value, Tensor):
            what = f"{value.dtype} of the shape {tuple(value.shape)}"
        raise TrainingError(
            f"{name} returned {what}, not one number.",
            "Return a float tensor without dimensions, such as (sr - hr).abs().mean().",
        )
    if sr.requires_grad and torch.is_grad_enabled() and not value.requires_grad:
        raise TrainingError(f"{name} has no gradient.", _SMOOTH)
    return value


@contextmanager
def running(*names: str) -> Iterator[None]:
    """What the user's own code raises within becomes a TrainingError that names it."""
    try:
        yield
    except SrevalError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or isinstance(error, torch._dynamo.exc.TorchDynamoException):
            raise
        raise TrainingError(f"{listed(names)} failed: {told(error)}.", "Fix it.") from error
