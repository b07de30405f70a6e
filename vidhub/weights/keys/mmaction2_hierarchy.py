"""MMAction2 (1.x), the transformers that are not plain: Video Swin, MViT, UniFormer and UniFormerV2."""

import re

from torch import Tensor

_HEAD = (r"^cls_head\.fc_cls\.", "head.fc.")


def place_gathering(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """UniFormerV2's global blocks are in the last blocks of the frames, and project queries apart."""
    depth = 1 + max(int(m[1]) for key in state if (m := re.match(r"blocks\.(\d+)\.", key)))
    count = 1 + max(int(m[1]) for key in state if (m := re.match(r"gather\.(\d+)\.", key)))
    placed = {}
    for old, value in state.items():
        key = re.sub(r"^gather\.(\d+)\.", lambda m: f"blocks.{depth - count + int(m[1])}.gather.", old)
        if ".gather.qkv." in key:
            third = len(value) // 3
            placed[key.replace(".qkv.", ".q.")], placed[key.replace(".qkv.", ".kv.")] = value[:third], value[third:]
        else:
            placed[key] = value
    return placed


RULES = {
    "MViT": [
        _HEAD,
        (r"^backbone\.norm3\.", "norm."),
        (r"^backbone\.cls_token$", "class_token"),
        (r"^backbone\.patch_embed\.projection\.", "patch_embed."),
        (r"\.rel_pos_([thw])$", r".rel_\1"),
        (r"\.pool_([qkv])\.", r".pool_\1.conv."),
        (r"\.norm_([qkv])\.", r".pool_\1.norm."),
        (r"^backbone\.", ""),
    ],
    "UniFormer": [
        _HEAD,
        (r"^backbone\.norm\.", "head.norm."),
        (r"^backbone\.patch_embed(\d)\.proj\.", r"layer\1.embed."),
        (r"^backbone\.patch_embed(\d)\.norm\.", r"layer\1.norm."),
        (r"^backbone\.blocks([12])\.(\d+)\.mlp\.fc1\.", r"layer\1.blocks.\2.mlp.0."),
        (r"^backbone\.blocks([12])\.(\d+)\.mlp\.fc2\.", r"layer\1.blocks.\2.mlp.2."),
        (r"^backbone\.blocks(\d)\.", r"layer\1.blocks."),
    ],
    "UniFormerV2": [
        _HEAD,
        (r"^backbone\.class_embedding$", "class_token"),
        (r"^backbone\.positional_embedding$", "pos_embed"),
        (r"^backbone\.conv1\.", "patch_embed."),
        (r"^backbone\.ln_pre\.", "norm_embed."),
        (r"^backbone\.transformer\.", ""),
        (r"^temporal_cls_token$", "video_query"),
        (r"^resblocks\.", "blocks."),
        (r"^dpe\.(\d+)\.", r"gather.\1.pos_embed."),
        (r"^dec\.(\d+)\.attn\.in_proj_", r"gather.\1.qkv."),
        (r"^dec\.(\d+)\.attn\.out_proj\.", r"gather.\1.proj."),
        (r"^dec\.(\d+)\.ln_3\.", r"gather.\1.norm_tokens."),
        (r"^dec\.", "gather."),
        (r"\.attn\.in_proj_", ".attn.qkv."),
        (r"\.attn\.out_proj\.", ".attn.proj."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.mlp\.c_fc\.", ".mlp.fc1."),
        (r"\.mlp\.c_proj\.", ".mlp.fc2."),
        (r"\.lmhra([12])\.pos_embed\.0\.", r".local\1.norm."),
        (r"\.lmhra([12])\.pos_embed\.1\.", r".local\1.reduce."),
        (r"\.lmhra([12])\.pos_embed\.2\.", r".local\1.mix."),
        (r"\.lmhra([12])\.pos_embed\.3\.", r".local\1.expand."),
    ],
    "VideoSwin": [
        _HEAD,
        (r"\.relative_position_index$", None),  # computed
        (r"\.relative_position_bias_table$", ".bias_table"),
        (r"^backbone\.norm3\.", "head.norm."),
        # they merge patches after a stage, we before the next
        *((rf"^backbone\.layers\.{i}\.downsample\.", f"layer{i + 2}.merge.") for i in range(3)),
        *((rf"^backbone\.layers\.{i}\.", f"layer{i + 1}.") for i in range(4)),
        (r"^backbone\.", ""),
    ],
}
OPERATIONS = {"UniFormerV2": (place_gathering,)}
