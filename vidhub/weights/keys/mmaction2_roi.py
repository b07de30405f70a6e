"""MMAction2 (1.x), the detectors, beside their trunks."""

RULES = {
    "RoIDetector": [
        (r"^roi_head\.bbox_head\.fc_cls\.", "head.fc."),
        # ACRN
        (r"^roi_head\.shared_head\.conv([12])\.conv\.", r"relation.conv\1."),
        (r"^roi_head\.shared_head\.conv([12])\.bn\.", r"relation.bn\1."),
        # LFB
        (r"^roi_head\.shared_head\.fbo\.st_feat_conv\.", "memory.reduce."),
        (r"^roi_head\.shared_head\.fbo\.lt_feat_conv\.", "memory.reduce_bank."),
        (r"^roi_head\.shared_head\.fbo\.non_local_layer_1\.", "memory.layers.0."),
        (r"^roi_head\.shared_head\.fbo\.non_local_layer_2\.", "memory.layers.1."),
        (r"\.st_feat_conv\.conv\.", ".q."),
        (r"\.lt_feat_conv\.conv\.", ".k."),
        (r"\.global_conv\.conv\.", ".v."),
        (r"\.out_conv\.conv\.", ".proj."),
        (r"\.ln\.", ".norm."),
    ],
}
