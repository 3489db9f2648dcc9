"""SRResNet's output layer computed before the last pixel shuffle: the same sums in less time.

A convolution to three channels leaves most lanes of a processor idle. Four neighbouring output
pixels at once are twelve channels, and the 2x2 squares of input pixels that they need are what
the last pixel shuffle would take apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle

from sreval.networks.srresnet import SRResNet


class Packed(nn.Module):
    """An SRResNet's own weights and images, up to the order in which a sum is taken.

    `SRResNet.forward` is the definition. Gradients reach the weights of `network` as if it had
    been run itself.
    """

    def __init__(self, network: SRResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, low: Tensor) -> Tensor:
        """As SRResNet.forward."""
        first, last = self.network.upsampling.children()
        conv, _, prelu = last.children()
        # one slope for all channels, so that it may as well come before the shuffle
        squares = prelu(conv(first(self.network.features(low))))
        output = self.network.output
        assert output.bias is not None
        kernel, bias = packed_kernel(output.weight), output.bias.repeat_interleave(4)
        if not (low.device.type == "cuda" and torch.is_autocast_enabled("cuda")):
            return pixel_shuffle(conv2d(squares, kernel, bias, padding=2), 2)
        # in bf16 an output near 1 is off by half a level of 255, and a GPU has the time
        with torch.autocast("cuda", enabled=False):
            return pixel_shuffle(conv2d(squares.float(), kernel, bias, padding=2), 2)


def packed(network: nn.Module) -> nn.Module:
    """The network as it is best run: an SRResNet packed, any other as it is."""
    return Packed(network) if isinstance(network, SRResNet) else network


def packed_kernel(kernel: Tensor) -> Tensor:
    """(O, C, 9, 9) over pixels as (4 O, 4 C, 5, 5) over their 2x2 squares.

    The output pixel (I, J) of a square meets the input pixel (i, j) of the square p to the
    right of its own through the tap 4 + 2 p + i - I.
    """
    outputs, channels = kernel.shape[:2]
    wide = pad(kernel, (1, 1, 1, 1))
    rows = torch.stack(
        [
            torch.stack([wide[:, :, 1 + i - own : 10 + i - own : 2] for i in (0, 1)], 2)
            for own in (0, 1)
        ],
        1,
    )
    both = torch.stack(
        [
            torch.stack([rows[..., 1 + j - own : 10 + j - own : 2] for j in (0, 1)], 4)
            for own in (0, 1)
        ],
        2,
    )
    return both.reshape(4 * outputs, 4 * channels, 5, 5)
