"""PoseC3D: 3D convolutions on heatmaps of joints or limbs, which are the channels.

Duan et al., "Revisiting Skeleton-based Action Recognition", CVPR 2022, https://arxiv.org/abs/2104.13586. The trunks are
shallow: heatmaps are small, and already mean something. Published with SlowOnly: NTU RGB+D 60 (cross-subject, 2D)
joints 93.6, limbs 93.5 % top-1; FineGYM 93.5 and 93.6 % mean class accuracy; Kinetics-400 47.4, UCF101 86.8, HMDB51
69.6 % top-1. No weights of the other trunks are published in MMAction2's zoo.

All take ``layout`` (a name, or edges of one's own) and ``kind`` ("keypoint" or "limb"), which say what the channels
are; ``in_chans`` alone means the first layout with as many joints or limbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..weights.skeletons import LayoutLike, find_layout
from ..weights.tables.skeleton import HEATMAPS
from ._registry import register_model
from .layers.conv3d import Bottleneck, Stem, conv, residual_stage
from .layers.recognizer import ClassifierHead, Recognizer, init_convs
from .x3d import Block as X3DBlock
from .x3d import ConvPool
from .x3d import Stem as X3DStem


class PoseSlowOnly(Recognizer):
    """PoseC3D with SlowOnly: heatmaps (B, V, T, H, W) -> (B, num_classes).

    Args:
        in_chans: V, joints or limbs.
        depths: blocks of each stage; each halves the picture, the last one the frames too.
        width: channels of the stem.
    """

    default_data_config = HEATMAPS

    def __init__(
        self,
        num_classes: int = 60,
        in_chans: int = 17,
        dropout: float = 0.5,
        *,
        depths: Sequence[int] = (4, 6, 3),
        width: int = 32,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.stem = Stem(conv(in_chans, width, (1, 7, 7)), width, pool=False)
        self.stem.pool = nn.MaxPool3d((1, 3, 3), 1, (0, 1, 1))  # without a stride, but there
        self.feature_info = [{"module": "stem", "num_chs": width, "reduction": (1, 1)}]
        in_channels, last = width, len(depths) - 1
        for i, depth in enumerate(depths):
            stride = (2 if i == last else 1, 2)
            stage = residual_stage(Bottleneck, in_channels, width << i, depth, stride, [i > 0] * depth)
            in_channels = 4 * width << i
            setattr(self, f"layer{i + 1}", stage)
            info = {"module": f"layer{i + 1}", "num_chs": in_channels, "reduction": (stride[0], 2 << i)}
            self.feature_info.append(info)
        self.stages = tuple(info["module"] for info in self.feature_info)
        self.head = ClassifierHead(in_channels, num_classes, dropout)
        init_convs(self)


class ConvStage(nn.Module):
    """Pooling of the picture, then 3x3x3 convolutions with batch norm."""

    def __init__(self, *channels: int, pool: bool = True):
        super().__init__()
        self.pool = nn.MaxPool3d((1, 2, 2)) if pool else nn.Identity()
        self.convs = nn.ModuleList(nn.Conv3d(i, o, 3, padding=1, bias=False) for i, o in pairwise(channels))
        self.bns = nn.ModuleList(nn.BatchNorm3d(o) for o in channels[1:])

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        for conv3, bn in zip(self.convs, self.bns, strict=True):
            x = F.relu(bn(conv3(x)), inplace=True)
        return x


class PoseConvNet(Recognizer):
    """PoseC3D with a C3D of six convolutions that keeps the frames: (B, V, T, H, W) -> (B, num_classes)."""

    default_data_config = HEATMAPS

    def __init__(self, num_classes: int = 60, in_chans: int = 17, dropout: float = 0.5, *, width: int = 32):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        w = width
        self.stem = ConvStage(in_chans, w, pool=False)
        self.layer1 = ConvStage(w, 2 * w)
        self.layer2 = ConvStage(2 * w, 4 * w, 4 * w)
        self.layer3 = ConvStage(4 * w, 8 * w, 8 * w)
        self.stages = ("stem", "layer1", "layer2", "layer3")
        self.feature_info = [
            {"module": name, "num_chs": w << i, "reduction": (1, 1 << i)} for i, name in enumerate(self.stages)
        ]
        self.head = ClassifierHead(8 * w, num_classes, dropout)
        init_convs(self)


class PoseX3D(Recognizer):
    """PoseC3D with an X3D of three stages without squeeze-and-excitation: (B, V, T, H, W) -> (B, num_classes)."""

    default_data_config = HEATMAPS

    def __init__(
        self,
        num_classes: int = 60,
        in_chans: int = 17,
        dropout: float = 0.5,
        *,
        depths: Sequence[int] = (2, 5, 3),
        width: int = 24,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.stem = X3DStem(in_chans, width)
        self.stem.conv_s.stride = (1, 1, 1)
        self.feature_info = [{"module": "stem", "num_chs": width, "reduction": (1, 1)}]
        in_channels = width
        for i, depth in enumerate(depths):
            channels, stage = width << i, nn.Sequential()
            hidden = int(2.25 * channels)
            for j in range(depth):
                stage.append(X3DBlock(in_channels, hidden, channels, 2 if j == 0 else 1, se=False, shortcut_bn=True))
                in_channels = channels
            setattr(self, f"layer{i + 1}", stage)
            info = {"module": f"layer{i + 1}", "num_chs": channels, "reduction": (1, 2 << i)}
            self.feature_info.append(info)
        self.conv5 = ConvPool(in_channels, hidden)
        self.feature_info.append({**self.feature_info[-1], "module": "conv5", "num_chs": hidden})
        self.stages = tuple(info["module"] for info in self.feature_info)
        self.head = ClassifierHead(hidden, num_classes, dropout)
        init_convs(self)


def _of_heatmaps(
    network: type[Recognizer], in_chans: int | None = None, layout: LayoutLike | None = None, kind=None, **kwargs
) -> Recognizer:
    """``network`` with a channel for each joint or limb; it says which, where the caller does."""
    if layout is not None and not isinstance(layout, str):
        layout = find_layout(layout).edges
    model = network(in_chans=HEATMAPS.with_channels(in_chans, layout, kind).view_shape[0], **kwargs)
    model.layout, model.kind = layout, kind
    return model


@register_model
def posec3d_slowonly_r50(**kwargs) -> PoseSlowOnly:
    """PoseC3D, SlowOnly trunk: (B, 17, 48, 64, 64) -> (B, num_classes)."""
    return _of_heatmaps(PoseSlowOnly, **kwargs)


@register_model
def posec3d_c3d(**kwargs) -> PoseConvNet:
    """PoseC3D, shallow C3D trunk: (B, 17, 48, 64, 64) -> (B, num_classes)."""
    return _of_heatmaps(PoseConvNet, **kwargs)


@register_model
def posec3d_x3d(**kwargs) -> PoseX3D:
    """PoseC3D, shallow X3D trunk: (B, 17, 48, 64, 64) -> (B, num_classes)."""
    return _of_heatmaps(PoseX3D, **kwargs)
