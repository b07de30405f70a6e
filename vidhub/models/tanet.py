"""TANet, temporal adaptive modules: each clip makes the temporal kernel and the weights that its features go through.

Liu et al., "TAM: Temporal Adaptive Module for Video Recognition", ICCV 2021, https://arxiv.org/abs/2005.06803.
Published with ResNet-50: Kinetics-400 (dense 8 frames) 76.3, Something-Something V1 with 8 frames 49.7, with 16 51.0 %
top-1.
"""

from __future__ import annotations

import torch.nn.functional as F
from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from ..errors import InputError
from ._registry import register_model
from .layers.frames import FrameModel, insert_before


class AdaptiveTime(nn.Module):
    """A temporal convolution, one kernel for each clip and channel, after a weight for each frame and channel.

    (B * T, C, H, W) -> the same shape. Pooled features give both: the kernel from all frames of one channel
    (``kernel``), the weights from neighbouring frames of all channels (``weight``).
    """

    def __init__(self, channels: int, num_frames: int, kernel_size: int = 3, expand: int = 2, reduce: int = 4):
        super().__init__()
        self.num_frames = num_frames
        self.kernel = nn.Sequential(
            nn.Linear(num_frames, num_frames * expand, bias=False),
            nn.BatchNorm1d(num_frames * expand),
            nn.ReLU(inplace=True),
            nn.Linear(num_frames * expand, kernel_size, bias=False),
            nn.Softmax(-1),
        )
        self.weight = nn.Sequential(
            nn.Conv1d(channels, channels // reduce, 3, padding=1, bias=False),
            nn.BatchNorm1d(channels // reduce),
            nn.ReLU(inplace=True),
            nn.Conv1d(channels // reduce, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        clips = x.unflatten(0, (-1, self.num_frames)).transpose(1, 2)  # (B, C, T, H, W)
        pooled = clips.mean((3, 4))
        kernels = self.kernel(pooled.flatten(0, 1))  # (B * C, 3)
        weighted = clips * self.weight(pooled)[..., None, None]
        # each channel's kernel as a band matrix: as many products of matrices, not convolutions of as many groups
        beside = self.num_frames - 1 - kernels.shape[1] // 2
        band = F.pad(kernels, (beside, beside)).unfold(1, self.num_frames, 1).flip(1)  # (B * C, T, T)
        mixed = band @ weighted.flatten(0, 1).flatten(2)
        return mixed.view_as(weighted).transpose(1, 2).flatten(0, 1)


class TANet(FrameModel):
    """TANet: (B, C, num_frames, H, W) -> (B, num_classes).

    Args:
        backbone: a ResNet of timm with bottlenecks; the modules stand in front of their 3x3 convolutions.
        num_frames: of a clip.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        backbone: str = "resnet50",
        num_frames: int = 8,
    ):
        super().__init__(num_classes, in_chans, dropout, backbone=backbone, drop_frames=True)
        self.fixed_frames = num_frames
        blocks = [m for m in self.backbone.modules() if isinstance(m, Bottleneck)]
        if not blocks:
            raise InputError(f"TANet's modules go into ResNets of bottlenecks, and {backbone!r} is none.")
        for block in blocks:
            insert_before(block, "conv2", AdaptiveTime(block.conv2.in_channels, num_frames))


@register_model
def tanet_r50(**kwargs) -> TANet:
    """TANet on ResNet-50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TANet(**kwargs)
