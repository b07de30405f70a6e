"""Hugging Face transformers: a classifier beside the network, which goes by the name of its method."""

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
}
OPERATIONS = {}
