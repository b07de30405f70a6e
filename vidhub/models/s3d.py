"""S3D: Inception with every 3x3x3 convolution split into a spatial and a temporal one.

Xie et al., "Rethinking Spatiotemporal Feature Learning", ECCV 2018, https://arxiv.org/abs/1712.04851.
Published by torchvision on Kinetics-400: 68.4 % top-1 on one clip of 128 frames.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from ._registry import register_model
from .layers.conv3d import conv_bn_relu
from .layers.recognizer import ClassifierHead, Recognizer

# widths of the branches: 1x1; 1x1 -> 3x3; 1x1 -> 3x3; pooling -> 1x1
LAYER2 = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))
LAYER3 = (
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
)
LAYER4 = ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))

conv_norm = partial(conv_bn_relu, eps=1e-3, momentum=1e-3)


def separable(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A spatial convolution, then a temporal one, each with batch norm and ReLU."""
    return nn.Sequential(
        conv_norm(in_channels, out_channels, (1, kernel, kernel), (1, stride)),
        conv_norm(out_channels, out_channels, (kernel, 1, 1), (stride, 1)),
    )


class Inception(nn.Module):
    def __init__(self, in_channels: int, widths: tuple[int, ...]):
        super().__init__()
        a, b_in, b, c_in, c, d = widths
        self.out_channels = a + b + c + d
        self.branch0 = conv_norm(in_channels, a)
        self.branch1 = nn.Sequential(conv_norm(in_channels, b_in), separable(b_in, b))
        self.branch2 = nn.Sequential(conv_norm(in_channels, c_in), separable(c_in, c))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), conv_norm(in_channels, d))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)), 1)


def inception_stage(pool: nn.Module, in_channels: int, table: tuple[tuple[int, ...], ...]) -> nn.Sequential:
    stage = nn.Sequential(OrderedDict(pool=pool))
    for i, widths in enumerate(table):
        stage.add_module(str(i), Inception(in_channels, widths))
        in_channels = getattr(stage, str(i)).out_channels
    return stage


class S3D(Recognizer):
    """S3D network: (B, C, T, H, W) -> (B, num_classes)."""

    def __init__(self, num_classes: int = 400, in_chans: int = 3, dropout: float = 0.2):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.stages = ("stem", "layer1", "layer2", "layer3", "layer4")
        self.stem = separable(in_chans, 64, 7, 2)
        self.layer1 = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
                conv=conv_norm(64, 64),
                separable=separable(64, 192),
            )
        )
        self.layer2 = inception_stage(nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), 192, LAYER2)
        self.layer3 = inception_stage(nn.MaxPool3d(3, 2, 1), 480, LAYER3)
        self.layer4 = inception_stage(nn.MaxPool3d(2), 832, LAYER4)
        # the poolings over time leave one frame of 6, but of 5 to 7 PyTorch's kernels for CPUs with AVX-512 (seen in
        # 2.13 and 2.14) make a wrong gradient for the stem's convolution over time, and write beyond their memory
        self.min_frames = 8
        shapes = ((64, (2, 2)), (192, (2, 4)), (480, (2, 8)), (832, (4, 16)), (1024, (8, 32)))
        self.feature_info = [
            {"module": name, "num_chs": channels, "reduction": reduction}
            for name, (channels, reduction) in zip(self.stages, shapes, strict=True)
        ]
        self.head = ClassifierHead(1024, num_classes, dropout, window=(2, 7, 7))


@register_model
def s3d(**kwargs) -> S3D:
    """S3D: (B, 3, 128, 224, 224) -> (B, num_classes)."""
    return S3D(**kwargs)
