"""SRResNet, the generator of Ledig et al. 2017 (arXiv 1609.04802v5), section 2.1 and figure 4.

Reading figure 4 from left to right: `head`, `blocks`, `tail` with the long skip, `upsampling`,
`output`. Initialisation is PyTorch's: convolutions uniform in +-1/sqrt(fan in), batch norm 1
and 0, PReLU 0.25 with one parameter each; the paper states none.
"""

from __future__ import annotations

from torch import Tensor, nn

from sreval.networks.prelu import PReLU


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
