"""C3D: eight 3x3x3 convolutions and two fully connected layers.

Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", ICCV 2015,
https://arxiv.org/abs/1412.0767. Published on UCF101 (split 1, Sports-1M pretraining): 83.1 % top-1.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ._registry import register_model
from .layers.recognizer import ClassifierHead, Recognizer, init_convs


class Stage(nn.Module):
    """Pooling (but in the first stage), then 3x3x3 convolutions with ReLU."""

    def __init__(self, pool: nn.Module, *channels: int):
        super().__init__()
        self.pool = pool
        self.convs = nn.ModuleList(nn.Conv3d(i, o, 3, padding=1) for i, o in pairwise(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        for conv in self.convs:
            x = F.relu(conv(x), inplace=True)
        return x


class Head(ClassifierHead):
    """The last pooling, two hidden layers and the classifier: (B, 512, 2, 7, 7) -> (B, num_classes)."""

    def __init__(self, num_classes: int, dropout: float):
        super().__init__(4096, num_classes, dropout)
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = F.max_pool3d(x, 2, padding=(0, 1, 1)).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        x = self.dropout(F.relu(self.fc7(x)))
        return x if pre_logits else self.fc(x)


class C3D(Recognizer):
    """C3D network: (B, C, 16, 112, 112) -> (B, num_classes); other sizes do not fit its hidden layers."""

    def __init__(self, num_classes: int = 101, in_chans: int = 3, dropout: float = 0.5):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.fixed_frames, self.fixed_size = 16, 112
        self.stages = ("stem", "layer1", "layer2", "layer3", "layer4")
        self.stem = Stage(nn.Identity(), in_chans, 64)
        self.layer1 = Stage(nn.MaxPool3d((1, 2, 2)), 64, 128)
        self.layer2 = Stage(nn.MaxPool3d(2), 128, 256, 256)
        self.layer3 = Stage(nn.MaxPool3d(2), 256, 512, 512)
        self.layer4 = Stage(nn.MaxPool3d(2), 512, 512, 512)
        self.feature_info = [
            {"module": name, "num_chs": channels, "reduction": (max(1, 2 ** (i - 1)), 2**i)}
            for i, (name, channels) in enumerate(zip(self.stages, (64, 128, 256, 512, 512), strict=True))
        ]
        self.head = Head(num_classes, dropout)
        init_convs(self)


@register_model
def c3d(**kwargs) -> C3D:
    """C3D: (B, 3, 16, 112, 112) -> (B, num_classes)."""
    return C3D(**kwargs)
