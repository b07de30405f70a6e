"""MMAction2 (1.x), the transformers: TimeSformer, VideoMAE, UniFormer."""

import re

from torch import Tensor

_TOKENS = [
    (r"^cls_head\.fc_cls\.", "head.fc."),
    (r"^backbone\.", ""),
    (r"^patch_embed\.projection\.", "patch_embed."),
]


def name_attentions(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """TimeSformer's attentions are only counted: of two, the first is that along time."""
    divided = any(".attentions.1." in key for key in state)
    names = {"attentions.0.": "time_" if divided else "", "attentions.1.": ""}
    renamed = {}
    for key, value in state.items():
        for old, prefix in names.items():
            key = key.replace(f"{old}norm.", "time_norm." if prefix else "norm1.")
            key = key.replace(f"{old}attn.in_proj_", f"{prefix}attn.qkv.")
            key = key.replace(f"{old}attn.out_proj.", f"{prefix}attn.proj.")
        renamed[key] = value
    return renamed


def number_stages(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """UniFormer's stages: the embedding is the first of a stage's layers, the last norm that of the last stage."""
    last = 1 + max(int(m[1]) for key in state if (m := re.match(r"blocks4\.(\d+)\.", key)))

    def renamed(key: str) -> str:
        key = re.sub(r"^patch_embed(\d)\.", r"layer\1.0.", key)
        key = re.sub(r"^blocks(\d)\.(\d+)\.", lambda m: f"layer{m[1]}.{int(m[2]) + 1}.", key)
        key = re.sub(r"^norm\.", f"layer4.{last + 1}.", key)
        return re.sub(r"^(layer[12]\..*mlp)\.fc([12])\.", lambda m: f"{m[1]}.{2 * int(m[2]) - 2}.", key)

    return {renamed(key): value for key, value in state.items()}


def split_queries(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """UniFormerV2's query is projected apart from the keys and values that it meets."""
    split = {}
    for key, value in state.items():
        if match := re.fullmatch(r"(gathers\.\d+\.query)\.qkv\.(weight|bias)", key):
            dim = len(value) // 3
            split[f"{match[1]}.q.{match[2]}"], split[f"{match[1]}.kv.{match[2]}"] = value[:dim], value[dim:]
        else:
            split[key] = value
    return split


RULES = {
    "UniFormer": _TOKENS,
    "UniFormerV2": [
        *_TOKENS,
        (r"^class_embedding$", "class_token"),
        (r"^positional_embedding$", "pos_embed"),
        (r"^conv1\.", "patch_embed."),
        (r"^ln_pre\.", "norm_pre."),
        (r"^transformer\.temporal_cls_token$", "query_token"),
        (r"^transformer\.(balance|norm)", r"\1"),
        (r"^transformer\.resblocks\.", "blocks."),
        (r"^transformer\.dpe\.(\d+)\.", r"gathers.\1.pos_embed."),
        (r"^transformer\.dec\.(\d+)\.(?:attn\.)?", r"gathers.\1.query."),
        (r"\.in_proj_", ".qkv."),
        (r"\.out_proj\.", ".proj."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.ln_3\.", ".norm_tokens."),
        (r"\.c_fc\.", ".fc1."),
        (r"\.c_proj\.", ".fc2."),
    ],
    "TimeSformer": [
        *_TOKENS,
        (r"^cls_token$", "class_token"),
        (r"^transformer_layers\.layers\.", "blocks."),
        (r"\.attentions\.0\.temporal_fc\.", ".time_fc."),
        (r"\.ffns\.0\.norm\.", ".norm2."),
        (r"\.ffns\.0\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.ffns\.0\.layers\.1\.", ".mlp.fc2."),
        (r"\.norms\.0\.", ".norm1."),
        (r"\.norms\.1\.", ".norm2."),
    ],
    "ViT3D": [
        *_TOKENS,
        (r"^fc_norm\.", "head.norm."),
        (r"\.mlp\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.mlp\.layers\.1\.", ".mlp.fc2."),
    ],
}
OPERATIONS = {
    "TimeSformer": (name_attentions,),
    "UniFormer": (number_stages,),
    "UniFormerV2": (split_queries,),
}
