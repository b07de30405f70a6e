"""TSN, temporal segment networks: an image network on a few frames spread over the video, the mean classified.

Wang et al., "Temporal Segment Networks: Towards Good Practices for Deep Action Recognition", ECCV 2016,
https://arxiv.org/abs/1608.00859. Published on Kinetics-400 (25 frames, 10 crops): ResNet-50 with 3, 5 and 8 segments
72.8, 73.8 and 74.1, ResNet-101 with 8 75.9, Swin-B with 3 77.0 % top-1.
"""

from __future__ import annotations

from torch import nn

from ._registry import register_model
from .layers.frames import FrameModel


@register_model
def tsn(**kwargs) -> FrameModel:
    """TSN on any image network of timm, ``backbone="convnext_tiny"``: (B, 3, T, H, W) -> (B, num_classes)."""
    return FrameModel(**kwargs)


@register_model
def tsn_r50(**kwargs) -> FrameModel:
    """TSN on ResNet-50: (B, 3, T, 224, 224) -> (B, num_classes)."""
    return FrameModel(**kwargs)


@register_model
def tsn_r101(**kwargs) -> FrameModel:
    """TSN on ResNet-101: (B, 3, T, 224, 224) -> (B, num_classes)."""
    return FrameModel(**{"backbone": "resnet101", **kwargs})


@register_model
def tsn_resnext101_32x4d(**kwargs) -> FrameModel:
    """TSN on ResNeXt-101 32x4d: (B, 3, T, 224, 224) -> (B, num_classes)."""
    return FrameModel(**{"backbone": "resnext101_32x4d", **kwargs})


@register_model
def tsn_densenet161(**kwargs) -> FrameModel:
    """TSN on DenseNet-161 without its last ReLU, as published: (B, 3, T, 224, 224) -> (B, num_classes)."""
    model = FrameModel(**{"backbone": "densenet161", **kwargs})
    model.backbone.features.norm5.act = nn.Identity()
    return model


@register_model
def tsn_mobileone_s4(**kwargs) -> FrameModel:
    """TSN on MobileOne-S4: (B, 3, T, 224, 224) -> (B, num_classes)."""
    return FrameModel(**{"backbone": "mobileone_s4", **kwargs})


@register_model
def tsn_swin_base(**kwargs) -> FrameModel:
    """TSN on Swin-B: (B, 3, T, 224, 224) -> (B, num_classes)."""
    return FrameModel(**{"backbone": "swin_base_patch4_window7_224", **kwargs})
