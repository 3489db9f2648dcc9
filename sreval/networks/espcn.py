"""ESPCN of Shi et al. (CVPR 2016, arXiv 1609.05158), section 3 and figure 1.

All work is done at low resolution; the last convolution makes scale^2 channels that the pixel
shuffle lays side by side. Initialisation: Glorot for the tanh layers, zero biases. The paper
names no range; about 0, where tanh is steepest, the network learns faster.
"""

from __future__ import annotations

from torch import Tensor, nn


class ESPCN(nn.Module):
    """Low-resolution luma in [-1/2, 1/2] to high-resolution luma of that range, `scale` times."""

    radius = 4

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        for conv in (self.conv1, self.conv2, self.conv3):
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, low: Tensor) -> Tensor:
        """low: (N, 1, H, W); returns (N, 1, scale * H, scale * W), not clamped."""
        x = self.conv1(low).tanh()
        x = self.conv2(x).tanh()
        result: Tensor = self.shuffle(self.conv3(x))
        return result
