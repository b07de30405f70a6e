"""Action detection: a video network's last feature map, and a head that looks at the box of each person in it.

Girshick, "Fast R-CNN", ICCV 2015, https://arxiv.org/abs/1504.08083, on clips, as in Gu et al., "AVA: A Video Dataset of
Spatio-temporally Localized Atomic Visual Actions", CVPR 2018, https://arxiv.org/abs/1705.08421, and Feichtenhofer et
al., "SlowFast", ICCV 2019. Published on AVA 2.1 (mAP at IoU 0.5): SlowOnly-R50 4x16 20.7, SlowFast-R50 8x8 25.8; on AVA
2.2: SlowFast-R50 8x8 with the maximum over time 26.4, VideoMAE's ViT-B 33.6, ViT-L 38.7.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from ..errors import InputError, check_choice
from ..weights.types import DataConfig, DetectionConfig
from ._registry import register_model
from .layers.recognizer import ClassifierHead, Recognizer, place_like
from .resnet3d import SLOWONLY_NON_LOCAL, ResNet3D
from .slowfast import SlowFast
from .vit3d import ViT3D


class BoxHead(ClassifierHead):
    """Maximum over a box's cells, dropout, linear classifier: (N, C, h, w) or (N, C) -> (N, num_classes)."""

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(x.flatten(2).amax(2) if x.ndim > 2 else x)
        return x if pre_logits else self.fc(x)


class RoIDetector(nn.Module):
    """Actions of persons: clip (B, C, T, H, W) and boxes -> (number of boxes, num_classes).

    Around a trunk of ``create_model`` it has a data configuration like the trunk's, and can be saved.

    Args:
        trunk: any recognition network without a classifier; several last maps (SlowFast's) are joined.
        time_pool: how the frames of the last map become one.
        context: join each box's features with those of the whole frame.
        relation: ``relation(box_maps, maps, index)`` changes the boxes' maps by what else is in their clip.
        memory: ``memory(box_features, bank)`` gives what a bank of the whole video adds to the boxes' features.
        roi_size: cells of a box, in each direction.
        aligned: a pixel's value is that of its centre; PyTorchVideo's networks were trained half a pixel off.
    """

    default_data_config = DetectionConfig(num_frames=32, stride=2)

    def __init__(
        self,
        trunk: Recognizer,
        num_classes: int = 81,
        dropout: float = 0.5,
        *,
        time_pool: Literal["mean", "max"] = "mean",
        context: bool = False,
        relation: nn.Module | None = None,
        memory: nn.Module | None = None,
        roi_size: int = 8,
        aligned: bool = True,
    ):
        super().__init__()
        check_choice("time_pool", time_pool, ("mean", "max"))
        self.num_classes, self.in_chans, self.min_frames = num_classes, trunk.in_chans, trunk.min_frames
        self.trunk, self.time_pool, self.context = trunk, time_pool, context
        self.roi_size, self.aligned = roi_size, aligned
        self.relation, self.memory = relation, memory
        last = trunk.feature_info[-1]
        channels = last["num_chs"] if isinstance(last["num_chs"], int) else sum(last["num_chs"])
        self.stride = last["reduction"][1]
        self.num_features = getattr(relation, "out_channels", channels * (2 if context else 1))
        self.head = BoxHead(self.num_features + getattr(memory, "out_channels", 0), num_classes, dropout)
        if isinstance(config := getattr(trunk, "data_config", None), DataConfig):
            self.data_config = self.default_data_config = _config_around(config, num_classes)
            self.labels = self.weights = None
            if relation is None and memory is None:
                settings = {"dropout": dropout, "time_pool": time_pool, "context": context}
                settings |= {"roi_size": roi_size, "aligned": aligned, "num_classes": num_classes}
                self.arch, self.config = "roi_detector", {"trunk": trunk.arch, "trunk_args": trunk.config, **settings}

    def forward(self, clips: Tensor, boxes: list[Tensor] | Tensor, bank: Tensor | None = None) -> Tensor:
        """Actions in each box.

        Args:
            clips: (B, C, T, H, W), normalised.
            boxes: for each clip (Ni, 4): x1, y1, x2, y2 in pixels of the clip; or all in one tensor (N, 5), with the
                number of the clip before each.
            bank: for networks with a memory, the long-term features of each box: (sum Ni, C, n, 1, 1).

        Returns:
            Logits (sum Ni, num_classes).
        """
        return self.forward_head(self.forward_boxes(self.forward_features(clips), boxes), bank)

    def forward_features(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> the trunk's last map, pooled over time: (B, D, h, w)."""
        maps = self.trunk.forward_map(clips)
        maps = maps if isinstance(maps, tuple) else (maps,)
        return torch.cat([x.mean(2) if self.time_pool == "mean" else x.amax(2) for x in maps], 1)

    def forward_boxes(self, maps: Tensor, boxes: list[Tensor] | Tensor) -> Tensor:
        """Maps (B, D, h, w) and boxes -> the maps of the boxes: (sum Ni, D, cells, cells)."""
        boxes = _numbered_boxes(boxes, maps, self.stride)
        index = boxes[:, 0].long()
        x = roi_align(maps.to(boxes), boxes, self.roi_size, 1 / self.stride, aligned=self.aligned).to(maps)
        if self.context:
            x = torch.cat((x, F.adaptive_avg_pool2d(maps, self.roi_size)[index]), 1)
        return x if self.relation is None else self.relation(x, maps, index)

    def forward_head(self, x: Tensor, bank: Tensor | None = None, pre_logits: bool = False) -> Tensor:
        """The boxes' maps -> logits, or with ``pre_logits`` the features before the classifier."""
        if self.memory is None:
            if bank is not None:
                raise InputError("this network has no memory: leave the bank out.")
            return self.head(x, pre_logits=pre_logits)
        if bank is None:
            raise InputError("this network looks at the whole video: pass the bank of long-term features.")
        _check_bank(bank, len(x), self.memory.bank_channels)
        x = x.amax((2, 3))
        return self.head(torch.cat((x, self.memory(x, bank.to(x))), 1), pre_logits=pre_logits)

    def get_classifier(self) -> nn.Module:
        return self.head.fc

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one; 0 removes it, so that ``forward`` gives the boxes' features."""
        self.num_classes = num_classes
        self.head.reset(num_classes)
        place_like(self.head.fc, self)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the trunk's stages in the backward pass instead of keeping their activations."""
        self.trunk.set_grad_checkpointing(enable)

    def adapt_state_dict(self, state: dict[str, Tensor], source: RoIDetector | None = None) -> dict[str, Tensor]:
        """``state`` with the trunk's position embeddings, where it has some, resized to its own."""
        if not hasattr(self.trunk, "adapt_state_dict"):
            return state
        inner = {key[6:]: value for key, value in state.items() if key.startswith("trunk.")}
        rest = {key: value for key, value in state.items() if not key.startswith("trunk.")}
        inner = self.trunk.adapt_state_dict(inner, source and source.trunk)
        return {**{f"trunk.{key}": value for key, value in inner.items()}, **rest}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Parameter groups by depth, as timm's layer decay takes them."""
        inner = self.trunk.group_matcher(coarse)

        def inside(pattern: Any) -> Any:
            if isinstance(pattern, str):
                return pattern.replace("^", r"^trunk\.", 1)
            return [(inside(regex), number) for regex, number in pattern]

        return {name: inside(pattern) for name, pattern in inner.items()}

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep out of weight decay (besides biases and norms)."""
        return {f"trunk.{name}" for name in self.trunk.no_weight_decay()}


def _config_around(config: DataConfig, num_classes: int) -> DetectionConfig:
    """Whole frames in the place of a recognition network's crops."""
    if config.bgr:
        raise InputError("this trunk takes blue first, which detectors do not: choose another one.")
    names = ("num_frames", "stride", "mean", "std", "target_fps")
    size = config.resize if isinstance(config.resize, int) else config.size
    return DetectionConfig(**{n: getattr(config, n) for n in names}, size=size, background=num_classes == 81)


def _numbered_boxes(boxes: list[Tensor] | Tensor, maps: Tensor, stride: int) -> Tensor:
    """Boxes (sum Ni, 5) with the number of the clip that each belongs to, at least in float32.

    A bfloat16 would be off by a pixel.
    """
    exact = torch.promote_types(maps.dtype, torch.float32)
    if isinstance(boxes, Tensor):
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise InputError(f"expected boxes (N, 5) with the number of their clip, got {tuple(boxes.shape)}.")
        _check_values(boxes, maps, stride)
        return boxes.to(maps.device, exact)
    if not isinstance(boxes, (list, tuple)) or not all(isinstance(b, Tensor) for b in boxes):
        raise InputError(f"expected one tensor of boxes (N, 4) for each of {len(maps)} clips, in a list.")
    if len(boxes) != len(maps) or any(b.ndim != 2 or b.shape[1] != 4 for b in boxes):
        shapes = [tuple(b.shape) for b in boxes]
        raise InputError(f"expected one tensor of boxes (N, 4) for each of {len(maps)} clips, got shapes {shapes}.")
    numbered = torch.cat([F.pad(b, (1, 0), value=i) for i, b in enumerate(boxes)])
    _check_values(numbered, maps, stride)
    return numbered.to(maps.device, exact)


def _traced() -> bool:
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def _check_values(boxes: Tensor, maps: Tensor, stride: int) -> None:
    """Of boxes (N, 5) on the CPU; looking at those on a GPU would make the CPU wait for it."""
    if boxes.device.type != "cpu" or _traced():
        return
    index, low, high = boxes[:, 0], boxes[:, 1:3], boxes[:, 3:]
    if not ((index == index.long()) & (index >= 0) & (index < len(maps))).all():
        raise InputError(f"the clip of a box must be a whole number below {len(maps)}: {index.tolist()}.")
    edge = boxes.new_tensor([maps.shape[-1] * stride, maps.shape[-2] * stride])
    fine = boxes.isfinite().all(1) & (low <= high).all(1) & (low <= edge).all(1) & (high >= 0).all(1)
    if not fine.all():
        wrong = boxes[~fine][0, 1:].tolist()
        raise InputError(f"a box must have x1 <= x2 and y1 <= y2 in pixels of the clip, and lie in it, not {wrong}.")


def _check_bank(bank: Tensor, count: int, channels: int) -> None:
    if _traced():
        return
    fits = bank.ndim == 5 and tuple(bank.shape[:2]) == (count, channels) and bank.shape[2] > 0
    if not fits or tuple(bank.shape[3:]) != (1, 1):
        raise InputError(
            f"expected a bank ({count}, {channels}, n, 1, 1), a row for each box, got {tuple(bank.shape)}."
        )


def slowonly_trunk(depth: int = 50, dilation: int = 1, in_chans: int = 3, non_local: bool = False) -> ResNet3D:
    """SlowOnly with its last stage at the stride of the one before: maps of a 16th of the clip's size."""
    return ResNet3D(
        0,
        in_chans,
        depth=depth,
        inflate=(0, 0, 1, 1),
        spatial_strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, dilation),
        non_local=SLOWONLY_NON_LOCAL if non_local else ((), (), (), ()),
    )


def slowfast_trunk(dilation: int = 1, in_chans: int = 3, **kwargs: Any) -> SlowFast:
    """SlowFast with its last stage at the stride of the one before."""
    return SlowFast(0, in_chans, last_stride=1, last_dilation=dilation, **kwargs)


def _slowonly(depth=50, dilation=1, in_chans=3, non_local=False, **kwargs) -> RoIDetector:
    return RoIDetector(slowonly_trunk(depth, dilation, in_chans, non_local), **kwargs)


def _slowfast(
    dilation=1, in_chans=3, alpha=4, fusion_kernel=7, fusion_norm=False, slow_sampling="stride", **kwargs
) -> RoIDetector:
    slowfast = {"alpha": alpha, "fusion_kernel": fusion_kernel, "fusion_norm": fusion_norm}
    return RoIDetector(slowfast_trunk(dilation, in_chans, slow_sampling=slow_sampling, **slowfast), **kwargs)


def _vit(img_size=224, num_frames=16, drop_path_rate=0.0, in_chans=3, sizes=None, **kwargs) -> RoIDetector:
    arguments = {"img_size": img_size, "num_frames": num_frames, "drop_path_rate": drop_path_rate, **(sizes or {})}
    return RoIDetector(ViT3D(0, in_chans, pool="first", **arguments), **kwargs)


@register_model
def slowonly_r50_ava(**kwargs) -> RoIDetector:
    """SlowOnly-R50 with boxes: (B, 3, 4, H, W) and N boxes -> (N, num_classes)."""
    return _slowonly(**kwargs)


@register_model
def slowonly_r101_ava(**kwargs) -> RoIDetector:
    """SlowOnly-R101 with boxes: (B, 3, 8, H, W) and N boxes -> (N, num_classes)."""
    return _slowonly(101, **kwargs)


@register_model
def slowonly_r50_nl_ava(**kwargs) -> RoIDetector:
    """SlowOnly-R50 with five non-local blocks, with boxes: (B, 3, 4, H, W) and N boxes -> (N, num_classes)."""
    return _slowonly(non_local=True, **kwargs)


@register_model
def slowfast_r50_ava(**kwargs) -> RoIDetector:
    """SlowFast-R50 8x8 with boxes: (B, 3, 32, H, W) and N boxes -> (N, num_classes)."""
    return _slowfast(**kwargs)


@register_model
def slowfast_r50_context_ava(**kwargs) -> RoIDetector:
    """SlowFast-R50 4x16 that sees the whole frame beside each box: (B, 3, 32, H, W), N boxes -> (N, num_classes)."""
    return _slowfast(**{"alpha": 8, "fusion_kernel": 5, "context": True, **kwargs})


@register_model
def slowonly_r50_multisports(**kwargs) -> RoIDetector:
    """SlowOnly-R50 with boxes, one action each: (B, 3, 4, H, W) and N boxes -> (N, num_classes)."""
    return _slowonly(**{"num_classes": 66, **kwargs})


@register_model
def slowfast_r50_multisports(**kwargs) -> RoIDetector:
    """SlowFast-R50 4x16 with boxes, one action each: (B, 3, 32, H, W) and N boxes -> (N, num_classes)."""
    return _slowfast(**{"num_classes": 66, "alpha": 8, "fusion_kernel": 5, **kwargs})


@register_model
def vit3d_base_ava(**kwargs) -> RoIDetector:
    """VideoMAE's ViT-B/16 with boxes: (B, 3, 16, H, W) and N boxes -> (N, num_classes)."""
    return _vit(**kwargs)


@register_model
def vit3d_large_ava(**kwargs) -> RoIDetector:
    """VideoMAE's ViT-L/16 with boxes: (B, 3, 16, H, W) and N boxes -> (N, num_classes)."""
    return _vit(sizes={"dim": 1024, "depth": 24, "num_heads": 16}, **kwargs)


@register_model
def roi_detector(trunk: str = "x3d_s", trunk_args: dict[str, Any] | None = None, **kwargs) -> RoIDetector:
    """Any recognition network with boxes: (B, C, T, H, W) and N boxes -> (N, num_classes)."""
    from ._factory import create_model

    return RoIDetector(create_model(trunk, **{**(trunk_args or {}), "num_classes": 0}), **kwargs)
