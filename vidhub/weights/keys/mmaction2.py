"""MMAction2 (1.x): weights under "backbone." and "cls_head."."""

import torch
from torch import Tensor

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
    weight = state["head.fc.weight"]
    fast, slow = weight.split((weight.shape[1] // 9, weight.shape[1] // 9 * 8), 1)
    return {**state, "head.fc.weight": torch.cat((slow, fast), 1)}


RULES = {
    "ResNet3D": _RESNET3D,
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
}
OPERATIONS = {"ResNet3D": (csn_blocks,), "SlowFast": (slow_before_fast,)}
