"""VideoMAE's and VideoMAE V2's own layout: timm's names for a vision transformer."""

RULES = {
    "ViT3D": [
        (r"^patch_embed\.proj\.", "patch_embed."),
        (r"^fc_norm\.", "head.norm."),
        (r"^head\.(?=weight|bias)", "head.fc."),
    ],
}
OPERATIONS = {}
