"""ViViT: a vision transformer on all tubelets of a clip at once ("model 1" of the paper).

Arnab et al., "ViViT: A Video Vision Transformer", ICCV 2021, https://arxiv.org/abs/2103.15691. Published on
Kinetics-400 (12 views): B/16x2 79.9 % top-1.
"""

from __future__ import annotations

from ._registry import register_model
from .vit3d import ViT3D


@register_model
def vivit_base(**kwargs) -> ViT3D:
    """ViViT-B/16x2, not factorised: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    vivit = {"num_frames": 32, "positions": "learned", "class_token": True, "pool": "first", "bias": "qkv"}
    return ViT3D(**{**vivit, "gelu": "tanh", **kwargs})
