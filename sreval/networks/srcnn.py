"""SRCNN of Dong et al. (ECCV 2014; TPAMI 2016, arXiv 1501.00092), figure 2.

Patch extraction, non-linear mapping, reconstruction. The published networks pad each convolution
by repeating the border, so this one does. Initialisation: He et al. 2015 for the ReLUs, zero
biases; the paper's Gaussian of deviation 0.001 asks for 10^8 and more backward passes.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from sreval.networks.layers import Bicubic


class SRCNN(nn.Module):
    """Low-resolution luma in [0, 1] to high-resolution luma in [0, 1], `scale` times as large.

    `mapping` is the width of the middle filter: 5 for the network 9-5-5, 1 for 9-1-5.
    """

    def __init__(self, mapping: Literal[1, 5] = 5, scale: int = 4) -> None:
        super().__init__()
        # 8 high-resolution pixels of the filters, then 2 taps of the interpolation
        self.radius = -(-(4 + mapping // 2 + 2) // scale) + 2
        self.interpolation = Bicubic(scale)
        self.conv1 = nn.Conv2d(1, 64, 9, padding=4, padding_mode="replicate")
        self.conv2 = nn.Conv2d(64, 32, mapping, padding=mapping // 2, padding_mode="replicate")
        self.conv3 = nn.Conv2d(32, 1, 5, padding=2, padding_mode="replicate")
        for conv in (self.conv1, self.conv2, self.conv3):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, low: Tensor) -> Tensor:
        """low: (N, 1, H, W); returns (N, 1, scale * H, scale * W), not clamped."""
        x = self.interpolation(low).to(self.conv1.weight.dtype)
        x = self.conv1(x).relu()
        x = self.conv2(x).relu()
        result: Tensor = self.conv3(x)
        return result
