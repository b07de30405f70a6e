"""Published checkpoints of temporal localization: BMN, both parts of BSN, and SSN. All are MMAction2's.

Tags read source_dataset_features: cuhk is the 400 scores of a two-stream network, rescaled to 100 steps. AUC and AR@k
's proposal task, those of BSN of both parts together; map50 is the mean average precision at 0.5.
"""

from __future__ import annotations

from ..types import DataConfig, SegmentConfig, Weights

_URL = "https://download.openmmlab.com/mmaction/"
_CUHK = SegmentConfig(feature_dim=400, num_steps=100)
_BSN = {"auc": 66.26, "ar1": 32.71, "ar5": 48.43, "ar10": 55.28, "ar100": 74.27}


def _anet(name, path, num_params, metrics, data, paper) -> Weights:
    arch, tag = name.split(".")
    return Weights(
        url=f"{_URL}v1.0/localization/{path}.pth",
        arch=arch,
        tag=tag,
        num_classes=0,
        data_config=data,
        num_params=num_params,
        sha256=path[-8:],
        metrics=metrics,
        dataset="activitynet",
        license="apache-2.0",
        paper=f"https://arxiv.org/abs/{paper}",
    )


_SSN = DataConfig(
    num_frames=9,
    stride=6,
    mean=(128 / 255, 117 / 255, 104 / 255),
    std=(1 / 255,) * 3,
    sampling="segments",
    views=(1, 1),
    bgr=True,
)
_SSN_URL = "localization/ssn/ssn_r50_450e_thumos14_rgb/ssn_r50_450e_thumos14_rgb_20201012-1920ab16.pth"

# fmt: off
TABLE: tuple[Weights, ...] = (
    _anet("bmn.mm_anet_cuhk", "bmn/bmn_2xb8-400x100-9e_activitynet-feature_20220908-79f92857", 4_978_564, {"auc": 67.25, "ar1": 32.89, "ar5": 49.43, "ar10": 56.64, "ar100": 75.29}, _CUHK, "1907.09702"),
    _anet("bsn_tem.mm_anet_cuhk", "bsn/bsn_tem_1xb16-400x100-20e_activitynet-feature_20220908-9da79951", 1_403_395, _BSN, SegmentConfig(soft_nms_alpha=0.75, soft_nms_low=0.65, boundary_ratio=0.1), "1806.02964"),
    _anet("bsn_pem.mm_anet_cuhk", "bsn/bsn_pem_1xb16-400x100-20e_activitynet-feature_20220908-ec2eb21d", 8_705, _BSN, SegmentConfig(feature_dim=32, num_steps=0, soft_nms_alpha=0.75, soft_nms_low=0.65, proposal_model="bsn_tem.mm_anet_cuhk"), "1806.02964"),
    Weights(url=_URL + _SSN_URL, arch="ssn_r50", tag="mm_thumos14_rgb", num_classes=20, data_config=_SSN, num_params=23_919_761, sha256="1920ab16", label_set="thumos14", metrics={"map30": 29.37, "map40": 22.15, "map50": 15.69}, dataset="thumos14", license="apache-2.0", paper="https://arxiv.org/abs/1704.06228"),
)
# fmt: on
