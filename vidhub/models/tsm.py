"""TSM, temporal shift: a TSN whose residual branches see an eighth of their channels a frame early, an eighth late.

Lin et al., "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019,
https://arxiv.org/abs/1811.08383. Published on Kinetics-400: ResNet-50 with 8 frames 73.2 (10 crops) and 73.4 (dense),
with 16 frames 75.1; on Something-Something V2 ResNet-50 with 8 and 16 frames 62.7 and 64.2, ResNet-101 63.7 % top-1.

``StreamingTSM`` is the online form, which takes one frame at a time.
"""

from __future__ import annotations

import copy
from collections import OrderedDict

from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from ..errors import InputError
from ._registry import register_model
from .layers.frames import FrameModel, FrameNonLocal, insert_before, residual_branches
from .layers.nonlocal_block import Mode


class TemporalShift(nn.Module):
    """The first of ``div`` equal parts of the channels from the next frame, the second from the one before.

    (B * T, C, H, W) -> the same shape; beyond the clip there are zeros. Without ``bidirectional`` nothing comes from
    the next frame.
    """

    def __init__(self, num_frames: int, div: int, bidirectional: bool = True):
        super().__init__()
        self.num_frames, self.div, self.bidirectional = num_frames, div, bidirectional

    def forward(self, x: Tensor) -> Tensor:
        frames = x.unflatten(0, (-1, self.num_frames))
        part = x.shape[1] // self.div
        shifted = frames.clone()
        if self.bidirectional:
            shifted[:, :-1, :part] = frames[:, 1:, :part]
            shifted[:, -1, :part] = 0
        shifted[:, 1:, part : 2 * part] = frames[:, :-1, part : 2 * part]
        shifted[:, 0, part : 2 * part] = 0
        return shifted.flatten(0, 1)


class TSM(FrameModel):
    """TSM network: (B, C, num_frames, H, W) -> (B, num_classes).

    Args:
        num_frames: of a clip. The weights do not depend on it.
        shift_div: the share of channels that moves in each direction is one in this many.
        shift_frames: runs of so many frames share nothing with one another; None: the whole clip is one run. A clip is
            a whole number of runs.
        bidirectional: False: a frame sees only those before it, as in ``StreamingTSM``.
        non_local: non-local blocks of this kind in the second and third stage of a ResNet with bottlenecks, after every
            second block.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        backbone: str = "resnet50",
        num_frames: int = 8,
        shift_div: int = 8,
        shift_frames: int | None = None,
        bidirectional: bool = True,
        non_local: Mode | None = None,
    ):
        if num_frames % (shift_frames or num_frames):
            raise InputError(
                f"num_frames must be a multiple of shift_frames={shift_frames}, not {num_frames}: pass another "
                "shift_frames, or None to shift through the whole clip."
            )
        super().__init__(num_classes, in_chans, dropout, backbone=backbone, drop_frames=True)
        self.fixed_frames, self.shift_frames = num_frames, shift_frames
        for module, name in residual_branches(self.backbone):
            insert_before(module, name, TemporalShift(shift_frames or num_frames, shift_div, bidirectional))
        if non_local:
            if not isinstance(getattr(self.backbone, "layer2", [None])[0], Bottleneck):
                raise InputError(
                    f"non-local blocks go into ResNets of bottlenecks, and {backbone!r} is none: leave non_local out."
                )
            for stage in (self.backbone.layer2, self.backbone.layer3):
                for i in range(0, len(stage), 2):
                    attention = FrameNonLocal(stage[i].conv3.out_channels, num_frames, non_local)
                    stage[i] = nn.Sequential(OrderedDict(wrapped=stage[i], non_local=attention))


class CachedShift(nn.Module):
    """The shift of ``TemporalShift(bidirectional=False)`` for one frame a call: (B, C, H, W) -> the same shape."""

    def __init__(self, div: int):
        super().__init__()
        self.div = div
        self.last: Tensor | None = None  # what the next frame gets from this one

    def forward(self, x: Tensor) -> Tensor:
        part = x.shape[1] // self.div
        moving = slice(part, 2 * part)
        shifted = x.clone()
        shifted[:, moving] = 0 if self.last is None else self.last
        self.last = x[:, moving].clone()
        return shifted


class StreamingTSM(nn.Module):
    """A TSM network that takes the frames of a stream one after the other and knows only those before.

    ``streaming(frame)`` with (B, C, H, W) gives the logits (B, num_classes) of that frame; every shift remembers what
    the next frame needs. Over a clip their mean is what the network gives with ``bidirectional=False``. ``reset``
    forgets the stream; networks whose runs are shorter than a clip (``shift_frames``) do so after each run. The model
    given is copied.

    Raises:
        InputError: not a TSM network, or one with non-local blocks, which need all frames at once.
    """

    def __init__(self, model: TSM):
        super().__init__()
        if not isinstance(model, TSM) or any(isinstance(m, FrameNonLocal) for m in model.modules()):
            raise InputError("only TSM networks without non-local blocks take a stream frame by frame.")
        self.model = copy.deepcopy(model).eval()
        self.model.fixed_frames = 1
        self.seen = 0  # frames since the last reset
        for parent in list(self.model.modules()):
            for name, module in parent.named_children():
                if isinstance(module, TemporalShift):
                    setattr(parent, name, CachedShift(module.div))

    def forward(self, frame: Tensor) -> Tensor:
        if self.seen == self.model.shift_frames:
            self.reset()
        self.seen += 1
        return self.model(frame.unsqueeze(2))

    def reset(self) -> None:
        self.seen = 0
        for module in self.modules():
            if isinstance(module, CachedShift):
                module.last = None


@register_model
def tsm(**kwargs) -> TSM:
    """TSM on a residual image network of timm, ``backbone="convnext_tiny"``: (B, 3, 8, H, W) -> (B, num_classes)."""
    return TSM(**kwargs)


@register_model
def tsm_r50(**kwargs) -> TSM:
    """TSM on ResNet-50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TSM(**kwargs)


@register_model
def tsm_r101(**kwargs) -> TSM:
    """TSM on ResNet-101, every second block shifted: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TSM(**{"backbone": "resnet101", **kwargs})


@register_model
def tsm_r50_nl_dot_product(**kwargs) -> TSM:
    """TSM on ResNet-50 with dot-product non-local blocks: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TSM(**{"non_local": "dot_product", **kwargs})


@register_model
def tsm_r50_nl_embedded_gaussian(**kwargs) -> TSM:
    """TSM on ResNet-50 with embedded-Gaussian non-local blocks: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TSM(**{"non_local": "embedded_gaussian", **kwargs})


@register_model
def tsm_r50_nl_gaussian(**kwargs) -> TSM:
    """TSM on ResNet-50 with Gaussian non-local blocks: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TSM(**{"non_local": "gaussian", **kwargs})


@register_model
def tsm_mobilenet_v2(**kwargs) -> TSM:
    """TSM on MobileNetV2: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TSM(**{"backbone": "mobilenetv2_100", **kwargs})


@register_model
def tsm_mobileone_s4(**kwargs) -> TSM:
    """TSM on MobileOne-S4, shifted within the first and the last 8 frames: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return TSM(**{"backbone": "mobileone_s4", "num_frames": 16, "shift_frames": 8, **kwargs})
