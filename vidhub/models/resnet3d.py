"""3D residual networks: C2D, I3D (with non-local blocks), SlowOnly, CSN, R(2+1)D, R3D and MC3 are arguments of one.

I3D: Carreira and Zisserman, CVPR 2017, https://arxiv.org/abs/1705.07750, on ResNet with factorised kernels.
Non-local: Wang et al., CVPR 2018, https://arxiv.org/abs/1711.07971.
SlowOnly: the slow pathway of Feichtenhofer et al., "SlowFast", ICCV 2019, https://arxiv.org/abs/1812.03982.
OmniSource: Duan et al., ECCV 2020, https://arxiv.org/abs/2003.13042.
CSN: Tran et al., ICCV 2019, https://arxiv.org/abs/1904.02811.
R(2+1)D, R3D, MC3: Tran et al., CVPR 2018, https://arxiv.org/abs/1711.11248.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError, check_choice
from ..weights.types import DataConfig
from ._registry import register_model
from .layers.conv3d import (
    BasicBlock,
    Bottleneck,
    Conv2Plus1d,
    ConvFactory,
    Stem,
    conv,
    conv_1x1x1,
    conv_1x3x3,
    conv_2plus1d_channels,
    conv_3x3x3,
    conv_depthwise,
    conv_pointwise_depthwise,
    dilated_1x3x3,
    residual_stage,
)
from .layers.nonlocal_block import Mode, NonLocal
from .layers.recognizer import ClassifierHead, Recognizer, Window, init_convs

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# which blocks of I3D-R50 start with a 3x1x1 convolution: every one, or every other one, as in the non-local paper
I3D_INFLATE = ((1, 1, 1), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 1, 0))
# a non-local block after every second block of the second and third stage
I3D_NON_LOCAL = ((), (1, 3), (1, 3, 5), ())
SLOWONLY_NON_LOCAL = ((), (0, 2), (0, 2, 4), ())


class ResNet3D(Recognizer):
    """Residual network over space and time: (B, C, T, H, W) -> (B, num_classes).

    Args:
        depth: 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks).
        stem: the first convolution, to 64 channels; None: ``stem_kernel`` at stride (``stem_stride_t``, 2).
        stem_pool: 1x3x3 max pooling after the stem, with stride (``stem_pool_stride_t``, 2).
        pool_time: halve the frames by max pooling after the first stage.
        inflate: per stage, or per block of each stage: 1 where a bottleneck's first convolution is 3x1x1.
        temporal_strides, spatial_strides: of the four stages.
        dilations: in space, of the stages' 3x3 convolutions, where these are 1x3x3.
        conv3: makes the 3x3 convolution of a block; four of them for stages that differ.
        downsample: makes the convolution of a shortcut that changes shape.
        non_local: per stage, the blocks that a non-local one follows.
        head_window: extent of the head's sliding average; None: all of the feature map.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        depth: int = 50,
        stem: nn.Module | None = None,
        stem_kernel: tuple[int, int, int] = (1, 7, 7),
        stem_stride_t: int = 1,
        stem_pool: bool = True,
        stem_pool_stride_t: int = 1,
        stem_pool_padding: int = 1,
        pool_time: bool = False,
        inflate: Sequence[int | Sequence[int]] = (0, 0, 0, 0),
        temporal_strides: Sequence[int] = (1, 1, 1, 1),
        spatial_strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        conv3: ConvFactory | Sequence[ConvFactory] = conv_1x3x3,
        downsample: ConvFactory | Sequence[ConvFactory] = conv_1x1x1,
        non_local: Sequence[Sequence[int]] = ((), (), (), ()),
        non_local_mode: Mode = "embedded_gaussian",
        non_local_scale: bool = True,
        eps: float = 1e-5,
        head_window: Window | None = None,
    ):
        super().__init__()
        self.num_classes, self.in_chans = num_classes, in_chans
        check_choice("depth", depth, LAYERS)
        block = BasicBlock if depth < 50 else Bottleneck
        if block is BasicBlock and (any(inflate) or any(non_local)):
            raise InputError(f"inflate and non_local are for bottlenecks: of depth 50 or more, not {depth}.")
        conv3 = (conv3,) * 4 if callable(conv3) else conv3
        conv3 = [
            make if dilation == 1 else dilated_1x3x3(dilation) for make, dilation in zip(conv3, dilations, strict=True)
        ]
        downsample = (downsample,) * 4 if callable(downsample) else downsample

        if stem is None:
            stem = conv(in_chans, 64, stem_kernel, (stem_stride_t, 2))
        self.stem = Stem(stem, 64, stem_pool, stem_pool_stride_t, stem_pool_padding, eps)
        time, space = stem_stride_t * stem_pool_stride_t, 4 if stem_pool else 2
        self.min_frames = time + 1 if pool_time else 1  # of which two remain to be pooled
        self.feature_info = [{"module": "stem", "num_chs": 64, "reduction": (time, space)}]
        channels, in_channels = 64, 64
        for i, blocks in enumerate(LAYERS[depth]):
            stride = (temporal_strides[i], spatial_strides[i])
            pool = pool_time and i == 1
            pattern = inflate[i] if isinstance(inflate[i], Sequence) else (inflate[i],) * blocks
            stage = residual_stage(
                block, in_channels, channels, blocks, stride, pattern, conv3[i], downsample[i], eps, pool
            )
            in_channels = channels * block.expansion
            for j in non_local[i]:
                getattr(stage, str(j)).non_local = NonLocal(in_channels, non_local_mode, non_local_scale)
            setattr(self, f"layer{i + 1}", stage)
            time, space, channels = time * stride[0] * (2 if pool else 1), space * stride[1], channels * 2
            self.feature_info.append({"module": f"layer{i + 1}", "num_chs": in_channels, "reduction": (time, space)})
        self.stages = tuple(info["module"] for info in self.feature_info)
        self.head = ClassifierHead(in_channels, num_classes, dropout, head_window)
        init_convs(self)


class OmniHead(ClassifierHead):
    """OmniSource's joint head: a hidden layer and a classifier for clips, and another classifier for images."""

    def __init__(self, in_features: int, num_classes: int, dropout: float = 0.5, num_image_classes: int = 1000):
        super().__init__(800, num_classes, dropout)
        self.hidden = nn.Linear(in_features, 800)
        self.norm = nn.BatchNorm1d(800)
        self.image_norm = nn.BatchNorm1d(in_features)
        self.image_fc = nn.Linear(in_features, num_image_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(F.relu(self.norm(self.hidden(x.mean((2, 3, 4))))))
        return x if pre_logits else self.fc(x)

    def forward_image(self, x: Tensor) -> Tensor:
        """Feature maps (B, C, 1, H, W) of single images -> logits (B, num_image_classes)."""
        return self.image_fc(self.dropout(self.image_norm(x.mean((2, 3, 4)))))


@register_model
def c2d_r50(**kwargs) -> ResNet3D:
    """C2D-R50, a 2D network with one pooling over time: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 50, "pool_time": True, "stem_pool_padding": 0, **kwargs})


@register_model
def c2d_r101(**kwargs) -> ResNet3D:
    """C2D-R101: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    model = ResNet3D(**{"depth": 101, "pool_time": True, **kwargs})
    model.default_data_config = DataConfig(num_frames=8, stride=8)
    return model


@register_model
def c2d_nopool_r50(**kwargs) -> ResNet3D:
    """C2D-R50 without pooling over time, the mean of its frames: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 50, **kwargs})


@register_model
def c2d_nopool_r101(**kwargs) -> ResNet3D:
    """C2D-R101 without pooling over time: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 101, **kwargs})


def _i3d(**kwargs) -> ResNet3D:
    defaults = {"stem_kernel": (5, 7, 7), "stem_stride_t": 2, "stem_pool_stride_t": 2, "pool_time": True}
    return ResNet3D(**{**defaults, "inflate": I3D_INFLATE, **kwargs})


@register_model
def i3d_r50(**kwargs) -> ResNet3D:
    """I3D-R50: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _i3d(**kwargs)


@register_model
def i3d_r50_heavy(**kwargs) -> ResNet3D:
    """I3D-R50 with every block inflated and four times the frames kept: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _i3d(**{"stem_stride_t": 1, "stem_pool_stride_t": 1, "inflate": (1, 1, 1, 1), **kwargs})


@register_model
def i3d_r50_nl_dot_product(**kwargs) -> ResNet3D:
    """I3D-R50 with five non-local blocks, dot product: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _i3d(**{"non_local": I3D_NON_LOCAL, "non_local_mode": "dot_product", "non_local_scale": False, **kwargs})


@register_model
def i3d_r50_nl_embedded_gaussian(**kwargs) -> ResNet3D:
    """I3D-R50 with five non-local blocks, embedded Gaussian: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _i3d(**{"non_local": I3D_NON_LOCAL, "non_local_scale": False, **kwargs})


@register_model
def i3d_r50_nl_gaussian(**kwargs) -> ResNet3D:
    """I3D-R50 with five non-local blocks, Gaussian: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _i3d(**{"non_local": I3D_NON_LOCAL, "non_local_mode": "gaussian", "non_local_scale": False, **kwargs})


@register_model
def slowonly_r50(**kwargs) -> ResNet3D:
    """SlowOnly-R50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 50, "inflate": (0, 0, 1, 1), **kwargs})


@register_model
def slowonly_r50_flow(**kwargs) -> ResNet3D:
    """SlowOnly-R50 on optical flow, x and y: (B, 2, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 50, "in_chans": 2, "inflate": (0, 0, 1, 1), **kwargs})


@register_model
def slowonly_r50_nl_embedded_gaussian(**kwargs) -> ResNet3D:
    """SlowOnly-R50 with five non-local blocks: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 50, "inflate": (0, 0, 1, 1), "non_local": SLOWONLY_NON_LOCAL, **kwargs})


@register_model
def slowonly_r50_omnisource(dropout: float = 0.5, **kwargs) -> ResNet3D:
    """SlowOnly-R50 of OmniSource, with a classifier for images too: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    model = ResNet3D(**{"depth": 50, "inflate": (0, 0, 1, 1), **kwargs})
    model.head = OmniHead(model.head.in_features, model.num_classes, dropout)
    model.training_only = ("head.image_",)
    return model


@register_model
def slowonly_r101(**kwargs) -> ResNet3D:
    """SlowOnly-R101: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return ResNet3D(**{"depth": 101, "inflate": (0, 0, 1, 1), **kwargs})


def _csn(**kwargs) -> ResNet3D:
    eps = kwargs.get("eps", 1e-3)
    interaction = kwargs.pop("interaction", "reduced")
    check_choice("interaction", interaction, ("reduced", "preserved"))
    conv3 = partial(conv_pointwise_depthwise, eps=eps) if interaction == "preserved" else conv_depthwise
    return ResNet3D(
        **{"stem_kernel": (3, 7, 7), "temporal_strides": (1, 2, 2, 2), "conv3": conv3, "eps": eps, **kwargs}
    )


@register_model
def ipcsn_r50(**kwargs) -> ResNet3D:
    """Interaction-preserved CSN-R50: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _csn(depth=50, interaction="preserved", **kwargs)


@register_model
def ipcsn_r152(**kwargs) -> ResNet3D:
    """Interaction-preserved CSN-R152: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _csn(depth=152, interaction="preserved", **kwargs)


@register_model
def ircsn_r50(**kwargs) -> ResNet3D:
    """Interaction-reduced CSN-R50: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _csn(depth=50, **kwargs)


@register_model
def ircsn_r101(**kwargs) -> ResNet3D:
    """Interaction-reduced CSN-R101, of PyTorchVideo: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _csn(**{"depth": 101, "eps": 1e-5, "head_window": (4, 7, 7), **kwargs})


@register_model
def ircsn_r152(**kwargs) -> ResNet3D:
    """Interaction-reduced CSN-R152: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    return _csn(depth=152, **kwargs)


def _conv_2plus1d_1x1(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
    return Conv2Plus1d(in_channels, out_channels, stride, kernel=(1, 1))


def _video_resnet18(**kwargs) -> ResNet3D:
    defaults = {"depth": 18, "stem_pool": False, "temporal_strides": (1, 2, 2, 2), "conv3": conv_3x3x3, "dropout": 0.0}
    return ResNet3D(**{**defaults, **kwargs})


@register_model
def r3d_18(**kwargs) -> ResNet3D:
    """R3D-18, all convolutions 3x3x3: (B, 3, 16, 112, 112) -> (B, num_classes)."""
    return _video_resnet18(**{"stem_kernel": (3, 7, 7), **kwargs})


@register_model
def mc3_18(**kwargs) -> ResNet3D:
    """MC3-18, 3D convolutions in the first stage and 2D ones after: (B, 3, 16, 112, 112) -> (B, num_classes)."""
    conv3 = (conv_3x3x3, conv_1x3x3, conv_1x3x3, conv_1x3x3)
    return _video_resnet18(**{"stem_kernel": (3, 7, 7), "temporal_strides": (1, 1, 1, 1), "conv3": conv3, **kwargs})


@register_model
def r2plus1d_18(in_chans: int = 3, **kwargs) -> ResNet3D:
    """R(2+1)D-18: (B, 3, 16, 112, 112) -> (B, num_classes)."""
    stem = Conv2Plus1d(in_chans, 64, (1, 2), kernel=(3, 7), channels=45)
    model = _video_resnet18(**{"in_chans": in_chans, "stem": stem, "conv3": Conv2Plus1d, **kwargs})
    # torchvision's first block of a stage keeps the width of its first convolution for its second one
    for stage, channels in ((model.layer2, 128), (model.layer3, 256), (model.layer4, 512)):
        width = conv_2plus1d_channels(channels // 2, channels)
        stage[0].conv2 = Conv2Plus1d(channels, channels, channels=width)
    init_convs(model)
    return model


@register_model
def r2plus1d_r34(in_chans: int = 3, **kwargs) -> ResNet3D:
    """R(2+1)D-34: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    defaults = {
        "depth": 34,
        "stem": Conv2Plus1d(in_chans, 64, (1, 2), kernel=(3, 7), channels=83),
        "temporal_strides": (1, 2, 2, 2),
        "conv3": Conv2Plus1d,
        "downsample": _conv_2plus1d_1x1,
    }
    return ResNet3D(**{**defaults, "in_chans": in_chans, "eps": 1e-3, **kwargs})


def _conv_2plus1d_time_first(in_channels: int, out_channels: int, stride: tuple[int, int]) -> nn.Module:
    return Conv2Plus1d(in_channels, out_channels, stride, channels=out_channels, time_first=True)


@register_model
def r2plus1d_r50(**kwargs) -> ResNet3D:
    """R(2+1)D-50 with bottlenecks, of PyTorchVideo: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    defaults = {
        "depth": 50,
        "stem_pool": False,
        "temporal_strides": (1, 1, 2, 2),
        "spatial_strides": (2, 2, 2, 2),
        "conv3": _conv_2plus1d_time_first,
        "head_window": (4, 7, 7),
    }
    return ResNet3D(**{**defaults, **kwargs})
