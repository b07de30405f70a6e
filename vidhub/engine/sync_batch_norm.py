"""Batch norm over the clips of all processes, so that many with few clips each train as one with many."""

from __future__ import annotations

import torch
import torch.distributed
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def convert_sync_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` with its batch norms in place of themselves: PyTorch's own on GPUs, which it has for nothing else."""
    if device.type == "cuda":
        return convert_sync_batchnorm(model)
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, _SyncBatchNorm):
                setattr(module, name, _SyncBatchNorm.like(child))
    return model


class _Sum(torch.autograd.Function):
    """The sum over all processes, through which gradients flow back to all of them."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class _SyncBatchNorm(_BatchNorm):
    """In training mode; every process must hold equally many values."""

    @classmethod
    def like(cls, norm: _BatchNorm) -> _SyncBatchNorm:
        sync = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        sync.load_state_dict(norm.state_dict())
        for own, parameter in zip(sync.parameters(), norm.parameters(), strict=True):
            own.requires_grad_(parameter.requires_grad)
        # timm's have an activation in them
        sync.after = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
        return sync.train(norm.training)

    def _check_input_dim(self, x: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self._normalise(x) if self.training else super().forward(x))

    def _normalise(self, x: Tensor) -> Tensor:
        world_size = torch.distributed.get_world_size()
        dims = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        mean = _Sum.apply(x.mean(dims)) / world_size
        var = _Sum.apply((x - mean.view(shape)).square().mean(dims)) / world_size
        if self.track_running_stats:
            count = x.numel() / x.shape[1] * world_size
            with torch.no_grad():
                self.num_batches_tracked += 1
                momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
                self.running_var.lerp_((var * count / (count - 1)).to(self.running_var.dtype), momentum)
        x = (x - mean.view(shape)) * (var + self.eps).rsqrt().view(shape)
        return x * self.weight.view(shape) + self.bias.view(shape) if self.affine else x
