"""TIN, temporal interlacing: groups of channels move along time by offsets that the clip itself decides.

Shao et al., "Temporal Interlacing Network", AAAI 2020, https://arxiv.org/abs/2001.06499. Published with ResNet-50 and 8
frames: Something-Something V1 38.7, V2 54.8, Kinetics-400 (from TSM's weights) 71.9 % top-1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._registry import register_model
from .layers.frames import FrameModel, insert_before, residual_branches

_MAX_OFFSET = 2.0  # frames


class Interlace(nn.Module):
    """Shifts the first 1/``div`` of the channels along time: (B * T, C, H, W) -> the same shape.

    These channels fall into four groups. The clip's pooled features give two offsets, for the first two groups, whose
    opposites are those of the other two, and a weight for each frame and offset.
    """

    def __init__(self, channels: int, num_frames: int, div: int):
        super().__init__()
        self.num_frames, self.moving = num_frames, channels // div
        self.offset_conv = nn.Conv1d(self.moving, 1, 3, padding=1)
        self.offset_fc1 = nn.Linear(num_frames, num_frames)
        self.offset_fc2 = nn.Linear(num_frames, 2)
        self.weight_conv = nn.Conv1d(self.moving, 2, 3, padding=1)
        nn.init.constant_(self.offset_fc2.bias, 0.5108)  # starts with an offset of half a frame
        nn.init.zeros_(self.weight_conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        moving = x[:, : self.moving].unflatten(0, (-1, self.num_frames))  # (B, T, C, H, W)
        pooled = moving.mean((3, 4)).transpose(1, 2)  # (B, C, T)

        offsets = self.offset_fc2(torch.relu(self.offset_fc1(self.offset_conv(pooled).squeeze(1))))
        offsets = 2 * _MAX_OFFSET * (offsets.sigmoid() - 0.5)  # (B, 2)
        offsets = torch.cat((offsets, -offsets), 1)
        weights = 2 * self.weight_conv(pooled).sigmoid().transpose(1, 2)  # (B, T, 2)
        weights = weights.repeat(1, 1, 2).repeat_interleave(self.moving // 4, 2)  # (B, T, C)

        moved = shift_groups(moving, offsets) * weights[..., None, None]
        return torch.cat((moved.flatten(0, 1), x[:, self.moving :]), 1)


def shift_groups(x: Tensor, offsets: Tensor) -> Tensor:
    """Move groups of channels along time by fractions of frames, zeros coming in: (B, T, C, H, W) -> the same shape.

    Args:
        offsets: (B, groups) frames, positive towards later ones; between two frames values are mixed linearly.
    """
    time = x.shape[1]
    per_group = x.shape[2] // offsets.shape[1]
    shape = (x.shape[0], time, x.shape[2], 1, 1)
    position = torch.arange(time, device=x.device)[None, :, None] - offsets[:, None]  # (B, T, groups)
    first = position.floor()

    def taken(index: Tensor, weight: Tensor) -> Tensor:
        weight = weight * ((index >= 0) & (index < time))
        index = index.clamp(0, time - 1).long().repeat_interleave(per_group, 2).view(shape).expand_as(x)
        return x.gather(1, index) * weight.repeat_interleave(per_group, 2).view(shape)

    return taken(first, first + 1 - position) + taken(first + 1, position - first)


class TIN(FrameModel):
    """TIN network: (B, C, num_frames, H, W) -> (B, num_classes).

    Args:
        num_frames: of a clip.
        shift_div: one in this many channels moves.
    """

    def __init__(
        self,
        num_classes: int = 174,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        backbone: str = "resnet50",
        num_frames: int = 8,
        shift_div: int = 4,
    ):
        super().__init__(num_classes, in_chans, dropout, backbone=backbone, drop_frames=True)
        self.fixed_frames = num_frames
        for block, name in residual_branches(self.backbone):
            channels = getattr(block, name).in_channels
            insert_before(block, name, Interlace(channels, num_frames, shift_div))


@register_model
def tin_r50(**kwargs) -> TIN:
    """TIN on ResNet-50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TIN(**kwargs)
