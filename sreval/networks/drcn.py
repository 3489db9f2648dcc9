"""DRCN of Kim et al. (CVPR 2016, arXiv 1511.04491), section 3 and figure 3(a).

Embedding, inference by one convolution applied again and again, reconstruction with a skip from
the input. Each recursion has an output of its own (recursive supervision); the result is their
weighted sum. Initialisation: He et al. 2015, zero biases; the shared convolution starts as the
identity, as in section 3.3, the weights of the sum as 1 / recursions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sreval.networks.layers import Bicubic


class DRCN(nn.Module):
    """Low-resolution luma in [0, 1] to high-resolution luma in [0, 1], `scale` times as large."""

    def __init__(self, recursions: int = 16, channels: int = 256, scale: int = 4) -> None:
        super().__init__()
        self.recursions = recursions
        self.radius = -(-(recursions + 4) // scale) + 2
        self.embedding1 = nn.Conv2d(1, channels, 3, padding=1)
        self.embedding2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.recursion = nn.Conv2d(channels, channels, 3, padding=1)
        self.reconstruction1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.reconstruction2 = nn.Conv2d(channels, 1, 3, padding=1)
        self.sum_weights = nn.Parameter(torch.full((recursions,), 1 / recursions))
        for layer in self.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.dirac_(self.recursion.weight)
        self.interpolation = Bicubic(scale)

    def outputs(self, low: Tensor) -> list[Tensor]:
        """The output of every recursion, each (N, 1, scale * H, scale * W)."""
        x = self.interpolation(low).to(self.embedding1.weight.dtype)
        hidden = self.embedding2(self.embedding1(x).relu()).relu()
        results = []
        for _ in range(self.recursions):
            hidden = self.recursion(hidden).relu()
            results.append(x + self.reconstruction2(self.reconstruction1(hidden).relu()))
        return results

    def combine(self, outputs: list[Tensor]) -> Tensor:
        """The weighted sum of the recursions' outputs."""
        return torch.einsum("d,d...->...", self.sum_weights, torch.stack(outputs))

    def forward(self, low: Tensor) -> Tensor:
        """low: (N, 1, H, W); returns (N, 1, scale * H, scale * W), not clamped."""
        return self.combine(self.outputs(low))


class Supervised(nn.Module):
    """A DRCN of which every recursion is trained: its result, and each recursion's output."""

    def __init__(self, network: DRCN) -> None:
        super().__init__()
        self.network = network

    def forward(self, low: Tensor) -> tuple[Tensor, list[Tensor]]:
        """low: (N, 1, H, W); returns `DRCN.forward` and `DRCN.outputs`."""
        outputs = self.network.outputs(low)
        return self.network.combine(outputs), outputs
