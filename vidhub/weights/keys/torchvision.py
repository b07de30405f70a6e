"""torchvision's video ResNets, S3D, Video Swin and MViT."""

RULES = {
    "ResNet3D": [
        # stem: convolution and norm, or those of the spatial half and then of the temporal one
        (r"^stem\.3\.", "stem.conv.conv2."),
        (r"^stem\.4\.", "stem.bn."),
        (r"^(layer\d\.\d)\.conv([12])\.1\.", r"\1.bn\2."),
        (r"^(layer\d\.\d)\.conv([12])\.0\.0\.", r"\1.conv\2.conv1."),
        (r"^(layer\d\.\d)\.conv([12])\.0\.1\.", r"\1.conv\2.bn."),
        (r"^(layer\d\.\d)\.conv([12])\.0\.3\.", r"\1.conv\2.conv2."),
        (r"^(layer\d\.\d)\.conv([12])\.0\.", r"\1.conv\2."),
        (r"^fc\.", "head.fc."),
    ],
    "S3D": [
        (r"^features\.0\.", "stem."),
        (r"^features\.2\.", "layer1.conv."),
        (r"^features\.3\.", "layer1.separable."),
        (r"^features\.5\.", "layer2.0."),
        (r"^features\.6\.", "layer2.1."),
        (r"^features\.8\.", "layer3.0."),
        (r"^features\.9\.", "layer3.1."),
        (r"^features\.10\.", "layer3.2."),
        (r"^features\.11\.", "layer3.3."),
        (r"^features\.12\.", "layer3.4."),
        (r"^features\.14\.", "layer4.0."),
        (r"^features\.15\.", "layer4.1."),
        (r"^classifier\.1\.", "head.fc."),
    ],
    "MViT": [
        (r"^conv_proj\.", "patch_embed."),
        (r"^pos_encoding\.class_token$", "class_token"),
        (r"^pos_encoding\.class_pos$", "class_embed"),
        (r"^pos_encoding\.spatial_pos$", "space_embed"),
        (r"^pos_encoding\.temporal_pos$", "time_embed"),
        (r"\.rel_pos_([thw])$", r".rel_\1"),
        (r"\.pool_([qkv])\.pool\.", r".pool_\1.conv."),
        (r"\.pool_([qkv])\.norm_act\.0\.", r".pool_\1.norm."),
        (r"\.attn\.project\.0\.", ".attn.proj."),
        (r"\.project\.", ".proj."),
        (r"\.mlp\.0\.", ".mlp.fc1."),
        (r"\.mlp\.3\.", ".mlp.fc2."),
        (r"^head\.1\.", "head.fc."),
    ],
    "VideoSwin": [
        (r"\.relative_position_index$", None),  # computed
        (r"\.relative_position_bias_table$", ".bias_table"),
        (r"^head\.", "head.fc."),
        (r"^norm\.", "head.norm."),
        # stages and the merging of patches between them take turns
        *((rf"^features\.{2 * i}\.", f"layer{i + 1}.blocks.") for i in range(4)),
        *((rf"^features\.{2 * i + 1}\.", f"layer{i + 2}.merge.") for i in range(3)),
        (r"\.mlp\.0\.", ".mlp.fc1."),
        (r"\.mlp\.3\.", ".mlp.fc2."),
    ],
}


def stem_halves(state):
    """The stem's first convolution and norm are the whole stem's, unless a second half follows."""
    halves = "stem.conv.conv2.weight" in state
    conv, norm = ("stem.conv.conv1.", "stem.conv.bn.") if halves else ("stem.conv.", "stem.bn.")
    return {key.replace("stem.0.", conv).replace("stem.1.", norm): value for key, value in state.items()}


OPERATIONS = {"ResNet3D": (stem_halves,)}
