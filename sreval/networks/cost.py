"""How many multiply-adds a network makes, counted as it runs on tensors that have no values."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sreval.devices import exact_fp32
from sreval.networks.inference import Inference, padded_size
from sreval.networks.layers import Bicubic

_aten = torch.ops.aten
_VECTORS = {_aten.mv: 0, _aten.addmv: 1, _aten.dot: 0, _aten.vdot: 0}
"""Products with a vector, for which torch has no formula; which argument is the larger factor."""


class MultiplyAdds(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the multiply-adds of convolutions, matrix products and attention, by torch's formulas.

    Linear layers are matrix products. Biases, activations, normalisation, sums, resizing and
    Fourier transforms aren't counted. `unknown` are operations that others than torch define, and
    of which nothing is known.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self.unknown: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operation = func._overloadpacket
        formula = flop_registry.get(operation)
        if formula is None and operation not in _VECTORS:
            # in inference mode torch shows what is made of other operations whole
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=result) // 2
        elif operation in _VECTORS:
            self.total += args[_VECTORS[operation]].numel()
        elif func.namespace not in ("aten", "prim", "prims"):
            self.unknown.add(func.name())
        return result


def multiply_adds(inference: Inference, height: int, width: int) -> int | None:
    """Of one colour image of `height` times `width` LR pixels, whole; None where it can't be told.

    Counted is the network as it is defined: nothing folded, packed or in tiles, on the size to
    which the image is padded. A network of one channel for each of R, G and B runs three times.
    Our interpolation before SRCNN and DRCN, a matrix product in our code, isn't counted.
    """
    shown = inference.interface
    runs = 3 if shown.colour == "grey" else 1
    shape = (1, shown.channels, *padded_size((height, width), shown))
    middle = math.fsum(shown.input_range) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how networks of others call torch
        try:
            network = _without_values(inference.defined)
            found = _counted(network, torch.full(shape, middle, device="meta"))
        except Exception:  # a network that needs values, or that can't be copied
            if inference.tile:  # the whole image may be more than the memory holds
                return None
            low = torch.full(shape, middle, dtype=inference.dtype, device=inference.device)
            try:
                found = _counted(inference.defined, low)
            except Exception:  # it can't run on this input, as its call will say
                return None
    return None if found is None else runs * found


def _without_values(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network).float()
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Bicubic):
                setattr(module, name, nn.Upsample(scale_factor=layer.scale, mode="bicubic"))
    return network.to("meta")


def _counted(network: nn.Module, low: Tensor) -> int | None:
    with torch.no_grad(), exact_fp32(), MultiplyAdds() as counter:
        network(low)
    return None if counter.unknown else counter.total
