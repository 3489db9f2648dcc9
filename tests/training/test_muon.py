"""Muon against PyTorch's own, against its formula written out, and against Adam."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sreval.training import muon
from sreval.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from sreval.training.learner import Learner
from sreval.training.muon import Muon, orthogonal
from sreval.training.recipe import Recipe
from tests.training.test_checkpoint import CPU, batches, same

MakeRecipe = Callable[..., Recipe]

SHAPES = [(6, 4), (4, 6), (6, 4), (5, 3, 3, 3), (5, 27), (7,), (1,)]


def draw(shapes: list[tuple[int, ...]] = SHAPES) -> list[Tensor]:
    torch.manual_seed(5)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def copies(tensors: list[Tensor]) -> list[Tensor]:
    return [t.detach().clone().requires_grad_() for t in tensors]


def give_gradients(*several: list[Tensor]) -> None:
    for tensors in zip(*several, strict=True):
        gradient = torch.randn(tensors[0].shape, dtype=tensors[0].dtype)
        for tensor in tensors:
            tensor.grad = gradient.view(tensor.shape).to(tensor.dtype).clone()


def written_out(weight: Tensor, moment: Tensor, gradient: Tensor, rate: float, keep: float) -> None:
    """One update of one matrix, in place: Jordan's with the scale of Liu et al."""
    moment.copy_(keep * moment + (1 - keep) * gradient)
    x = keep * moment + (1 - keep) * gradient
    x = x / x.square().sum().sqrt()
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x - 4.7750 * (a @ x) + 2.0315 * (a @ (a @ x))
    weight -= rate * 0.2 * max(x.shape) ** 0.5 * x


def test_updates_equal_the_formula_written_out_matrix_by_matrix() -> None:
    ours = draw()
    theirs = [t.detach().flatten(1).clone() for t in ours if t.dim() > 1]
    moments = [torch.zeros_like(t) for t in theirs]
    optimiser = Muon(ours, lr=0.1, momentum=0.9)
    for _ in range(8):
        give_gradients(ours)
        optimiser.step()
        matrices = [t for t in ours if t.dim() > 1]
        for own, weight, moment in zip(matrices, theirs, moments, strict=True):
            assert own.grad is not None
            written_out(weight, moment, own.grad.flatten(1), 0.1, 0.9)
            torch.testing.assert_close(own.flatten(1), weight, rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_updates_equal_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "PRECISION", {"cpu": torch.bfloat16})
    ours = [t.detach().float().requires_grad_() for t in draw([(16, 40), (40, 16), (16, 40)])]
    theirs = copies(ours)
    mine = Muon(ours, lr=0.1)
    published = torch.optim.Muon(
        theirs, lr=0.1, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(8):
        before = copies(theirs)
        give_gradients(ours, theirs)
        mine.step()
        published.step()  # type: ignore[no-untyped-call]
        for a, b, old in zip(ours, theirs, before, strict=True):
            # both round to bf16, at different places
            assert (a - b).norm() < 0.05 * (b - old).norm()
            a.data.copy_(b)


def test_vectors_move_as_by_adam() -> None:
    shapes: list[tuple[int, ...]] = [(7,), (1,), (), (4,)]
    ours = draw(shapes)
    theirs = copies(ours)
    mine = Muon(ours, lr=1e-2, betas=(0.8, 0.95))
    adam = torch.optim.Adam(theirs, lr=1e-2, betas=(0.8, 0.95))
    for _ in range(20):
        give_gradients(ours, theirs)
        mine.step()
        adam.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_an_update_has_no_direction_that_is_larger_than_others() -> None:
    torch.manual_seed(6)
    turn = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64)).Q
    narrow = turn @ torch.diag(torch.logspace(0, -2, 12, dtype=torch.float64)) @ turn.T
    for x in (narrow[:5], narrow[:, :5]):
        values = torch.linalg.svdvals(orthogonal(x[None])[0])
        assert 0.6 < values.min() < values.max() < 1.3
    assert torch.equal(orthogonal(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def test_a_convolution_moves_as_its_flattened_filters() -> None:
    (filters,) = draw([(4, 3, 3, 3)])
    last = filters.detach().to(memory_format=torch.channels_last).requires_grad_()
    flat = filters.detach().flatten(1).requires_grad_()
    # a layout that no matrix can be a view of
    turned = filters.detach().permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0).requires_grad_()
    optimisers = [Muon([x], lr=0.1) for x in (last, flat, turned)]
    start = last.detach().clone()
    for _ in range(6):
        gradient = torch.randn(4, 3, 3, 3, dtype=torch.float64)
        last.grad = gradient.to(memory_format=torch.channels_last)
        flat.grad, turned.grad = gradient.flatten(1), gradient
        for optimiser in optimisers:
            optimiser.step()
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last.flatten(1), flat, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(turned.flatten(1), flat, rtol=1e-10, atol=1e-12)
    assert (last - start).abs().max() > 0.05


def test_together_is_one_at_a_time() -> None:
    together = draw()
    alone = copies(together)
    optimisers = [Muon(together, lr=0.1), *(Muon([t], lr=0.1) for t in alone)]
    for _ in range(5):
        give_gradients(together, alone)
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(together, alone, rtol=1e-11, atol=1e-13)


def test_a_rate_may_be_a_tensor() -> None:
    plain = draw()
    given = copies(plain)
    by_number, by_tensor = Muon(plain, lr=0.5), Muon(given, lr=0.5)
    rate = torch.tensor(0.0, dtype=torch.float64)
    by_tensor.param_groups[0]["lr"] = rate
    for now in (0.1, 0.02, 0.003):
        by_number.param_groups[0]["lr"] = now
        rate.fill_(now)
        give_gradients(plain, given)
        by_number.step()
        by_tensor.step()
    torch.testing.assert_close(plain, given, rtol=1e-12, atol=1e-14)


def test_what_has_no_gradient_stays() -> None:
    moved, still = draw([(4, 3), (4, 3)])
    start = still.detach().clone()
    optimiser = Muon([moved, still], lr=0.1)
    give_gradients([moved])
    optimiser.step()
    assert torch.equal(still, start)
    assert not optimiser.state[still]
    optimiser.zero_grad(set_to_none=True)
    before = moved.detach().clone()
    optimiser.step()
    assert torch.equal(moved, before)


def test_a_run_goes_on_bit_for_bit(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(optimisation={"updates": 40, "learning_rate": 1e-3, "optimiser": "muon"})
    learner, random = Learner(recipe, CPU), torch.Generator().manual_seed(1)
    assert isinstance(learner.optimiser, Muon)
    for batch in batches(random, 3):
        learner.update(*batch)
    path = save_checkpoint(tmp_path, learner, random, Progress(step=3), "data")
    other, other_random = Learner(recipe, CPU), torch.Generator()
    load_checkpoint(path, other, other_random, "data")
    for who, draws in ((learner, random), (other, other_random)):
        for batch in batches(draws, 3):
            who.update(*batch)
    assert same(learner, other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_update_is_captured_once_and_made_at_any_rate() -> None:
    device = torch.device("cuda")
    shapes: list[tuple[int, ...]] = [(8, 4, 3, 3), (8, 36), (8,)]
    plain = [t.detach().float().to(device).requires_grad_() for t in draw(shapes)]
    captured = copies(plain)
    eager, replayed = Muon(plain, lr=0.0), Muon(captured, lr=0.0)
    rate = torch.zeros((), device=device)
    replayed.param_groups[0]["lr"] = rate
    give_gradients([t.cpu().requires_grad_() for t in plain])
    for one, other in zip(plain, captured, strict=True):
        one.grad = torch.randn_like(one)
        other.grad = one.grad.clone()
    eager.step()
    replayed.step()  # begins the state, outside of the graph
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        replayed.step()
    for now in (0.1, 0.03):
        eager.param_groups[0]["lr"] = now
        rate.fill_(now)
        eager.step()
        graph.replay()
    torch.testing.assert_close(plain, captured, rtol=1e-3, atol=1e-4)
