"""MMAction2 (1.x): weights under "backbone." and "cls_head."."""

import re

import torch
from torch import Tensor

from . import mmaction2_hierarchy, mmaction2_roi, mmaction2_vit

TRUNK = r"backbone\."  # of a network that has one
_HEAD = (r"^cls_head\.fc_cls\.", "head.fc.")
_BLOCK = [
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"\.conv([123])\.conv\.", r".conv\1."),
    (r"\.conv([123])\.bn\.", r".bn\1."),
]
_RESNET3D = [
    # OmniSource's network and head have names of their own
    (r"^cls_head\.fc3d\.2\.", "head.hidden."),
    (r"^cls_head\.fc3d\.3\.", "head.norm."),
    (r"^cls_head\.fc3d\.6\.", "head.fc."),
    (r"^cls_head\.fc2d\.2\.", "head.image_norm."),
    (r"^cls_head\.fc2d\.4\.", "head.image_fc."),
    (r"^backbone\.conv1\.weight", "stem.conv.weight"),
    (r"^backbone\.bn1\.", "stem.bn."),
    # all others
    (r"^backbone\.conv1\.conv\.", "stem.conv."),
    (r"^backbone\.conv1\.bn\.", "stem.bn."),
    (r"^backbone\.", ""),
    (r"\.non_local_block\.(g|phi)\.0\.conv\.", r".non_local.\1."),
    (r"\.non_local_block\.(g|phi|theta)\.conv\.", r".non_local.\1."),
    (r"\.non_local_block\.conv_out\.conv\.", ".non_local.out."),
    (r"\.non_local_block\.conv_out\.bn\.", ".non_local.bn."),
    *_BLOCK,
    (r"\.conv_s\.", ".conv1."),
    (r"\.bn_s\.", ".bn."),
    (r"\.conv_t\.", ".conv2."),
    _HEAD,
]
_FRAMES = [
    (r"^cls_head\.fc_cls\.", "head.fc."),
    (r"^backbone\.conv1\.conv\.", "backbone.conv1."),
    (r"^backbone\.conv1\.bn\.", "backbone.bn1."),
    (r"\.conv1\.conv\.net\.", ".conv1.wrapped."),  # TSM
    (r"\.non_local_block\.(g|phi)\.0\.conv\.", r".non_local.block.\1."),
    (r"\.non_local_block\.(g|phi|theta)\.conv\.", r".non_local.block.\1."),
    (r"\.non_local_block\.conv_out\.conv\.", ".non_local.block.out."),
    (r"\.non_local_block\.conv_out\.bn\.", ".non_local.block.bn."),
    (r"\.(\d+)\.block\.", r".\1.wrapped."),
    *_BLOCK,
    (r"\.(attn_mask|relative_position_index)$", None),  # of Swin, computed
    # MobileOne
    (r"^backbone\.stage0\.net\.", "backbone.stem.wrapped."),
    (r"^backbone\.stage0\.", "backbone.stem."),
    (r"^(backbone\.stage\d\.\d+)\.net\.", r"\1.wrapped."),
    (r"\.branch_norm\.", ".identity."),
    (r"\.branch_scale\.conv\.", ".conv_scale.conv."),
    (r"\.branch_scale\.norm\.", ".conv_scale.bn."),
    (r"\.branch_conv_list\.(\d+)\.conv\.", r".conv_kxk.\1.conv."),
    (r"\.branch_conv_list\.(\d+)\.norm\.", r".conv_kxk.\1.bn."),
    (r"\.se\.conv([12])\.(?:conv\.)?", r".attn.fc\1."),
    # MobileNetV2, whose first block does not expand
    (r"^backbone\.layer1\.0\.conv\.0\.conv\.", "backbone.blocks.0.0.conv_dw."),
    (r"^backbone\.layer1\.0\.conv\.1\.conv\.", "backbone.blocks.0.0.conv_pw."),
    (r"^backbone\.layer1\.0\.conv\.0\.bn\.", "backbone.blocks.0.0.bn1."),
    (r"^backbone\.layer1\.0\.conv\.1\.bn\.", "backbone.blocks.0.0.bn2."),
    (r"\.conv\.0\.net\.conv\.", ".conv_pw.wrapped."),
    (r"\.conv\.0\.(?:net\.)?bn\.", ".bn1."),
    (r"\.conv\.0\.conv\.", ".conv_pw."),
    (r"\.conv\.1\.conv\.", ".conv_dw."),
    (r"\.conv\.1\.bn\.", ".bn2."),
    (r"\.conv\.2\.conv\.", ".conv_pwl."),
    (r"\.conv\.2\.bn\.", ".bn3."),
]


def count_as_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stages of MobileOne and MobileNetV2 from 0 on, and Swin's downsampling in front of the stage that it leads to."""
    if "backbone.conv2.weight" in state:  # MobileNetV2
        state = {re.sub(r"^backbone\.conv1\.", "backbone.conv_stem.", key): value for key, value in state.items()}
        state = {re.sub(r"^backbone\.conv2\.", "backbone.conv_head.", key): value for key, value in state.items()}
        return renumber(state, r"layer(\d)\.", "blocks.{}.", -1)
    if "backbone.layers.0.downsample.reduction.weight" in state:  # of older versions of timm
        return renumber(state, r"layers\.(\d)\.downsample\.", "layers.{}.downsample.", 1)
    return renumber(state, r"stage(\d)\.", "stages.{}.", -1)


def renumber(state: dict[str, Tensor], pattern: str, name: str, change: int) -> dict[str, Tensor]:
    """Keys of the backbone that begin with ``pattern`` get its number plus ``change`` in ``name``."""
    pattern = rf"^backbone\.{pattern}"
    return {re.sub(pattern, lambda m: "backbone." + name.format(int(m[1]) + change), k): v for k, v in state.items()}


def graph_stages(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Blocks counted through, "gcn.N", as those of stages, "layerS.N": a block that changes shape starts a stage."""
    blocks = sorted({int(key.split(".")[2]) for key in state if key.startswith("backbone.gcn.")})
    names, stage, number = {}, 1, 0
    for block in blocks:
        if f"backbone.gcn.{block}.residual.conv.weight" in state:
            stage, number = stage + 1, 0
        names[block] = f"layer{stage}.{number}."
        number += 1
    return {re.sub(r"^backbone\.gcn\.(\d+)\.", lambda m: names[int(m[1])], key): v for key, v in state.items()}


def csn_blocks(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """CSN's list of (convolution, norm) modules: the last norm is the block's second one."""
    preserved = any(".conv2.1.conv." in key for key in state)
    last = 1 if preserved else 0
    renamed = {}
    for key, value in state.items():
        key = key.replace(f".conv2.{last}.bn.", ".bn2.")
        if preserved:
            key = key.replace(".conv2.0.conv.", ".conv2.0.").replace(".conv2.0.bn.", ".conv2.1.")
            key = key.replace(".conv2.1.conv.", ".conv2.2.")
        else:
            key = key.replace(".conv2.0.conv.", ".conv2.")
        renamed[key] = value
    return renamed


def slow_before_fast(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The classifier's inputs with the slow pathway's 2048 features before the fast one's 256; theirs come after."""
    if "head.fc.weight" not in state:  # a detector's trunk
        return state
    weight = state["head.fc.weight"]
    fast, slow = weight.split((weight.shape[1] // 9, weight.shape[1] // 9 * 8), 1)
    return {**state, "head.fc.weight": torch.cat((slow, fast), 1)}


_GRAPH = [
    (r"^cls_head\.fc(?:_cls)?\.", "head.fc."),  # the latter in PYSKL
    (r"^backbone\.data_bn\.", "data_bn."),
    (r"^backbone\.A$", None),
    (r"\.gcn\.PA$", ".gcn.importance"),
    (r"\.gcn\.conv_a\.", ".gcn.query."),
    (r"\.gcn\.conv_b\.", ".gcn.key."),
    (r"\.gcn\.conv_d\.", ".gcn.value."),
    (r"\.tcn\.branches\.(\d)\.3\.conv\.", r".tcn.branches.\1.3."),
]

RULES = {
    "BMN": [
        (r"^(sample_mask|bm_mask)$", None),  # computed
        (r"^x_1d_b\.", "base."),
        (r"^x_1d_s\.", "start."),
        (r"^x_1d_e\.", "end."),
        (r"^x_1d_p\.", "proposal."),
        (r"^x_3d_p\.0\.", "matching.conv."),
        (r"^x_2d_p\.", "map."),
    ],
    "PoseSlowOnly": _RESNET3D,
    "STGCN": _GRAPH,
    "AGCN": _GRAPH,
    "ResNet3D": _RESNET3D,
    "FrameModel": _FRAMES,
    "TSM": _FRAMES,
    "AudioModel": _FRAMES,
    "TIN": [
        (r"\.net1\.offset_net\.(conv|fc1|fc2)\.", r".net1.offset_\1."),
        (r"\.net1\.weight_net\.conv\.", ".net1.weight_conv."),
        (r"\.conv1\.conv\.net1\.", ".conv1.temporal."),
        (r"\.conv1\.conv\.net2\.", ".conv1.wrapped."),
        *_FRAMES,
    ],
    "TANet": [
        (r"\.tam\.G\.", ".conv2.temporal.kernel."),
        (r"\.tam\.L\.", ".conv2.temporal.weight."),
        (r"\.block\.conv2\.conv\.", ".conv2.wrapped."),
        (r"\.block\.", "."),
        *_FRAMES,
    ],
    "SSN": [
        (r"^cls_head\.activity_fc\.", "head.activity."),
        (r"^cls_head\.completeness_fc\.", "head.completeness."),
        (r"^cls_head\.regressor_fc\.", "head.regression."),
        *_FRAMES,
    ],
    "TRN": [
        (r"^cls_head\.fc_cls\.", "head.reduce."),
        (r"^cls_head\.consensus\.fc_fusion_scales\.(\d+)\.1\.", r"head.relate.\1."),
        (r"^cls_head\.consensus\.fc_fusion_scales\.(\d+)\.3\.", r"head.fc.scales.\1."),
        (r"^cls_head\.consensus\.classifier\.1\.", "head.relate.0."),
        (r"^cls_head\.consensus\.classifier\.3\.", "head.fc.scales.0."),
        *_FRAMES,
    ],
    "TPN": [
        _HEAD,
        (r"^neck\.temporal_modulation_ops\.(\d)\.conv\.conv\.", r"neck.time.\1."),
        (r"^neck\.downsample_ops\.0\.conv\.conv\.", "neck.up."),
        (r"^neck\.spatial_modulation\.spatial_modulation\.0\.0\.", "neck.space."),
        (r"^neck\.level_fusion_1\.", "neck.top_down."),
        (r"^neck\.level_fusion_2\.", "neck.bottom_up."),
        (r"\.downsamples\.(\d)\.conv\.", r".levels.\1."),
        (r"\.fusion_conv\.", ".join."),
        (r"^neck\.pyramid_fusion\.", "neck.join."),
        (r"^neck\.aux_head\.conv\.", "auxiliary.conv."),
        (r"^neck\.aux_head\.fc\.", "auxiliary.fc."),
        (r"\.conv\.(?=weight)", ".0."),
        (r"\.bn\.", ".1."),
    ],
    "SlowFast": [
        _HEAD,
        (r"^backbone\.(slow|fast)_path\.conv1\.", r"stem.\1."),
        (r"^backbone\.slow_path\.conv1_lateral\.", "stem.fuse."),
        (r"^backbone\.slow_path\.(layer\d)_lateral\.", r"\1.fuse."),
        (r"^backbone\.(slow|fast)_path\.(layer\d)\.", r"\2.\1."),
        *_BLOCK,
    ],
    "C3D": [
        _HEAD,
        (r"^backbone\.(fc[67])\.", r"head.\1."),
        (r"^backbone\.conv1a\.conv\.", "stem.convs.0."),
        (r"^backbone\.conv2a\.conv\.", "layer1.convs.0."),
        (r"^backbone\.conv3a\.conv\.", "layer2.convs.0."),
        (r"^backbone\.conv3b\.conv\.", "layer2.convs.1."),
        (r"^backbone\.conv4a\.conv\.", "layer3.convs.0."),
        (r"^backbone\.conv4b\.conv\.", "layer3.convs.1."),
        (r"^backbone\.conv5a\.conv\.", "layer4.convs.0."),
        (r"^backbone\.conv5b\.conv\.", "layer4.convs.1."),
    ],
    "X3D": [
        (r"^cls_head\.fc1\.", "head.hidden."),
        (r"^cls_head\.fc2\.", "head.fc."),
        (r"^backbone\.conv1_s\.conv\.", "stem.conv_s."),
        (r"^backbone\.conv1_t\.conv\.", "stem.conv_t."),
        (r"^backbone\.conv1_t\.bn\.", "stem.bn."),
        (r"^backbone\.conv5\.", "conv5."),
        (r"^backbone\.(layer\d)\.", r"\1."),
        (r"\.se_module\.", ".se."),
        *_BLOCK,
    ],
    **mmaction2_roi.RULES,
    **mmaction2_vit.RULES,
    **mmaction2_hierarchy.RULES,
}
OPERATIONS = {
    "STGCN": (graph_stages,),
    "AGCN": (graph_stages,),
    "ResNet3D": (csn_blocks,),
    "SlowFast": (slow_before_fast,),
    "FrameModel": (count_as_timm,),
    "TSM": (count_as_timm,),
    **mmaction2_vit.OPERATIONS,
    **mmaction2_hierarchy.OPERATIONS,
}
