"""SRResNet, the generator of Ledig et al. 2017 (arXiv 1609.04802v5), section 2.1 and figure 4.

Reading figure 4 from left to right: `head`, `blocks`, `tail` with the long skip, `upsampling`,
`output`. Initialisation is PyTorch's: convolutions uniform in +-1/sqrt(fan in), batch norm 1
and 0, PReLU 0.25 with one parameter each; the paper states none.
"""

from __future__ import annotations

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
    """Conv to four times the channels, pixel shuffle x2, PReLU: (N, C, H, W) to (N, C, 2H, 2W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), PReLU()
        )


class SRResNet(nn.Module):
    """Low-resolution RGB in [0, 1] to high-resolution RGB in [-1, 1], four times as large.

    `depth` is the number B of residual blocks and `skips` their skip connections together with
    the long one, the two things the paper's supplement varies. `radius` is how far around its own
    place an output pixel sees, in low-resolution pixels.
    """

    def __init__(self, depth: int = 16, skips: bool = True, channels: int = 64) -> None:
        super().__init__()
        self.skips = skips
        # head 4, blocks 2 each, tail 1, upsampling 1 + 1/2, output 4/4, in low-resolution pixels
        self.radius = 8 + 2 * depth
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(channels, skips) for _ in range(depth)))
        self.tail = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )
        self.upsampling = nn.Sequential(UpsamplingBlock(channels), UpsamplingBlock(channels))
        self.output = nn.Conv2d(channels, 3, 9, padding=4)

    def forward(self, low: Tensor) -> Tensor:
        """low: (N, 3, H, W) in [0, 1]; returns (N, 3, 4H, 4W), about [-1, 1], not clamped."""
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
    the last pixel shuffle would take apart. The images are those of `SRResNet.forward`, up to the
    order in which a sum is taken. Gradients reach the weights of `network` as if it had
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
