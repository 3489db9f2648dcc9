"""Losses against the paper's formulas written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sreval.networks.vgg import VGGFeatures
from sreval.training.losses import (
    ContentLoss,
    discriminator_loss,
    generator_adversarial,
    total_variation,
    vgg_distance,
)
from sreval.training.recipe import Loss


def test_vgg_distance_divides_by_channels_height_and_width() -> None:
    a, b = torch.rand(2, 5, 3, 4), torch.rand(2, 5, 3, 4)
    x, y = a.double().numpy() / 12.75, b.double().numpy() / 12.75
    printed = ((x - y) ** 2).sum(axis=(1, 2, 3)) / (3 * 4)
    assert float(vgg_distance(a, b)) == pytest.approx(float(printed.mean()) / 5, rel=1e-5)


def test_adversarial_terms_are_the_paper_s_logarithms() -> None:
    real, fake = torch.randn(7), torch.randn(7)
    d_real, d_fake = (1 / (1 + np.exp(-x.double().numpy())) for x in (real, fake))
    assert float(generator_adversarial(fake)) == pytest.approx(-np.log(d_fake).mean(), rel=1e-5)
    wanted = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    assert float(discriminator_loss(real, fake)) == pytest.approx(wanted, rel=1e-5)


def test_adversarial_term_keeps_its_slope_where_the_discriminator_is_sure() -> None:
    fake = torch.tensor([-200.0], requires_grad=True)
    generator_adversarial(fake).backward()  # type: ignore[no-untyped-call]
    assert fake.grad is not None
    assert float(fake.grad) == pytest.approx(-1)


def test_total_variation_of_a_step() -> None:
    x = torch.zeros(2, 3, 4, 5)
    x[0, :, :, 2:] = 0.5
    # one image of two: 3 channels x 4 rows x one step of 0.5
    assert float(total_variation(x)) == pytest.approx(3 * 4 * 0.5 / 2)


def test_a_weighted_sum_of_the_terms_that_count() -> None:
    content = ContentLoss(Loss(mse=2.0, total_variation=1e-3), None)
    sr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    terms = content(sr, hr)
    assert set(terms) == {"mse", "total_variation"}
    wanted = 2 * ((sr - hr) ** 2).mean() + 1e-3 * total_variation(sr)
    assert float(content.total(terms)) == pytest.approx(float(wanted), rel=1e-6)


def test_calibration_makes_the_content_equal_the_mse() -> None:
    torch.manual_seed(0)
    loss = Loss(vgg22=3.0)
    content = ContentLoss(loss, VGGFeatures(("vgg22",)))
    generator = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    batches = [(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)) for _ in range(4)]
    before = {name: t.clone() for name, t in generator.state_dict().items()}
    content.calibrate(generator, batches)
    assert all(torch.equal(t, before[name]) for name, t in generator.state_dict().items())
    mse = total = 0.0
    with torch.no_grad():
        for low, hr in batches:
            sr = generator(low)
            mse += float(((sr - hr) ** 2).mean())
            total += float(content.total(content(sr, hr)))
    assert total == pytest.approx(mse, rel=1e-4)


def test_originals_get_no_gradient_and_outputs_do() -> None:
    content = ContentLoss(Loss(vgg22=1.0), VGGFeatures(("vgg22",)))
    sr = torch.rand(1, 3, 16, 16, requires_grad=True)
    hr = torch.rand(1, 3, 16, 16, requires_grad=True)
    content.total(content(sr, hr)).backward()  # type: ignore[no-untyped-call]
    assert sr.grad is not None
    assert hr.grad is None
