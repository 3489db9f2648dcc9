"""SOAP of Vyas et al. 2024 (arXiv 2409.11321), algorithm 3: Adam in the eigenbasis of Shampoo.

The small luma networks are badly conditioned: neighbouring pixels of a filter move together, and
Adam, which scales each weight on its own, takes many times as many updates for the same loss.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

WIDEST = 2048
"""The longest side of a weight for which a basis is kept over channels and pixels together."""


class Soap(torch.optim.Optimizer):
    """Adam's update of each weight, in a basis that follows the gradient's second moments.

    A weight of two and more dimensions is turned along each of them; a convolution's (O, I, h, w)
    counts as (O, I * h * w), so that the basis knows how neighbouring pixels of different channels
    move together, or, where that is too wide, as (O, I, h * w). Biases and scales have Adam's
    update as it is. The basis is brought up
    to date every `every` updates by one step of power iteration; the first update only begins the
    moments, as published. All state is tensors, so that a checkpoint holds all of it.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        every: int = 10,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "every": every})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = _matrix(parameter.grad)
                state = self.state[parameter]
                if not state:
                    _begin(state, gradient, beta2)
                    continue
                state["step"] += 1
                done = int(state["step"])
                bases = _bases(state)
                state["exp_avg"].lerp_(gradient, 1 - beta1)
                state["exp_avg_sq"].lerp_(_turned(gradient, bases).square(), 1 - beta2)
                scale = state["exp_avg_sq"].sqrt().add_(group["eps"])
                scaled = _turned(state["exp_avg"], bases) / scale
                rate = group["lr"] * (1 - beta2**done) ** 0.5 / (1 - beta1**done)
                parameter.sub_(rate * _turned_back(scaled, bases).view_as(parameter))
                for axis in range(len(bases)):
                    state[f"moment.{axis}"].lerp_(_moment(gradient, axis), 1 - beta2)
                    if done % group["every"] == 0:
                        _follow(state, axis)


def _matrix(gradient: Tensor) -> Tensor:
    if gradient.dim() < 3:
        return gradient
    together = gradient[0].numel() <= WIDEST
    return gradient.contiguous().flatten(1 if together else 2)


def _begin(state: dict[str, Tensor], gradient: Tensor, beta2: float) -> None:
    # on the host, where counting costs the device no wait
    state["step"] = torch.zeros((), dtype=torch.int64)
    state["exp_avg"] = torch.zeros_like(gradient)
    state["exp_avg_sq"] = torch.zeros_like(gradient)
    for axis in range(gradient.dim() if gradient.dim() > 1 else 0):
        state[f"moment.{axis}"] = (1 - beta2) * _moment(gradient, axis)
        vectors = torch.linalg.eigh(state[f"moment.{axis}"]).eigenvectors
        state[f"basis.{axis}"] = vectors.flip(1).contiguous()


def _bases(state: dict[str, Tensor]) -> list[Tensor]:
    return [state[name] for name in sorted(state) if name.startswith("basis.")]


def _moment(gradient: Tensor, axis: int) -> Tensor:
    rows = gradient.movedim(axis, 0).flatten(1)
    return rows @ rows.T


def _turned(x: Tensor, bases: list[Tensor]) -> Tensor:
    # each product takes the first axis and puts the new one last: in the end all are in order
    for basis in bases:
        x = torch.tensordot(x, basis, dims=([0], [0]))
    return x


def _turned_back(x: Tensor, bases: list[Tensor]) -> Tensor:
    for basis in bases:
        x = torch.tensordot(x, basis, dims=([0], [1]))
    return x


def _follow(state: dict[str, Tensor], axis: int) -> None:
    """One power iteration of a basis; the scales keep to the eigenvectors they belong to."""
    basis = state[f"basis.{axis}"]
    product = state[f"moment.{axis}"] @ basis
    order = (basis * product).sum(0).argsort(descending=True)
    state["exp_avg_sq"] = state["exp_avg_sq"].index_select(axis, order)
    state[f"basis.{axis}"] = torch.linalg.qr(product[:, order]).Q.contiguous()
