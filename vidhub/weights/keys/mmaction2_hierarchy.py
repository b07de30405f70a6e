"""MMAction2 (1.x), the transformers that shrink their grid: Video Swin and MViT."""

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
