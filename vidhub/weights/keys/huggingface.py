"""Hugging Face transformers: a classifier beside the network, which goes by the name of its method."""

import re

import torch
from torch import Tensor

_NAMES = (("q", "k", "v"), ("query", "key", "value"))  # of the parts of attention, by version
_LAYER = [
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
]
RULES = {
    "TimeSformer": [
        (r"^classifier\.", "head.fc."),
        (r"^timesformer\.layernorm\.", "norm."),
        (r"^timesformer\.embeddings\.cls_token", "class_token"),
        (r"^timesformer\.embeddings\.position_embeddings", "pos_embed"),
        (r"^timesformer\.embeddings\.time_embeddings", "time_embed"),
        (r"^timesformer\.embeddings\.patch_embeddings\.projection\.", "patch_embed."),
        (r"^timesformer\.encoder\.layer\.", "blocks."),
        (r"\.temporal_layernorm\.", ".time_norm."),
        (r"\.temporal_attention\.attention\.", ".time_attn."),
        (r"\.temporal_attention\.output\.dense\.", ".time_attn.proj."),
        (r"\.temporal_dense\.", ".time_fc."),
        *_LAYER,
    ],
    "ViT3D": [
        (r"^classifier\.", "head.fc."),
        (r"^fc_norm\.", "head.norm."),
        (r"^(?:videomae|vivit)\.", ""),
        (r"^layernorm\.", "norm."),
        (r"^embeddings\.cls_token", "class_token"),
        (r"^embeddings\.position_embeddings", "pos_embed"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed."),
        (r"^(?:encoder\.layer|layers)\.", "blocks."),
        *_LAYER,
        # since version 5
        (r"\.attention\.o_proj\.", ".attn.proj."),
        (r"\.attention\.(q|k|v)_proj\.", r".attn.\1."),
    ],
    "VJEPA2": [
        (r"^vjepa2\.predictor\.", None),  # of the pre-training
        (r"^vjepa2\.encoder\.embeddings\.patch_embeddings\.proj\.", "patch_embed."),
        (r"^vjepa2\.encoder\.layernorm\.", "norm."),
        (r"^vjepa2\.encoder\.layer\.", "blocks."),
        (r"^pooler\.query_tokens", "head.query_token"),
        (r"^pooler\.cross_attention_layer\.layer_norm1\.", "head.query.norm_tokens."),
        (r"^pooler\.cross_attention_layer\.", "head.query."),
        (r"^pooler\.self_attention_layers\.", "head.blocks."),
        (r"\.cross_attn\.(q|k|v)_proj\.", r".\1."),
        (r"\.self_attn\.(q|k|v)_proj\.", r".attn.\1."),
        (r"\.self_attn\.out_proj\.", ".attn.proj."),
        (r"\.layer_norm(1|2)\.", r".norm\1."),
        (r"\.attention\.", ".attn."),
        (r"^classifier\.", "head.fc."),
    ],
}


def join_qkv(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values are one layer here; where keys have no bias, the others' stand by themselves.

    So are the keys and values of a query that gathers from all tokens.
    """
    joined = {}
    for kind in ("weight", "bias"):
        if f"head.query.k.{kind}" in state:
            joined[f"head.query.kv.{kind}"] = torch.cat([state.pop(f"head.query.{part}.{kind}") for part in "kv"])
    for key, value in state.items():
        match = re.fullmatch(r"(.*\battn)\.(q|k|v|query|key|value)\.(weight|bias)", key)
        if match is None:
            joined[key] = value
            continue
        prefix, part, kind = match.groups()
        parts = [state.get(f"{prefix}.{name}.{kind}") for name in _NAMES[len(part) > 1]]
        if all(p is not None for p in parts):
            joined[f"{prefix}.qkv.{kind}"] = torch.cat(parts)
        else:
            joined[f"{prefix}.{part[0]}_{kind}"] = value
    return joined


OPERATIONS = {"ViT3D": (join_qkv,), "VJEPA2": (join_qkv,)}
