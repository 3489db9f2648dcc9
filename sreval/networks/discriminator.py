"""The discriminator of Ledig et al. 2017 (arXiv 1609.04802v5), section 2.1 and figure 4.

Initialisation is PyTorch's: convolutions and dense layers uniform in +-1/sqrt(fan in), batch
norm 1 and 0; the paper states none.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

SLOPE = 0.2
LAYERS = ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))
"""Channels and stride of the eight 3x3 convolutions, in the figure's order."""


class Discriminator(nn.Module):
    """RGB crops in [-1, 1] to one logit each: D(x) of the paper is its sigmoid.

    The sigmoid is left to the loss, where -log D and -log(1 - D) are then exact far from zero.
    """

    def __init__(self, size: int = 96) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1), _leaky()]
        for (before, _), (channels, stride) in pairwise(LAYERS):
            layers += [
                nn.Conv2d(before, channels, 3, stride, padding=1),
                nn.BatchNorm2d(channels),
                _leaky(),
            ]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * (size // 16) ** 2, 1024), _leaky(), nn.Linear(1024, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, size, size) in [-1, 1], size a multiple of 16; returns logits, (N,)."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits.squeeze(1)


class OfPair(nn.Module):
    """A discriminator's logits of two batches, each of which is normalised on its own.

    The dense layers, which hold 19 of 23.6 million weights, take both at once: their gradient is
    then written once.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Batches as for Discriminator.forward; returns the logits of each."""
        maps = [self.discriminator.features(x).flatten(1) for x in (fake, real)]
        logits: Tensor = self.discriminator.classifier(torch.cat(maps)).squeeze(1)
        return logits[: len(fake)], logits[len(fake) :]


def _leaky() -> nn.LeakyReLU:
    # the layers before don't read their output again in the backward pass
    return nn.LeakyReLU(SLOPE, inplace=True)
