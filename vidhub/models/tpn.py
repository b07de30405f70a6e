"""TPN, temporal pyramids: the last two stages of a trunk, brought to one size and rate, joined from both ends.

Yang et al., "Temporal Pyramid Network for Action Recognition", CVPR 2020, https://arxiv.org/abs/2004.03548. Published
on SlowOnly-R50 8x8: Kinetics-400 74.2 (from scratch) and 76.7 (ImageNet), on TSM-R50: Something-Something V1 51.9 %
top-1. The full-convolution pass of the published test equals pooling before the classifier, which is done here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._registry import register_model
from .layers.conv3d import conv_bn_relu
from .layers.recognizer import ClassifierHead, Recognizer, init_convs, place_like
from .resnet3d import slowonly_r50
from .tsm import TSM

_GROUPS = 32  # of the convolutions that change the width within a level


def conv_time(in_channels: int, out_channels: int, groups: int = 1) -> nn.Module:
    """Convolution over three frames."""
    return nn.Conv3d(in_channels, out_channels, (3, 1, 1), padding=(1, 0, 0), groups=groups, bias=False)


class Fusion(nn.Module):
    """Two levels (B, C, T, H, W) -> (B, out_channels, T, H, W): each convolved by groups, then both together."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.levels = nn.ModuleList(conv_bn_relu(channels, channels, groups=_GROUPS) for _ in range(2))
        self.join = conv_bn_relu(2 * channels, out_channels)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        return self.join(torch.cat((self.levels[0](low), self.levels[1](high)), 1))


class Pyramid(nn.Module):
    """Maps of the last two stages (B, C, T, H, W), (B, 2C, T, H/2, W/2) -> (B, 2C, T/8, H/2, W/2).

    ``rate``: every level keeps the strongest of so many frames.
    """

    def __init__(self, channels: int, rate: int = 8):
        super().__init__()
        wide = 2 * channels
        self.space = conv_bn_relu(channels, wide, (1, 3, 3), (1, 2))
        self.time = nn.ModuleList(conv_time(wide, channels, _GROUPS) for _ in range(2))
        self.pool = nn.MaxPool3d((rate, 1, 1), ceil_mode=True)
        self.up = conv_time(channels, channels)
        self.top_down = Fusion(channels, wide)
        self.bottom_up = Fusion(channels, wide)
        self.join = conv_bn_relu(2 * wide, wide)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        low, high = (self.pool(time(x)) for time, x in zip(self.time, (self.space(low), high), strict=True))
        low = low + high
        top_down = self.top_down(low, high)
        bottom_up = self.bottom_up(low, high + self.up(low))
        return self.join(torch.cat((top_down, bottom_up), 1))


class AuxiliaryHead(ClassifierHead):
    """Classifies the last stage but one, to help it in training: (B, C, T, H, W) -> (B, num_classes)."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__(2 * channels, num_classes)
        self.conv = conv_bn_relu(channels, 2 * channels, (1, 3, 3), (1, 2))

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return super().forward(self.conv(x), pre_logits)


class TPN(Recognizer):
    """TPN on a trunk whose last two stages have C and 2C channels: (B, C, T, H, W) -> (B, num_classes).

    Its loss in training adds ``auxiliary_weight`` times that of the auxiliary head.
    """

    auxiliary_weight = 0.5
    training_only = ("auxiliary.",)
    class_dependent = ("head.fc.", "auxiliary.fc.")  # beginnings of the names of weights

    def __init__(self, trunk: Recognizer, num_classes: int, dropout: float):
        super().__init__()
        self.num_classes, self.in_chans, self.fixed_frames = num_classes, trunk.in_chans, trunk.fixed_frames
        self.trunk = trunk
        self.trunk.reset_classifier(0)
        channels = trunk.feature_info[-2]["num_chs"]
        self.neck = Pyramid(channels)
        self.auxiliary = AuxiliaryHead(channels, num_classes)
        self.head = ClassifierHead(2 * channels, num_classes, dropout)
        self.stages = (*trunk.stages, "neck")
        last = trunk.feature_info[-1]
        self.feature_info = [{**info, "module": f"trunk.{info['module']}"} for info in trunk.feature_info]
        self.feature_info.append({**last, "module": "neck", "reduction": (8, last["reduction"][1])})
        for part in (self.neck, self.auxiliary):
            init_convs(part)

    def forward(self, x: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Clips (B, C, T, H, W) -> logits (B, num_classes); with ``auxiliary`` also those of the auxiliary head."""
        last, maps = self.forward_intermediates(x, indices=[-3])
        logits = self.forward_head(last)
        return (logits, self.auxiliary(maps[0])) if auxiliary else logits

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        self._check_input(x)
        _, maps = self.trunk.forward_intermediates(x)
        if "neck" in self.stages:  # and was not dropped
            maps.append(self.run_block(self.neck, *maps[-2:]))
        return maps[-1], [maps[i] for i in self.stage_indices(indices)]

    def _drop_stages_from(self, position: int) -> None:
        del self.auxiliary
        if position < len(self.stages):
            del self.neck
            self.trunk.prune_intermediate_layers(list(range(position)))
        self.stages = self.stages[:position]

    def reset_classifier(self, num_classes: int) -> None:
        super().reset_classifier(num_classes)
        self.auxiliary.reset(num_classes)
        place_like(self.auxiliary.fc, self)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        super().set_grad_checkpointing(enable)
        self.trunk.set_grad_checkpointing(enable)

    def group_matcher(self, coarse: bool = False) -> dict:
        return {
            "stem": r"^trunk\.(?:stem|backbone\.(?:conv1|bn1))\.",
            "blocks": r"^trunk\.(?:backbone\.)?layer(\d)\." if coarse else r"^trunk\.(?:backbone\.)?layer(\d)\.(\d+)\.",
        }


@register_model
def tpn_slowonly_r50(num_classes: int = 400, in_chans: int = 3, dropout: float = 0.5) -> TPN:
    """TPN on SlowOnly-R50 8x8: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TPN(slowonly_r50(in_chans=in_chans), num_classes, dropout)


@register_model
def tpn_tsm_r50(num_classes: int = 174, in_chans: int = 3, dropout: float = 0.5, num_frames: int = 8) -> TPN:
    """TPN on TSM-R50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TPN(TSM(in_chans=in_chans, num_frames=num_frames), num_classes, dropout)
