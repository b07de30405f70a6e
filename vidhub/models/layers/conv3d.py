"""Convolutions, residual blocks and stages of the 3D residual networks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

# (in_channels, out_channels, (temporal stride, spatial stride)) -> the 3x3 convolution of a block
ConvFactory = Callable[[int, int, tuple[int, int]], nn.Module]


def conv(in_channels: int, out_channels: int, kernel: Sequence[int], stride: Sequence[int] = (1, 1), groups: int = 1):
    """3D convolution without bias that keeps the size at stride 1; ``stride`` is (time, space)."""
    t, s = stride
    padding = tuple(k // 2 for k in kernel)
    return nn.Conv3d(in_channels, out_channels, tuple(kernel), (t, s, s), padding, groups=groups, bias=False)


def conv_bn_relu(
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int] = (1, 1, 1),
    stride: Sequence[int] = (1, 1),
    groups: int = 1,
    **norm: float,
) -> nn.Sequential:
    """``conv``, batch norm with the arguments ``norm``, ReLU."""
    return nn.Sequential(
        conv(in_channels, out_channels, kernel, stride, groups),
        nn.BatchNorm3d(out_channels, **norm),
        nn.ReLU(inplace=True),
    )


def conv_1x3x3(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
    return conv(in_channels, out_channels, (1, 3, 3), stride)


def dilated_1x3x3(dilation: int) -> ConvFactory:
    """1x3x3 convolutions whose taps are ``dilation`` pixels apart."""

    def factory(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
        layer = conv_1x3x3(in_channels, out_channels, stride)
        layer.dilation = (1, dilation, dilation)
        layer.padding = (0, dilation, dilation)
        return layer

    return factory


def conv_3x3x3(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
    return conv(in_channels, out_channels, (3, 3, 3), stride)


def conv_depthwise(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
    """Depthwise 3x3x3: the interaction-reduced block of CSN."""
    return conv(in_channels, out_channels, (3, 3, 3), stride, groups=in_channels)


def conv_pointwise_depthwise(in_channels: int, out_channels: int, stride: tuple[int, int], eps: float) -> nn.Module:
    """1x1x1, then depthwise 3x3x3: the interaction-preserved block of CSN."""
    return nn.Sequential(
        conv(in_channels, out_channels, (1, 1, 1)),
        nn.BatchNorm3d(out_channels, eps),
        conv(out_channels, out_channels, (3, 3, 3), stride, groups=out_channels),
    )


class Conv2Plus1d(nn.Sequential):
    """A spatial convolution, batch norm, ReLU and a temporal convolution, or with ``time_first`` the other way round.

    ``channels`` is the width in between; by default it gives as many weights as the 3x3x3 convolution replaced.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: tuple[int, int] = (1, 1),
        kernel: tuple[int, int] = (3, 3),
        channels: int | None = None,
        time_first: bool = False,
    ):
        (kt, ks), (t, s) = kernel, stride
        channels = channels or conv_2plus1d_channels(in_channels, out_channels, ks)
        space = partial(conv, kernel=(1, ks, ks), stride=(1, s))
        time = partial(conv, kernel=(kt, 1, 1), stride=(t, 1))
        first, second = (time, space) if time_first else (space, time)
        super().__init__(
            OrderedDict(
                conv1=first(in_channels, channels),
                bn=nn.BatchNorm3d(channels),
                act=nn.ReLU(inplace=True),
                conv2=second(channels, out_channels),
            )
        )


def conv_2plus1d_channels(in_channels: int, out_channels: int, kernel: int = 3) -> int:
    """Width between the two halves of a (2+1)D convolution (Tran et al. 2018, section 3.5; temporal kernel 3)."""
    return 3 * kernel**2 * in_channels * out_channels // (kernel**2 * in_channels + 3 * out_channels)


class Stem(nn.Module):
    """Convolution, batch norm, ReLU and, with ``pool``, 1x3x3 max pooling: (B, C, T, H, W) -> (B, C', T', H/4, W/4)."""

    def __init__(
        self,
        conv: nn.Module,
        channels: int,
        pool: bool = True,
        pool_stride_t: int = 1,
        pool_padding: int = 1,
        eps: float = 1e-5,
    ):
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm3d(channels, eps)
        self.pool = (
            nn.MaxPool3d((1, 3, 3), (pool_stride_t, 2, 2), (0, pool_padding, pool_padding)) if pool else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.relu(self.bn(self.conv(x)), inplace=True))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: tuple[int, int],
        conv3: ConvFactory,
        downsample: ConvFactory,
        inflate: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        self.conv1 = conv3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm3d(channels, eps)
        self.conv2 = conv3(channels, channels, (1, 1))
        self.bn2 = nn.BatchNorm3d(channels, eps)
        self.downsample = _shortcut(in_channels, channels, stride, downsample, eps)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out.add_(self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; with ``inflate`` the first one is 3x1x1."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: tuple[int, int],
        conv3: ConvFactory,
        downsample: ConvFactory,
        inflate: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = conv(in_channels, channels, (3 if inflate else 1, 1, 1))
        self.bn1 = nn.BatchNorm3d(channels, eps)
        self.conv2 = conv3(channels, channels, stride)
        self.bn2 = nn.BatchNorm3d(channels, eps)
        self.conv3 = conv(channels, out_channels, (1, 1, 1))
        self.bn3 = nn.BatchNorm3d(out_channels, eps)
        self.downsample = _shortcut(in_channels, out_channels, stride, downsample, eps)
        self.non_local = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return self.non_local(F.relu(out.add_(self.downsample(x)), inplace=True))


def _shortcut(in_channels: int, out_channels: int, stride: tuple[int, int], downsample: ConvFactory, eps: float):
    if in_channels == out_channels and stride == (1, 1):
        return nn.Identity()
    return nn.Sequential(downsample(in_channels, out_channels, stride), nn.BatchNorm3d(out_channels, eps))


def conv_1x1x1(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
    return conv(in_channels, out_channels, (1, 1, 1), stride)


def residual_stage(
    block: type[nn.Module],
    in_channels: int,
    channels: int,
    blocks: int,
    stride: tuple[int, int],
    inflate: Sequence[int],
    conv3: ConvFactory = conv_1x3x3,
    downsample: ConvFactory = conv_1x1x1,
    eps: float = 1e-5,
    pool_time: bool = False,
) -> nn.Sequential:
    """``blocks`` residual blocks, the first with ``stride`` (time, space).

    Args:
        inflate: for every block, 1 where its first convolution is 3x1x1.
        pool_time: halve the frames by 2x1x1 max pooling first.
    """
    stage = nn.Sequential()
    if pool_time:
        stage.add_module("pool", nn.MaxPool3d((2, 1, 1)))
    for i in range(blocks):
        module = block(in_channels, channels, stride if i == 0 else (1, 1), conv3, downsample, bool(inflate[i]), eps)
        stage.add_module(str(i), module)
        in_channels = channels * block.expansion
    return stage
