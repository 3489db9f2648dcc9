"""Muon of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/): orthogonal updates.

The momentum of a matrix is dominated by few directions. Muon replaces it by the nearest matrix
with orthogonal rows or columns, so that the rare directions are learned as fast as the frequent
ones, at the price of some products of matrices: less than Soap's bases ask for.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam

QUINTIC = 3.4445, -4.7750, 2.0315
STEPS = 5
"""The published a, b, c of the Newton-Schulz step X -> a X + b (X X') X + c (X X')^2 X, and how
many of them: all singular values come into about [0.7, 1.2] and don't converge further."""

PRECISION = {"cuda": torch.bfloat16}
"""What the Newton-Schulz steps are made in; elsewhere in the parameter's own type, which a
processor without bf16 products is faster with."""


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal for weights of two and more dimensions, Adam for all others.

    A convolution's (O, I, h, w) counts as the matrix (O, I * h * w). Matrices of one shape are
    made orthogonal together, so that a network asks for few and large products. An update is
    scaled by 0.2 sqrt(max(rows, columns)), section 2.2 of Liu et al. 2025 (arXiv 2502.16982): its
    entries then have the size of Adam's, and one learning rate serves both.

    The input and the output layer, which Jordan et al. leave to Adam, are matrices like all others
    here: SRResNet learned no faster with Adam for them. `betas` are Adam's; `momentum` is
    Nesterov's. All state is tensors of one parameter group, so that a checkpoint holds all of it. A
    checkpoint brings whole numbers back on the host, so steps are counted in floats. An update
    never waits for the device, and `lr` may be a tensor without dimensions on it, so that an update
    can be captured as a CUDA graph once and made at any rate.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float | Tensor,
        betas: tuple[float, float] = (0.95, 0.95),
        momentum: float = 0.95,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            matrices = [p for p in given if p.dim() > 1]
            vectors = [p for p in given if p.dim() <= 1]
            self._step_orthogonal(matrices, group["lr"], group["momentum"])
            self._step_adam(vectors, group["lr"], group["betas"])

    def _step_orthogonal(
        self, parameters: list[Tensor], rate: float | Tensor, momentum: float
    ) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        if not parameters:
            return
        gradients = [_gradient(p) for p in parameters]
        momenta = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        # Nesterov's: where the momentum will be after the same gradient once more
        ahead = torch._foreach_lerp(gradients, momenta, momentum)
        alike: dict[tuple[int, int], list[int]] = {}
        for place, parameter in enumerate(parameters):
            shape = parameter.shape[0], parameter[0].numel()
            alike.setdefault(shape, []).append(place)
        for shape, places in alike.items():
            own = [parameters[place] for place in places]
            update = orthogonal(
                torch.stack([_matrix(ahead[n], p) for n, p in zip(places, own, strict=True)])
            )
            update.mul_(0.2 * max(shape) ** 0.5).mul_(rate)
            back = [_like(one, p) for one, p in zip(update.unbind(), own, strict=True)]
            torch._foreach_sub_(own, back)

    def _step_adam(
        self, parameters: list[Tensor], rate: float | Tensor, betas: tuple[float, float]
    ) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                # on the device, where the fused update counts without a wait
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        if not parameters:
            return
        states = [self.state[p] for p in parameters]
        adam(
            parameters,
            [_gradient(p) for p in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=False,
            fused=True,
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def orthogonal(x: Tensor) -> Tensor:
    """About U V' of each matrix U S V' of a stack (N, rows, columns); the same shape and type."""
    a, b, c = QUINTIC
    tall = x.shape[1] > x.shape[2]
    y = x.mT if tall else x
    # no singular value is above 1 after this; a matrix of zeros stays one
    y = y / torch.linalg.vector_norm(y, dim=(1, 2), keepdim=True).clamp_min(1e-30)
    y = y.to(PRECISION.get(x.device.type, x.dtype))
    for _ in range(STEPS):
        gram = y @ y.mT
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        y = torch.baddbmm(y, factor, y, beta=a)
    return (y.mT if tall else y).to(x.dtype).contiguous()


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _order(like: Tensor) -> list[int]:
    """The dimensions, the first one first and the others as they lie in memory."""
    return [0, *sorted(range(1, like.dim()), key=like.stride, reverse=True)]


def _matrix(x: Tensor, like: Tensor) -> Tensor:
    """(O, ...) as (O, K). Columns stand as in `like`'s memory, which spares a copy: an orthogonal
    matrix stays one in any order of its columns."""
    return x.permute(_order(like)).flatten(1)


def _like(matrix: Tensor, like: Tensor) -> Tensor:
    """What `_matrix` made a matrix of, as a view that lies in memory as `like` does."""
    order = _order(like)
    back = sorted(range(like.dim()), key=order.__getitem__)
    return matrix.view([like.shape[axis] for axis in order]).permute(back)
