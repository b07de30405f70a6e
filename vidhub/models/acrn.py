"""ACRN: the features of each person related to every place of the frame.

Sun et al., "Actor-Centric Relation Network", ECCV 2018, https://arxiv.org/abs/1807.10982. Published with SlowFast-R50
8x8 on AVA 2.1: 27.65, on AVA 2.2: 27.71 mAP.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ._registry import register_model
from .roi_detector import RoIDetector, slowfast_trunk


class ActorRelation(nn.Module):
    """Two convolutions over the frame's map joined with the person's features at every place.

    Box maps (N, C, s, s), the clips' maps (B, C, h, w) and the clip of each box (N,) -> (N, out_channels, h, w).
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.out_channels = out_channels
        self.conv1 = nn.Conv2d(2 * in_channels, out_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, boxes: Tensor, maps: Tensor, index: Tensor) -> Tensor:
        # the first convolution's halves one by one: a clip's map is the same for all persons in it
        of_person, of_frame = self.conv1.weight.chunk(2, 1)
        x = F.conv2d(boxes.amax((2, 3), keepdim=True), of_person) + F.conv2d(maps, of_frame)[index]
        x = F.relu(self.bn1(x), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


@register_model
def slowfast_r50_acrn_ava(in_chans: int = 3, **kwargs) -> RoIDetector:
    """SlowFast-R50 8x8 with an actor-centric relation network: (B, 3, 32, H, W), N boxes -> (N, num_classes)."""
    return RoIDetector(slowfast_trunk(in_chans=in_chans), relation=ActorRelation(2304, 2304), **kwargs)
