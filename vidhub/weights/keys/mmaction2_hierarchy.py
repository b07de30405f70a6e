"""MMAction2 (1.x), the transformers that shrink their grid: Video Swin, MViT and UniFormer."""

_HEAD = (r"^cls_head\.fc_cls\.", "head.fc.")

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
OPERATIONS = {}
