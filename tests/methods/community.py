"""Small networks of spandrel's architectures, with random weights, written as their files are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from spandrel import architectures as known
from torch import nn

SMALL: dict[str, Callable[[int], nn.Module]] = {
    "ESRGAN": lambda s: known.ESRGAN.ESRGAN(num_filters=8, num_blocks=1, scale=s),
    "Compact": lambda s: known.Compact.Compact(num_feat=8, num_conv=3, upscale=s),
    "SPAN": lambda s: known.SPAN.SPAN(
        num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=s, norm=False
    ),
    "PLKSR": lambda s: known.PLKSR.PLKSR(dim=16, n_blocks=2, upscaling_factor=s),
    "MoSR": lambda s: known.MoSR.MoSR(upscale=s, n_block=1, dim=16),
    "SwinIR": lambda s: known.SwinIR.SwinIR(
        embed_dim=12,
        depths=[2],
        num_heads=[2],
        window_size=8,
        mlp_ratio=2,
        upscale=s,
        upsampler="pixelshuffledirect",
    ),
    "DAT": lambda s: known.DAT.DAT(
        embed_dim=16,
        split_size=[8, 8],
        depth=[1],
        num_heads=[2],
        expansion_factor=2,
        upscale=s,
        upsampler="pixelshuffledirect",
    ),
    "HAT": lambda s: known.HAT.HAT(
        embed_dim=12,
        depths=(2,),
        num_heads=(2,),
        window_size=8,
        compress_ratio=3,
        squeeze_factor=6,
        mlp_ratio=2,
        upscale=s,
        num_feat=16,
    ),
    "OmniSR": lambda s: known.OmniSR.OmniSR(num_feat=16, up_scale=s),
    "RCAN": lambda s: known.RCAN.RCAN(scale=s, n_resgroups=1, n_resblocks=1, n_feats=16),
    "RealPLKSR": lambda s: known.PLKSR.RealPLKSR(dim=16, n_blocks=2, upscaling_factor=s),
    "SAFMN": lambda s: known.SAFMN.SAFMN(dim=8, n_blocks=1, upscaling_factor=s),
}
"""By name, of the scales 2 and 4."""

WHOLE = {"DAT", "HAT", "OmniSR", "RCAN", "RealPLKSR"}
"""Those that see the whole image: channel attention pools over it, group norm averages over it."""


def state(make: Callable[[int], nn.Module], scale: int) -> dict[str, Any]:
    """The tensors of a network that was just made, the same each time."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty layers, and of how they call torch.meshgrid
        torch.manual_seed(0)
        return make(scale).eval().state_dict()


def write(
    name: str,
    scale: int,
    folder: Path,
    holder: str = "params",
    make: Callable[[int], nn.Module] | None = None,
) -> Path:
    """The file in `folder` of the small network of that name, or of the one that `make` makes.

    The tensors lie below the key `holder`, as basicsr keeps them.
    """
    path = folder / f"{scale}x_{name}.pth"
    torch.save({holder: state(make or SMALL[name], scale)}, path)
    return path
