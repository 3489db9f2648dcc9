"""Batch norm (Ioffe and Szegedy 2015, arXiv 1502.03167) over the shares of several processes.

torch's own SyncBatchNorm computes on GPUs alone; this one does on whatever torch.distributed
exchanges. Tested against torch's batch norm on the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sreval.errors import UsageError
from sreval.training.recipe import change


class _Synchronised(nn.modules.batchnorm._BatchNorm):
    """A batch norm which, while it trains, has the statistics of all processes' shares.

    Parameters, buffers, and all it does in evaluation are those of torch's. The statistics are
    computed in fp32 at least, also where the input is of a shorter type. The gradients of weight
    and bias are those of the own share, as of any layer: DistributedDataParallel takes their mean.
    """

    # an exchange can't be compiled
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, input: Tensor) -> Tensor:
        """input: (N, C, ...), any float dtype; returns the same."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        result, mean, variance, values = _Normalise.apply(input, self.weight, self.bias, self.eps)
        if self.running_mean is not None and self.running_var is not None:
            self._follow(mean, variance * values / (values - 1))
        return result  # type: ignore[no-any-return]

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            made = self.num_batches_tracked.to(running.dtype)
            step = 1 / made if self.momentum is None else self.momentum
            running.add_(step * (new.to(running.dtype) - running))


class SyncBatchNorm1d(_Synchronised, nn.BatchNorm1d):
    """nn.BatchNorm1d over all processes."""


class SyncBatchNorm2d(_Synchronised, nn.BatchNorm2d):
    """nn.BatchNorm2d over all processes."""


class SyncBatchNorm3d(_Synchronised, nn.BatchNorm3d):
    """nn.BatchNorm3d over all processes."""


_KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SyncBatchNorm1d,
    nn.BatchNorm2d: SyncBatchNorm2d,
    nn.BatchNorm3d: SyncBatchNorm3d,
}


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, _axes(x), correction=0)
        count = mean.new_full(mean.shape, x.numel() / x.shape[1])
        own = torch.stack([count, mean, variance])
        shares = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(shares, own)
        counts, means, variances = torch.stack(shares).unbind(1)
        values = counts.sum(0)
        weights = counts / values
        total = (weights * means).sum(0)
        # each share's variance is about its own mean: Chan et al. 1979
        variance = (weights * (variances + (means - total).square())).sum(0)
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, total, scale, values)
        factor = scale if weight is None else scale * weight
        offset = -total * factor if bias is None else bias - total * factor
        result = torch.addcmul(_wide(offset, x), wide, _wide(factor, x)).to(x.dtype)
        ctx.mark_non_differentiable(total, variance, values)
        return result, total, variance, values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, values = ctx.saved_tensors
        gradient = gradient.to(scale.dtype)
        normalised = (x.to(scale.dtype) - _wide(mean, x)) * _wide(scale, x)
        own = torch.stack([gradient.sum(_axes(x)), (gradient * normalised).sum(_axes(x))])
        slopes = (own[1], own[0]) if weight is not None else (None, None)
        sums = own.clone()
        dist.all_reduce(sums)
        means = sums / values
        back = gradient - _wide(means[0], x) - normalised * _wide(means[1], x)
        back = back * _wide(scale if weight is None else scale * weight, x)
        return back.to(x.dtype), *slopes, None


def _axes(x: Tensor) -> tuple[int, ...]:
    return 0, *range(2, x.ndim)


def _wide(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(-1, *(1,) * (x.ndim - 2))


def synchronise(network: nn.Module) -> None:
    """Make every batch norm of a network one over all processes, its tensors untouched.

    torch's own SyncBatchNorm is that already. Raises UsageError for another class's, of which
    nobody knows what it does.
    """
    for name, module in network.named_modules():
        if kind := _KINDS.get(type(module)):
            module.__class__ = kind
        elif isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(
            module, nn.SyncBatchNorm | _Synchronised
        ):
            raise UsageError(
                f"The batch norm {name!r} is of the class {type(module).__name__}, which can't be "
                "synchronised over several processes.",
                f"Make it torch's own, or {change('optimisation.batch_norm', 'per rank')}.",
            )
