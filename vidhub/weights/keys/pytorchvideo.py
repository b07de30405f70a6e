"""PyTorchVideo (0.1.5): weights under "blocks.0" to "blocks.6"; EfficientX3D under "s1" to "s5"."""

from __future__ import annotations

import re

import torch
from torch import Tensor

TRUNK = r"model\."  # of a network that has one
_BLOCK = [
    (r"\.branch1_conv\.", ".downsample.0."),
    (r"\.branch1_norm\.", ".downsample.1."),
    (r"\.branch2\.conv_a\.", ".conv1."),
    (r"\.branch2\.norm_a\.", ".bn1."),
    (r"\.branch2\.conv_b\.", ".conv2."),
    (r"\.branch2\.norm_b\.", ".bn2."),
    (r"\.branch2\.conv_c\.", ".conv3."),
    (r"\.branch2\.norm_c\.", ".bn3."),
]


def close_gap(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stages are counted from 1 to 4, whether or not a pooling block took a number among them."""
    numbers = sorted({int(m[1]) for key in state if (m := re.match(r"layer(\d)\.", key))})
    order = {f"layer{n}": f"layer{i}" for i, n in enumerate(numbers, 1)}
    return {re.sub(r"^layer\d", lambda m: order[m[0]], key): value for key, value in state.items()}


def join_projections(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """MViT's projections of queries, keys and values as one."""
    joined = {key: value for key, value in state.items() if not re.search(r"\.attn\.[qkv]\.", key)}
    for key in state:
        if ".attn.q." in key:
            parts = [state[key.replace(".attn.q.", f".attn.{letter}.")] for letter in "qkv"]
            joined[key.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
    return joined


RULES = {
    "RoIDetector": [(r"^detection_head\.proj\.", "head.fc.")],
    "MViT": [
        (r"^patch_embed\.patch_model\.", "patch_embed."),
        (r"^cls_positional_encoding\.cls_token$", "class_token"),
        (r"^cls_positional_encoding\.pos_embed_class$", "class_embed"),
        (r"^cls_positional_encoding\.pos_embed_spatial$", "space_embed"),
        (r"^cls_positional_encoding\.pos_embed_temporal$", "time_embed"),
        (r"\.pool_([qkv])\.", r".pool_\1.conv."),
        (r"\.norm_([qkv])\.", r".pool_\1.norm."),
        (r"^norm_embed\.", "norm."),
        (r"^head\.proj\.", "head.fc."),
    ],
    "ResNet3D": [
        (r"^model\.", ""),
        (r"^blocks\.0\.conv\.", "stem.conv."),
        (r"^blocks\.0\.norm\.", "stem.bn."),
        (r"^blocks\.(\d)\.res_blocks\.", r"layer\1."),
        (r"^blocks\.\d\.proj\.", "head.fc."),
        *_BLOCK,
        (r"\.conv2\.conv_t\.", ".conv2.conv1."),
        (r"\.conv2\.norm\.", ".conv2.bn."),
        (r"\.conv2\.conv_xy\.", ".conv2.conv2."),
    ],
    "SlowFast": [
        (r"^model\.", ""),
        (r"^blocks\.0\.multipathway_blocks\.0\.conv\.", "stem.slow.conv."),
        (r"^blocks\.0\.multipathway_blocks\.0\.norm\.", "stem.slow.bn."),
        (r"^blocks\.0\.multipathway_blocks\.1\.conv\.", "stem.fast.conv."),
        (r"^blocks\.0\.multipathway_blocks\.1\.norm\.", "stem.fast.bn."),
        (r"^blocks\.0\.multipathway_fusion\.", "stem.fuse."),
        (r"^blocks\.(\d)\.multipathway_blocks\.0\.res_blocks\.", r"layer\1.slow."),
        (r"^blocks\.(\d)\.multipathway_blocks\.1\.res_blocks\.", r"layer\1.fast."),
        (r"^blocks\.(\d)\.multipathway_fusion\.", r"layer\1.fuse."),
        (r"\.fuse\.conv_fast_to_slow\.", ".fuse.conv."),
        (r"\.fuse\.norm\.", ".fuse.bn."),
        (r"^blocks\.\d\.proj\.", "head.fc."),
        *_BLOCK,
    ],
    "X3D": [
        # their names of the stem's two convolutions are swapped: "conv_t" is the spatial one
        (r"^blocks\.0\.conv\.conv_t\.", "stem.conv_s."),
        (r"^blocks\.0\.conv\.conv_xy\.", "stem.conv_t."),
        (r"^blocks\.0\.norm\.", "stem.bn."),
        (r"^blocks\.5\.pool\.pre_conv\.", "conv5.conv."),
        (r"^blocks\.5\.pool\.pre_norm\.", "conv5.bn."),
        (r"^blocks\.5\.pool\.post_conv\.", "head.hidden."),
        (r"^blocks\.5\.proj\.", "head.fc."),
        (r"^blocks\.(\d)\.res_blocks\.", r"layer\1."),
        (r"\.branch2\.norm_b\.0\.", ".bn2."),
        (r"\.branch2\.norm_b\.1\.block\.0\.", ".se.fc1."),
        (r"\.branch2\.norm_b\.1\.block\.2\.", ".se.fc2."),
        *_BLOCK,
        # EfficientX3D
        (r"^s1\.pathway0_stem_conv_xy\.kernel\.conv\.", "stem.conv_s."),
        (r"^s1\.pathway0_stem_conv\.kernel\.conv\.", "stem.conv_t."),
        (r"^s1\.pathway0_stem_conv\.kernel\.bn\.", "stem.bn."),
        (r"^s2\.pathway0_res(\d+)\.", r"layer1.\1."),
        (r"^s3\.pathway0_res(\d+)\.", r"layer2.\1."),
        (r"^s4\.pathway0_res(\d+)\.", r"layer3.\1."),
        (r"^s5\.pathway0_res(\d+)\.", r"layer4.\1."),
        (r"\._res_proj\.kernel\.conv\.", ".downsample.0."),
        (r"\._res_proj\.kernel\.bn\.", ".downsample.1."),
        (r"\.layers\.conv_0\.kernel\.conv\.", ".conv1."),
        (r"\.layers\.conv_0\.kernel\.bn\.", ".bn1."),
        (r"\.layers\.conv_1\.kernel\.conv\.", ".conv2."),
        (r"\.layers\.conv_1\.kernel\.bn\.", ".bn2."),
        (r"\.layers\.conv_2\.kernel\.conv\.", ".conv3."),
        (r"\.layers\.conv_2\.kernel\.bn\.", ".bn3."),
        (r"\.layers\.se\.se\.block\.0\.", ".se.fc1."),
        (r"\.layers\.se\.se\.block\.2\.", ".se.fc2."),
        (r"^head\.conv_5\.kernel\.", "conv5."),
        (r"^head\.lin_5\.kernel\.conv\.", "head.hidden."),
        (r"^projection\.model\.", "head.fc."),
    ],
}
OPERATIONS = {"ResNet3D": (close_gap,), "MViT": (join_projections,)}
