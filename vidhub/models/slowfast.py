"""SlowFast: a wide pathway on few frames and a thin one on many, joined after every stage.

Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019, https://arxiv.org/abs/1812.03982.
Published on Kinetics-400 (30 views): R50 4x16 75.6, R50 8x8 76.9, R101 8x8 78.7 % top-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError, check_choice
from ._registry import register_model
from .layers.conv3d import Bottleneck, Stem, conv, conv_1x3x3, dilated_1x3x3, residual_stage
from .layers.recognizer import ClassifierHead, Recognizer, Window, average_windows, init_convs
from .resnet3d import LAYERS

Pair = tuple[Tensor, Tensor]  # (slow, fast)


class Lateral(nn.Module):
    """Fast features to slow ones: a temporal convolution with the frame ratio as its stride, twice as wide.

    With ``norm`` batch norm and ReLU follow; without, nothing does.
    """

    def __init__(self, channels: int, kernel: int, alpha: int, norm: bool):
        super().__init__()
        self.conv = conv(channels, 2 * channels, (kernel, 1, 1), (alpha, 1))
        self.bn = nn.BatchNorm3d(2 * channels) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self.bn is None else F.relu(self.bn(x), inplace=True)


class Pathways(nn.Module):
    """One stage of both pathways; with ``fuse`` the fast features join the slow ones after it."""

    def __init__(self, slow: nn.Module, fast: nn.Module, fuse: Lateral | None = None):
        super().__init__()
        self.slow, self.fast, self.fuse = slow, fast, fuse

    def forward(self, pair: Pair) -> Pair:
        slow, fast = self.slow(pair[0]), self.fast(pair[1])
        if self.fuse is not None:
            slow = torch.cat((slow, self.fuse(fast)), 1)
        return slow, fast


class SplitStem(Pathways):
    """The stems of both pathways, which first take the slow frames out of the clip: (B, 3, T, H, W) -> pair."""

    def __init__(self, slow: nn.Module, fast: nn.Module, fuse: Lateral, alpha: int, sampling: str):
        super().__init__(slow, fast, fuse)
        self.alpha, self.sampling = alpha, sampling

    def forward(self, clip: Tensor) -> Pair:
        return super().forward((clip[:, :, self.slow_frames(clip.shape[2])], clip))

    def slow_frames(self, num_frames: int) -> list[int]:
        """Which of the clip's frames the slow pathway sees.

        stride: 0, a, 2a ...; linspace: spread from the first frame to the last, rounded down.

        Raises:
            InputError: for linspace, which has no frame for what is left over of a clip.
        """
        if self.sampling == "stride":
            return list(range(0, num_frames, self.alpha))  # as many as the lateral convolutions give
        if num_frames % self.alpha:
            raise InputError(f"this network takes clips of a multiple of {self.alpha} frames, got {num_frames}.")
        return torch.linspace(0, num_frames - 1, num_frames // self.alpha, device="cpu").long().tolist()


class PairHead(ClassifierHead):
    """Pools each pathway, joins slow and fast, classifies: pair -> (B, num_classes)."""

    def __init__(self, in_features: int, num_classes: int, dropout: float, window: Window | None, alpha: int):
        super().__init__(in_features, num_classes, dropout, window)
        self.fast_window = window and (window[0] * alpha, *window[1:])

    def forward(self, pair: Pair, pre_logits: bool = False) -> Tensor:
        windows = (self.window, self.fast_window)
        x = [average_windows(x, window).mean((2, 3, 4)) for x, window in zip(pair, windows, strict=True)]
        x = self.dropout(torch.cat(x, 1))
        return x if pre_logits else self.fc(x)


class SlowFast(Recognizer):
    """SlowFast network: (B, C, T, H, W) -> (B, num_classes). Feature maps are pairs (slow, fast).

    Args:
        alpha: frames of the fast pathway for each of the slow one.
        beta: how many times thinner the fast pathway is.
        depths: of the two ResNets.
        fusion_kernel: temporal length of the convolutions from fast to slow.
        fusion_norm: batch norm and ReLU after them.
        slow_sampling: how the slow frames are taken out of the clip; see ``SplitStem.slow_frames``.
        inflated_blocks: how many blocks of the third stage start with a 3x1x1 convolution; None: all.
        head_window: extent of the head's sliding average over slow features; None: all of them.
        last_stride, last_dilation: in space, of the last stage; detectors keep its map large.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        alpha: int = 4,
        beta: int = 8,
        depths: Sequence[int] = (50, 50),
        fusion_kernel: int = 7,
        fusion_norm: bool = False,
        slow_sampling: Literal["stride", "linspace"] = "stride",
        inflated_blocks: int | None = None,
        head_window: Window | None = None,
        last_stride: int = 2,
        last_dilation: int = 1,
    ):
        super().__init__()
        check_choice("slow_sampling", slow_sampling, ("stride", "linspace"))
        for depth in depths:
            check_choice("depth", depth, LAYERS)
        self.num_classes, self.in_chans, self.min_frames = num_classes, in_chans, alpha
        self.stages = ("stem", "layer1", "layer2", "layer3", "layer4")
        width, thin = 64, 64 // beta

        def lateral(channels: int) -> Lateral:
            return Lateral(channels, fusion_kernel, alpha, fusion_norm)

        self.stem = SplitStem(
            slow=Stem(conv(in_chans, width, (1, 7, 7), (1, 2)), width),
            fast=Stem(conv(in_chans, thin, (5, 7, 7), (1, 2)), thin),
            fuse=lateral(thin),
            alpha=alpha,
            sampling=slow_sampling,
        )
        self.feature_info = [{"module": "stem", "num_chs": (width + 2 * thin, thin), "reduction": (1, 4)}]
        slow_in, fast_in, reduction = width + 2 * thin, thin, 4
        for i in range(4):
            stride = (1, (1, 2, 2, last_stride)[i])
            conv3 = dilated_1x3x3(last_dilation) if i == 3 else conv_1x3x3
            slow_blocks, fast_blocks = (LAYERS[depth][i] for depth in depths)
            limit = inflated_blocks if i == 2 and inflated_blocks is not None else slow_blocks
            inflate = [j < limit for j in range(slow_blocks)]
            slow_inflate = inflate if i >= 2 else [False] * slow_blocks
            slow = residual_stage(Bottleneck, slow_in, width << i, slow_blocks, stride, slow_inflate, conv3)
            fast = residual_stage(Bottleneck, fast_in, thin << i, fast_blocks, stride, inflate, conv3)
            reduction *= stride[1]
            slow_out, fast_in = 4 * width << i, 4 * thin << i
            slow_in = slow_out + 2 * fast_in if i < 3 else slow_out
            setattr(self, f"layer{i + 1}", Pathways(slow, fast, lateral(fast_in) if i < 3 else None))
            info = {"module": f"layer{i + 1}", "num_chs": (slow_in, fast_in), "reduction": (1, reduction)}
            self.feature_info.append(info)
        self.head = PairHead(slow_in + fast_in, num_classes, dropout, head_window, alpha)
        init_convs(self)


@register_model
def slowfast_r50(**kwargs) -> SlowFast:
    """SlowFast-R50 8x8: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return SlowFast(**kwargs)


@register_model
def slowfast_r101(**kwargs) -> SlowFast:
    """SlowFast-R101 8x8: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return SlowFast(**{"depths": (101, 101), **kwargs})


@register_model
def slowfast_r101_r50(**kwargs) -> SlowFast:
    """SlowFast 4x16, slow pathway R101 and fast pathway R50: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return SlowFast(**{"alpha": 8, "depths": (101, 50), "fusion_kernel": 5, **kwargs})
