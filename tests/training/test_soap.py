"""Soap against a published implementation, update by update."""

from __future__ import annotations

import pytest
import torch
from pytorch_optimizer import SOAP

from sreval.training import soap
from sreval.training.soap import Soap


@pytest.mark.parametrize(
    ("shape", "taken_as", "widest"),
    [
        ((6,), (6,), 2048),
        ((5, 4), (5, 4), 2048),
        # square: the bases of a moment's null space are anybody's
        ((12, 3, 2, 2), (12, 12), 12),
        ((4, 3, 3, 3), (4, 3, 9), 26),
    ],
)
def test_updates_equal_a_published_implementations(
    shape: tuple[int, ...],
    taken_as: tuple[int, ...],
    widest: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soap, "WIDEST", widest)
    torch.manual_seed(3)
    ours = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().reshape(taken_as).clone().requires_grad_()
    mine = Soap([ours], lr=1e-2, betas=(0.9, 0.95), every=4)
    published = SOAP(
        [theirs], lr=1e-2, betas=(0.9, 0.95), weight_decay=0.0, precondition_frequency=4
    )
    towards, start = torch.randn(shape, dtype=torch.float64), ours.detach().clone()
    for _ in range(15):
        gradient = (ours.detach() - towards) * (1 + torch.rand(shape, dtype=torch.float64))
        ours.grad, theirs.grad = gradient, gradient.reshape(taken_as).clone()
        mine.step()
        published.step()
        # their QR is made in float32
        torch.testing.assert_close(ours.view_as(theirs), theirs, rtol=1e-5, atol=1e-6)
    assert (ours - start).abs().max() > 0.05


def test_a_convolution_is_turned_as_its_flattened_filters() -> None:
    torch.manual_seed(4)
    filters = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    square = filters.clone().to(memory_format=torch.channels_last).requires_grad_()
    flat = filters.flatten(2).clone().requires_grad_()
    optimisers = [Soap([square], lr=1e-2, every=2), Soap([flat], lr=1e-2, every=2)]
    for _ in range(6):
        gradient = torch.randn(4, 3, 3, 3, dtype=torch.float64)
        square.grad = gradient.to(memory_format=torch.channels_last)
        flat.grad = gradient.flatten(2)
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(square.flatten(2), flat, rtol=1e-12, atol=1e-14)
