"""MMAction2 (1.x), the transformers that shrink their grid: Video Swin."""

_HEAD = (r"^cls_head\.fc_cls\.", "head.fc.")

RULES = {
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
