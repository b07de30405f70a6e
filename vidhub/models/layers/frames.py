"""Networks that look at frames one by one: a timm backbone, something temporal inside or after it, a classifier."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import timm
from timm.utils import reparameterize_model
from torch import Tensor, nn

from ...errors import InputError, WeightsError
from ...weights.types import DataConfig
from .nonlocal_block import Mode, NonLocal
from .recognizer import ClassifierHead, Recognizer


class FrameHead(ClassifierHead):
    """Features of frames (B, T, C) -> (B, num_classes): the mean over frames is classified.

    ``drop_frames``: dropout acts on each frame before the mean, not on the mean.
    """

    def __init__(self, in_features: int, num_classes: int, dropout: float, drop_frames: bool = False):
        super().__init__(in_features, num_classes, dropout)
        self.drop_frames = drop_frames

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(x).mean(1) if self.drop_frames else self.dropout(x.mean(1))
        return x if pre_logits else self.fc(x)


class FrameModel(Recognizer):
    """A timm network on every frame, the features' mean over frames, a classifier: (B, C, T, H, W) -> (B, num_classes).

    Feature maps are (B, channels, T, height, width); what a backbone gives as tokens is (B, channels, T, 1, tokens).

    Args:
        backbone: name of any image network of timm.
        img_size: side of the frames, for backbones whose weights depend on it (transformers); None: their own.
        drop_frames: see ``FrameHead``.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        backbone: str = "resnet50",
        img_size: int | None = None,
        drop_frames: bool = False,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        self.backbone = image_backbone(backbone, in_chans, img_size)
        if self.backbone.pretrained_cfg.get("fixed_input_size"):
            self.fixed_size = img_size or self.backbone.pretrained_cfg["input_size"][-1]
        self.stages = tuple(info["module"] for info in self.backbone.feature_info)
        self.feature_info = [
            {"module": f"backbone.{info['module']}", "num_chs": info["num_chs"], "reduction": (1, info["reduction"])}
            for info in self.backbone.feature_info
        ]
        self.head = FrameHead(self.backbone.head_hidden_size, num_classes, dropout, drop_frames)

    def forward_features(self, x: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> the backbone's feature map (B, C', T, h, w)."""
        self._check_input(x)
        return self._to_clips(self.backbone.forward_features(fold_frames(x)), x.shape[0])

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return self.head(self.pool_frames(x), pre_logits=pre_logits)

    def pool_frames(self, x: Tensor) -> Tensor:
        """The feature map (B, C', T, h, w) -> what the backbone would classify of each frame: (B, T, features)."""
        frames = fold_frames(x)
        if self._layout == "tokens":
            frames = frames.squeeze(2).transpose(1, 2)
        elif self._layout == "NHWC":
            frames = frames.permute(0, 2, 3, 1)
        return self.backbone.forward_head(frames, pre_logits=True).unflatten(0, (x.shape[0], -1))

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        self._check_input(x)
        last, maps = self.backbone.forward_intermediates(
            fold_frames(x), indices=self.stage_indices(indices), output_fmt="NCHW"
        )
        return self._to_clips(last, x.shape[0]), [unfold_frames(m, x.shape[0]) for m in maps]

    def _drop_stages_from(self, position: int) -> None:
        self.backbone.prune_intermediate_layers(list(range(position)), prune_norm=True)
        self.stages = self.stages[:position]

    def _to_clips(self, frames: Tensor, batch: int) -> Tensor:
        if self._layout == "tokens":
            frames = frames.transpose(1, 2).unsqueeze(2)
        elif self._layout == "NHWC":
            frames = frames.permute(0, 3, 1, 2)
        return unfold_frames(frames, batch)

    @property
    def default_data_config(self) -> DataConfig:
        """One frame of each of eight parts of the video, with the backbone's own mean and deviation."""
        published, size = self.backbone.pretrained_cfg, self.fixed_size or 224
        config = DataConfig(num_frames=self.fixed_frames or 8, sampling="segments", views=(1, 3))
        return replace(config, mean=published["mean"], std=published["std"]).resized(size)

    @property
    def _layout(self) -> str:
        """How the backbone lays out its last features."""
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":
            return "NHWC"
        return "tokens" if hasattr(self.backbone, "pos_embed") else "NCHW"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the backbone's stages in the backward pass, where timm's network can."""
        self.backbone.set_grad_checkpointing(enable)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """The backbone's own groups, whose names begin with "backbone." here."""

        def below(groups: Any) -> Any:
            if isinstance(groups, str):
                return rf"^backbone\.(?:{groups.replace('^', '')})"
            return [(below(pattern), order) for pattern, order in groups]

        return {name: below(groups) for name, groups in self.backbone.group_matcher(coarse).items()}

    def no_weight_decay(self) -> set[str]:
        names = self.backbone.no_weight_decay() if hasattr(self.backbone, "no_weight_decay") else ()
        return {f"backbone.{name}" for name in names}

    def load_image_weights(self, state: dict[str, Tensor]) -> None:
        """Fill the backbone with an image network's weights, under timm's names; what is temporal stays new.

        Raises:
            WeightsError: the weights are not those of this backbone.
        """
        fill_backbone(self.backbone, state)

    def reparameterize(self) -> FrameModel:
        """Fold the branches of re-parameterisable backbones (MobileOne, RepVGG) into one convolution each, in place.

        For inference: the outputs stay the same, but such a network cannot be trained, saved or loaded into any more.
        """
        reparameterize_model(self.backbone, inplace=True)
        self.reparameterized = True
        return self


def image_backbone(name: str, in_chans: int, img_size: int | None = None) -> nn.Module:
    """timm's network ``name`` without its classifier and weights.

    Raises:
        InputError: timm has no such network, or it has no fixed ``img_size``.
    """
    if not timm.is_model(name.split(".")[0]):
        raise InputError(f"timm has no backbone {name!r}; timm.list_models('*convnext*') lists such names.")
    size = {} if img_size is None else {"img_size": img_size}
    try:
        return timm.create_model(name, num_classes=0, in_chans=in_chans, **size)
    except TypeError:
        raise InputError(f"backbone {name!r} takes frames of any size: leave img_size out.") from None


def fill_backbone(backbone: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a backbone of :func:`image_backbone` an image network's weights; modules put into it keep theirs.

    Raises:
        WeightsError: the weights are not those of this backbone.
    """
    filled = {}
    for key, own in backbone.state_dict().items():
        inserted = ".temporal." in key or ".non_local." in key
        value = own if inserted else state.get(key.replace(".wrapped.", "."))
        if value is None or value.shape != own.shape:
            raise WeightsError(f"the image network does not fit {type(backbone).__name__}: {key!r} differs.")
        filled[key] = value
    backbone.load_state_dict(filled)


def fold_frames(x: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B * T, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


def unfold_frames(x: Tensor, batch: int) -> Tensor:
    """(B * T, C, H, W) -> (B, C, T, H, W)."""
    return x.unflatten(0, (batch, -1)).transpose(1, 2)


# ------------------------------------------------------------------------------------------- modules inside a backbone

# the layer that a residual branch begins with, by the class of timm's block; "": shortcut and branches all get the same
_FIRST_LAYER = {
    "BasicBlock": "conv1",
    "Bottleneck": "conv1",
    "InvertedResidual": "conv_pw",
    "ConvNeXtBlock": "conv_dw",
    "MobileOneBlock": "",
}


def residual_branches(backbone: nn.Module) -> list[tuple[nn.Module, str]]:
    """(module, name of its child) for the first layer of each residual branch.

    Only of every second block in networks with a stage of 23 or more, as TSM has it.

    Raises:
        InputError: no block of a kind that is known.
    """
    stages = []
    for container in backbone.modules():
        blocks = [(name, child) for name, child in container.named_children() if type(child).__name__ in _FIRST_LAYER]
        stages.append([(container, *b) for b in blocks])
    step = 2 if max(map(len, stages)) >= 23 else 1
    found = []
    for container, name, block in (branch for stage in stages for branch in stage[::step]):
        layer = _FIRST_LAYER[type(block).__name__]
        if getattr(block, "has_skip", True):
            found.append((block, layer) if layer else (container, name))
    if not found:
        raise InputError(
            f"{type(backbone).__name__} has no residual blocks that a temporal module is known to go into: "
            "ResNet, ResNeXt, RegNet, MobileNet, EfficientNet, MobileOne and ConvNeXt have."
        )
    return found


def insert_before(module: nn.Module, name: str, temporal: nn.Module) -> None:
    """Put ``temporal`` in front of the child ``name`` of ``module``."""
    setattr(module, name, nn.Sequential(OrderedDict(temporal=temporal, wrapped=getattr(module, name))))


class FrameNonLocal(nn.Module):
    """A non-local block over the positions of all frames of a clip: (B * T, C, H, W) -> the same shape."""

    def __init__(self, channels: int, num_frames: int, mode: Mode):
        super().__init__()
        self.num_frames = num_frames
        self.block = NonLocal(channels, mode, scale=False)

    def forward(self, x: Tensor) -> Tensor:
        return fold_frames(self.block(unfold_frames(x, x.shape[0] // self.num_frames)))
