"""MMAction2 (1.x), the plain transformers: TimeSformer and VideoMAE."""

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


RULES = {
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
OPERATIONS = {"TimeSformer": (name_attentions,)}
