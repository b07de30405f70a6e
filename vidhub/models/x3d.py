"""X3D: small 3D networks expanded step by step along time, width and depth.

Feichtenhofer, "X3D: Expanding Architectures for Efficient Video Recognition", CVPR 2020, https://arxiv.org/abs/2004.04730.
A channel-separated bottleneck (1x1x1, depthwise 3x3x3, 1x1x1) with squeeze-and-excitation in every second block.
Published on Kinetics-400: XS 69.1, S 73.3, M 75.9, L 77.4 % top-1 (30 views).
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ._registry import register_model
from .layers.recognizer import ClassifierHead, Recognizer, Window, average_windows, init_convs


def round_width(width: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` nearest to ``width``, never under 90 % of it."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, ratio: float = 1 / 16):
        super().__init__()
        hidden = round_width(channels * ratio)
        self.fc1 = nn.Conv3d(channels, hidden, 1)
        self.fc2 = nn.Conv3d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = F.relu(self.fc1(x.mean((2, 3, 4), keepdim=True)))
        return x * self.fc2(scale).sigmoid()


class Stem(nn.Module):
    """Spatial 3x3 convolution, then a depthwise temporal one: (B, 3, T, H, W) -> (B, C, T, H/2, W/2)."""

    def __init__(self, in_chans: int, channels: int):
        super().__init__()
        self.conv_s = nn.Conv3d(in_chans, channels, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.conv_t = nn.Conv3d(channels, channels, (5, 1, 1), padding=(2, 0, 0), groups=channels, bias=False)
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv_t(self.conv_s(x))), inplace=True)


class Block(nn.Module):
    def __init__(self, in_channels: int, channels: int, out_channels: int, stride: int, se: bool, shortcut_bn: bool):
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, (1, stride, stride), 1, groups=channels, bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.se = SqueezeExcite(channels) if se else nn.Identity()
        self.conv3 = nn.Conv3d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.downsample = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            self.downsample.append(nn.Conv3d(in_channels, out_channels, 1, (1, stride, stride), bias=False))
            if shortcut_bn or in_channels != out_channels:
                self.downsample.append(nn.BatchNorm3d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.silu(self.se(self.bn2(self.conv2(out))), inplace=True)
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x), inplace=True)


class ConvPool(nn.Module):
    """The last convolution, counted as a stage: (B, C, T, h, w) -> (B, C', T, h, w)."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.conv = nn.Conv3d(in_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Head(ClassifierHead):
    """Average pooling, a hidden layer, dropout, classifier."""

    def __init__(self, in_channels: int, hidden: int, num_classes: int, dropout: float, window: Window | None):
        super().__init__(hidden, num_classes, dropout, window)
        self.hidden = nn.Linear(in_channels, hidden, bias=False)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = average_windows(x, self.window).flatten(2).transpose(1, 2)  # (B, windows, C)
        x = self.dropout(F.relu(self.hidden(x)).mean(1))
        return x if pre_logits else self.fc(x)


class X3D(Recognizer):
    """X3D network.

    Args:
        num_classes: classes of the classifier; 0 for none.
        depth: factor on the blocks of each stage, (1, 2, 5, 3).
        head_window: extent of the head's sliding average; None: all of the feature map.
        shortcut_bn: normalise the first stage's shortcut too (PySlowFast and MMAction2 do, PyTorchVideo does not).
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        depth: float = 2.2,
        head_window: Window | None = None,
        shortcut_bn: bool = False,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        widths = (24, 48, 96, 192)
        self.stages = ("stem", "layer1", "layer2", "layer3", "layer4", "conv5")
        self.feature_info = [{"module": "stem", "num_chs": widths[0], "reduction": (1, 2)}]
        self.stem = Stem(in_chans, widths[0])
        in_channels = widths[0]
        for i, (width, blocks) in enumerate(zip(widths, (1, 2, 5, 3), strict=True), 1):
            channels = int(2.25 * width)
            layer = nn.Sequential()
            for j in range(math.ceil(depth * blocks)):
                layer.append(Block(in_channels, channels, width, 2 if j == 0 else 1, j % 2 == 0, shortcut_bn))
                in_channels = width
            setattr(self, f"layer{i}", layer)
            self.feature_info.append({"module": f"layer{i}", "num_chs": width, "reduction": (1, 2 ** (i + 1))})
        self.conv5 = ConvPool(in_channels, channels)
        self.feature_info.append({"module": "conv5", "num_chs": channels, "reduction": (1, 32)})
        self.head = Head(channels, 2048, num_classes, dropout, head_window)
        init_convs(self)


@register_model
def x3d_xs(**kwargs) -> X3D:
    """X3D-XS: (B, 3, 4, 160, 160) -> (B, num_classes)."""
    return X3D(**{"head_window": (4, 5, 5), **kwargs})


@register_model
def x3d_s(**kwargs) -> X3D:
    """X3D-S: (B, 3, 13, 160, 160) -> (B, num_classes)."""
    return X3D(**{"head_window": (13, 5, 5), **kwargs})


@register_model
def x3d_m(**kwargs) -> X3D:
    """X3D-M: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return X3D(**{"head_window": (16, 7, 7), **kwargs})


@register_model
def x3d_l(**kwargs) -> X3D:
    """X3D-L: (B, 3, 16, 312, 312) -> (B, num_classes)."""
    return X3D(**{"depth": 5.0, "head_window": (16, 10, 10), **kwargs})
