"""Which file defines which models: data, so that listing every name imports no network code."""

# module: (task, names); `register_model` checks each entry point against it
MODULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "c3d": ("recognition", ("c3d",)),
    "resnet3d": (
        "recognition",
        (
            "c2d_r50",
            "c2d_r101",
            "c2d_nopool_r50",
            "c2d_nopool_r101",
            "i3d_r50",
            "i3d_r50_heavy",
            "i3d_r50_nl_dot_product",
            "i3d_r50_nl_embedded_gaussian",
            "i3d_r50_nl_gaussian",
            "slowonly_r50",
            "slowonly_r50_flow",
            "slowonly_r50_nl_embedded_gaussian",
            "slowonly_r50_omnisource",
            "slowonly_r101",
            "ipcsn_r50",
            "ipcsn_r152",
            "ircsn_r50",
            "ircsn_r101",
            "ircsn_r152",
            "r2plus1d_18",
            "r2plus1d_r34",
            "r2plus1d_r50",
            "r3d_18",
            "mc3_18",
        ),
    ),
    "resnet_audio": ("audio", ("tsn_r18_audio",)),
    "s3d": ("recognition", ("s3d",)),
    "slowfast": ("recognition", ("slowfast_r50", "slowfast_r101", "slowfast_r101_r50")),
    "tanet": ("recognition", ("tanet_r50",)),
    "timesformer": (
        "recognition",
        ("timesformer_base_divided", "timesformer_base_joint", "timesformer_base_space"),
    ),
    "tin": ("recognition", ("tin_r50",)),
    "tpn": ("recognition", ("tpn_slowonly_r50", "tpn_tsm_r50")),
    "trn": ("recognition", ("trn_r50", "trn_single_r50")),
    "tsm": (
        "recognition",
        (
            "tsm",
            "tsm_r50",
            "tsm_r101",
            "tsm_r50_nl_dot_product",
            "tsm_r50_nl_embedded_gaussian",
            "tsm_r50_nl_gaussian",
            "tsm_mobilenet_v2",
            "tsm_mobileone_s4",
        ),
    ),
    "tsn": (
        "recognition",
        (
            "tsn",
            "tsn_r50",
            "tsn_r101",
            "tsn_resnext101_32x4d",
            "tsn_densenet161",
            "tsn_mobileone_s4",
            "tsn_swin_base",
        ),
    ),
    "x3d": ("recognition", ("x3d_xs", "x3d_s", "x3d_m", "x3d_l")),
}
MODULE_OF = {name: module for module, (_, names) in MODULES.items() for name in names}
TASK_OF = {name: task for task, names in MODULES.values() for name in names}
