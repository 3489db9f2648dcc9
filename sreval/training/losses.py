"""The losses of Ledig et al. 2017, section 2.2, on images in [-1, 1].

Three readings are ours. The printed VGG loss sums over the channels of a feature map and divides
by its width and height; here the channels are averaged too, as working implementations do. The
adversarial loss sums over the batch in print; here it is the batch mean. The total variation is
named and not printed; here it sums absolute differences, down and across.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from sreval.networks.layers import at_least_fp32
from sreval.networks.own import Term, called
from sreval.networks.vgg import VGGFeatures
from sreval.training.ranks import mean
from sreval.training.recipe import Loss

FEATURE_SCALE = 1 / 12.75
CALIBRATION_CROPS = 256
"""What the VGG terms are calibrated on, in batches of the recipe's."""

_MOVES = 16
"""Places to a side that VGG's poolings down to its fifth block tell apart."""


def vgg_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of two feature maps (N, C, H, W), each scaled by 1/12.75."""
    return FEATURE_SCALE**2 * mse_loss(at_least_fp32(a), at_least_fp32(b))


def total_variation(x: Tensor) -> Tensor:
    """Sum of absolute differences between neighbours of an image (N, C, H, W), batch mean."""
    down = (x[:, :, 1:] - x[:, :, :-1]).abs().sum()
    across = (x[..., 1:] - x[..., :-1]).abs().sum()
    return (down + across) / len(x)


def generator_adversarial(fake_logits: Tensor) -> Tensor:
    """-log D(G(LR)), batch mean: the non-saturating form, from logits (N,)."""
    return softplus(-at_least_fp32(fake_logits)).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(HR) - log(1 - D(G(LR))), each the batch mean, from logits (N,)."""
    real, fake = at_least_fp32(real_logits), at_least_fp32(fake_logits)
    return softplus(-real).mean() + softplus(fake).mean()


class ContentLoss(nn.Module):
    """The terms of a recipe that compare an output with its original, and their weighted sum.

    `own` are the functions of `loss.own_terms`, by their names. `vgg_factor` is what the VGG terms
    are multiplied by; `calibrate` sets it. `random` is where the moves of `vgg_moves` are drawn
    from, on the device of the images.
    """

    vgg_factor: Tensor

    def __init__(self, loss: Loss, vgg: VGGFeatures | None, own: Mapping[str, Term] = {}) -> None:
        super().__init__()
        self.loss = loss
        self.vgg = vgg
        self.own = dict(own)
        self.weights = {
            "mse": loss.mse,
            **loss.vgg,
            "total_variation": loss.total_variation,
            **{name: term.weight for name, term in loss.own_terms.items()},
        }
        self.random: torch.Generator | None = None
        self.register_buffer("vgg_factor", torch.ones(()))

    def forward(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """sr, hr: (N, C, H, W) in [-1, 1]; each term that counts, unweighted, VGG as scaled."""
        sr, hr = at_least_fp32(sr), at_least_fp32(hr)
        terms = {"mse": mse_loss(sr, hr)} if self.loss.mse else {}
        if self.vgg is not None:
            seen, original = self._moved(sr, hr) if self.loss.vgg_moves else (sr, hr)
            with torch.no_grad():
                originals = self.vgg(original)
            for name, a, b in zip(self.vgg.names, self.vgg(seen), originals, strict=True):
                terms[name] = self.vgg_factor * vgg_distance(a, b)
        if self.loss.total_variation:
            terms["total_variation"] = total_variation(sr)
        for name, term in self.own.items():
            terms[name] = called(term, self.loss.own_terms[name].term, sr, hr)
        return terms

    def _moved(self, *images: Tensor) -> tuple[Tensor, ...]:
        """The same 16 pixels less of each image, from a place of its own in every update."""
        height, width = images[0].shape[2:]
        device = images[0].device
        place = torch.randint(0, _MOVES, (2, 1), generator=self.random, device=device)
        rows = place[0] + torch.arange(height - _MOVES, device=device)
        columns = place[1] + torch.arange(width - _MOVES, device=device)
        return tuple(
            x.index_select(2, rows)
            .index_select(3, columns)
            .contiguous(memory_format=torch.channels_last)
            for x in images
        )

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of `forward`'s terms."""
        return torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()

    @torch.no_grad()
    def calibrate(self, generator: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Set `vgg_factor` so that the VGG terms' weighted sum equals the MSE; return it.

        Measured over the given (input, target) batches, those of all processes, with a copy of the
        generator, whose batch statistics stay as they are.
        """
        network = copy.deepcopy(generator)
        self.vgg_factor.fill_(1)
        mse = content = torch.zeros((), device=self.vgg_factor.device)
        for low, hr in batches:
            sr = at_least_fp32(network(low))
            terms = self(sr, hr)
            mse = mse + mse_loss(sr, hr)
            content = content + self.total({name: terms[name] for name in self.loss.vgg})
        mse, content = mean(torch.stack([mse, content]))
        self.vgg_factor.copy_(mse / content)
        return float(self.vgg_factor)
