"""SRResNet, the generator of Ledig et al. 2017 (arXiv 1609.04802v5), section 2.1 and figure 4.

Reading figure 4 from left to right: `head`, `blocks`, `tail` with the long skip, `upsampling`,
`output`. Initialisation is PyTorch's: convolutions uniform in +-1/sqrt(fan in), batch norm 1
and 0, PReLU 0.25 with one parameter each; the paper states none.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle

from sreval.networks.layers import PReLU


class ResidualBlock(nn.Module):
    """Conv, batch norm, PReLU, conv, batch norm, and the elementwise sum with the input."""

    def __init__(self, channels: int, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W); returns the same shape."""
        y: Tensor = self.body(x)
        return y.add_(x) if self.skip else y


class UpsamplingBlock(nn.Sequential):
    """Conv to factor^2 times the channels, pixel shuffle, PReLU: (N, C, H, W) to (N, C, fH, fW)."""

    def __init__(self, channels: int, factor: int = 2) -> None:
        super().__init__(
            nn.Conv2d(channels, factor**2 * channels, 3, padding=1),
            nn.PixelShuffle(factor),
            PReLU(),
        )


class SRResNet(nn.Module):
    """Low-resolution RGB in [0, 1] to high-resolution RGB in [-1, 1], `scale` times as large.

    The paper's is x4, in two steps of 2; x2 and x3 have one step. `depth` is the number B of
    residual blocks and `skips` their skip connections together with the long one, the two things
    the paper's supplement varies. `radius` is how far around its own place an output pixel sees, in
    low-resolution pixels.
    """

    def __init__(
        self,
        depth: int = 16,
        skips: bool = True,
        channels: int = 64,
        scale: Literal[2, 3, 4] = 4,
    ) -> None:
        super().__init__()
        self.skips = skips
        # in low-resolution pixels: head 4, blocks 2 each, tail 1; upsampling and output 1 + 1/2
        # and 4/4 at x4, 1 and 4/3 at x3, 1 and 4/2 at x2
        self.radius = 8 + 2 * depth
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(channels, skips) for _ in range(depth)))
        self.tail = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )
        steps = (2, 2) if scale == 4 else (scale,)
        self.upsampling = nn.Sequential(*(UpsamplingBlock(channels, step) for step in steps))
        self.output = nn.Conv2d(channels, 3, 9, padding=4)

    def forward(self, low: Tensor) -> Tensor:
        """low: (N, 3, H, W) in [0, 1]; returns (N, 3, scale * H, scale * W), about [-1, 1]."""
        result: Tensor = self.output(self.upsampling(self.features(low)))
        return result

    def features(self, low: Tensor) -> Tensor:
        """Everything at low resolution: (N, 3, H, W) in [0, 1] to (N, C, H, W)."""
        first: Tensor = self.head(low)
        deep: Tensor = self.tail(self.blocks(first))
        return deep.add_(first) if self.skips else deep


class Packed(nn.Module):
    """SRResNet with its output layer before the last pixel shuffle: the same sums in less time.

    A convolution to three channels leaves most lanes of a processor idle. Four neighbouring output
    pixels at once are twelve channels, and the 2x2 squares of input pixels that they need are what
    the last pixel shuffle would take apart; of a shuffle by 3, nine and 3x3. The images are those
    of `SRResNet.forward`, up to the order in which a sum is taken. Gradients reach the weights of
    `network` as if it had been run itself.
    """

    def __init__(self, network: SRResNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, low: Tensor) -> Tensor:
        """As SRResNet.forward."""
        *before, last = self.network.upsampling.children()
        conv, shuffle, prelu = last.children()
        side = cast(nn.PixelShuffle, shuffle).upscale_factor
        features = self.network.features(low)
        for step in before:
            features = step(features)
        # one slope for all channels, so that it may as well come before the shuffle
        squares = prelu(conv(features))
        output = self.network.output
        assert output.bias is not None
        kernel, bias = packed_kernel(output.weight, side), output.bias.repeat_interleave(side**2)
        if not (low.device.type == "cuda" and torch.is_autocast_enabled("cuda")):
            return pixel_shuffle(conv2d(squares, kernel, bias, padding=2), side)
        # in bf16 an output near 1 is off by half a level of 255, and a GPU has the time
        with torch.autocast("cuda", enabled=False):
            return pixel_shuffle(conv2d(squares.float(), kernel, bias, padding=2), side)


def packed(network: nn.Module) -> nn.Module:
    """The network as it is best run: an SRResNet packed, any other as it is."""
    return Packed(network) if isinstance(network, SRResNet) else network


def packed_kernel(kernel: Tensor, side: int = 2) -> Tensor:
    """(O, C, 9, 9) over pixels as (s^2 O, s^2 C, 5, 5) over their squares of a `side` of 2 or 3.

    The output pixel (I, J) of a square meets the input pixel (i, j) of the square p to the
    right of its own through the tap 4 + s p + i - I.
    """
    outputs, channels = kernel.shape[:2]
    border = 3 * side - 5  # the first tap is 4 - 2 s - (s - 1), the last 4 + 2 s + (s - 1)
    wide = pad(kernel, (border, border, border, border))
    places = range(side)

    def taps(own: int, other: int) -> slice:
        first = border + 4 - 2 * side + other - own
        return slice(first, first + 4 * side + 1, side)

    rows = torch.stack(
        [torch.stack([wide[:, :, taps(own, i)] for i in places], 2) for own in places], 1
    )
    both = torch.stack(
        [torch.stack([rows[..., taps(own, j)] for j in places], 4) for own in places], 2
    )
    return both.reshape(side**2 * outputs, side**2 * channels, 5, 5)
