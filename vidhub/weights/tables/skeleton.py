"""Published checkpoints on skeletons: ST-GCN, ST-GCN++, 2s-AGCN and PoseC3D of MMAction2, and PYSKL's hand gestures.

Tags of graph networks read mm_dataset_protocol_dimensions_stream; scores of the four streams of a network are meant to
be added. Tags of PoseC3D read mm_pretraining_dataset_heatmap. The accuracies are of 10 clips.
"""

from __future__ import annotations

from dataclasses import replace

from ..types import DataConfig, SkeletonConfig, Weights
from ._publishers import entry

_3D = SkeletonConfig()
_2D = SkeletonConfig(layout="coco", normalize="2d")
HEATMAPS = SkeletonConfig(
    kind="keypoint", layout="coco", num_frames=48, normalize="none", size=64, views=(10, 2), num_persons=10
)
_HAND = SkeletonConfig(layout="hand", num_frames=10, num_persons=1, num_coords=2, normalize="box", views=(1, 1))
_LIMBS = {"kind": "limb"}
_DEEP_LAST = {"depths": (3, 4, 6)}


def _graph(name: str, run: str, stamp: str, num_params: int, top1: float) -> Weights:
    """``name`` is arch.tag; the tag and the run's name say the same."""
    _, dataset, _, dimensions, stream = name.partition(".")[2].split("_", 4)
    method = run.partition("_")[0]
    url = f"https://download.openmmlab.com/mmaction/v1.0/skeleton/{method}/{run}/{run}_{stamp}.pth"
    config = replace(_3D if dimensions == "3d" else _2D, streams=(stream,))
    kwargs = {} if dimensions == "3d" else {"layout": "coco"}
    return entry(name, url, num_params, top1, None, config, "apache-2.0", stamp[-8:], dataset, **kwargs)


def _heatmap(name, run, stamp, num_params, score, dataset, data=None, **kwargs) -> Weights:
    url = f"https://download.openmmlab.com/mmaction/v1.0/skeleton/posec3d/{run}/{run}_{stamp}.pth"
    config = replace(HEATMAPS, **(data or {}))
    found = entry(name, url, num_params, None, None, config, "apache-2.0", stamp[-8:], dataset, **kwargs)
    return replace(found, metrics={"mean_class" if dataset == "gym99" else "top1": score})


# finds the skeletons in videos; torchvision builds the network
KEYPOINT_RCNN = Weights(
    url="https://download.pytorch.org/models/keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
    arch="keypointrcnn_resnet50_fpn",
    tag="tv_coco",
    num_classes=2,
    data_config=DataConfig(num_frames=1),
    num_params=59_137_258,
    sha256="fc266e95",
    metrics={"box_mAP": 54.6, "keypoint_mAP": 65.0},
    dataset="coco",
    license="bsd-3-clause",
    paper="https://arxiv.org/abs/1703.06870",
)

# fmt: off
TABLE: tuple[Weights, ...] = (
    # ST-GCN
    _graph("stgcn.mm_ntu60_xsub_3d_joint", "stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d", "20221129-850308e1", 3_098_832, 88.11),
    _graph("stgcn.mm_ntu60_xsub_3d_bone", "stgcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-3d", "20221129-9c8d2970", 3_098_832, 88.76),
    _graph("stgcn.mm_ntu60_xsub_3d_joint_motion", "stgcn_8xb16-joint-motion-u100-80e_ntu60-xsub-keypoint-3d", "20221129-927648ea", 3_098_832, 86.06),
    _graph("stgcn.mm_ntu60_xsub_3d_bone_motion", "stgcn_8xb16-bone-motion-u100-80e_ntu60-xsub-keypoint-3d", "20221129-593162ca", 3_098_832, 85.49),
    _graph("stgcn.mm_ntu60_xsub_2d_joint", "stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d", "20221129-484a394a", 3_088_704, 88.95),
    _graph("stgcn.mm_ntu60_xsub_2d_bone", "stgcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-2d", "20221129-c4b44488", 3_088_704, 91.69),
    _graph("stgcn.mm_ntu60_xsub_2d_joint_motion", "stgcn_8xb16-joint-motion-u100-80e_ntu60-xsub-keypoint-2d", "20221129-f18eb408", 3_088_704, 86.9),
    _graph("stgcn.mm_ntu60_xsub_2d_bone_motion", "stgcn_8xb16-bone-motion-u100-80e_ntu60-xsub-keypoint-2d", "20221129-99c60e2d", 3_088_704, 87.86),
    _graph("stgcn.mm_ntu120_xsub_3d_joint", "stgcn_8xb16-joint-u100-80e_ntu120-xsub-keypoint-3d", "20221129-0484f579", 3_114_252, 82.15),
    _graph("stgcn.mm_ntu120_xsub_3d_bone", "stgcn_8xb16-bone-u100-80e_ntu120-xsub-keypoint-3d", "20221129-bc007510", 3_114_252, 84.28),
    _graph("stgcn.mm_ntu120_xsub_3d_joint_motion", "stgcn_8xb16-joint-motion-u100-80e_ntu120-xsub-keypoint-3d", "20221129-5d54f525", 3_114_252, 78.93),
    _graph("stgcn.mm_ntu120_xsub_3d_bone_motion", "stgcn_8xb16-bone-motion-u100-80e_ntu120-xsub-keypoint-3d", "20221129-3cb0e4e1", 3_114_252, 80.02),
    _graph("stgcn.mm_ntu120_xsub_2d_joint", "stgcn_8xb16-joint-u100-80e_ntu120-xsub-keypoint-2d", "20221129-612416c6", 3_104_124, 83.19),
    _graph("stgcn.mm_ntu120_xsub_2d_bone", "stgcn_8xb16-bone-u100-80e_ntu120-xsub-keypoint-2d", "20221129-131e63c3", 3_104_124, 83.36),
    _graph("stgcn.mm_ntu120_xsub_2d_joint_motion", "stgcn_8xb16-joint-motion-u100-80e_ntu120-xsub-keypoint-2d", "20221129-7cb38ec2", 3_104_124, 78.87),
    _graph("stgcn.mm_ntu120_xsub_2d_bone_motion", "stgcn_8xb16-bone-motion-u100-80e_ntu120-xsub-keypoint-2d", "20221129-f5b19892", 3_104_124, 79.55),
    # ST-GCN++
    _graph("stgcnpp.mm_ntu60_xsub_3d_joint", "stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d", "20221230-4e455ce3", 1_403_144, 89.14),
    _graph("stgcnpp.mm_ntu60_xsub_3d_bone", "stgcnpp_8xb16-bone-u100-80e_ntu60-xsub-keypoint-3d", "20221230-7f356072", 1_403_144, 90.21),
    _graph("stgcnpp.mm_ntu60_xsub_3d_joint_motion", "stgcnpp_8xb16-joint-motion-u100-80e_ntu60-xsub-keypoint-3d", "20221230-650de5cc", 1_403_144, 86.67),
    _graph("stgcnpp.mm_ntu60_xsub_3d_bone_motion", "stgcnpp_8xb16-bone-motion-u100-80e_ntu60-xsub-keypoint-3d", "20221230-b00440d2", 1_403_144, 87.45),
    _graph("stgcnpp.mm_ntu60_xsub_2d_joint", "stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d", "20221228-86e1e77a", 1_393_016, 89.29),
    _graph("stgcnpp.mm_ntu60_xsub_2d_bone", "stgcnpp_8xb16-bone-u100-80e_ntu60-xsub-keypoint-2d", "20221228-cd11a691", 1_393_016, 92.3),
    _graph("stgcnpp.mm_ntu60_xsub_2d_joint_motion", "stgcnpp_8xb16-joint-motion-u100-80e_ntu60-xsub-keypoint-2d", "20221228-19a34aba", 1_393_016, 87.3),
    _graph("stgcnpp.mm_ntu60_xsub_2d_bone_motion", "stgcnpp_8xb16-bone-motion-u100-80e_ntu60-xsub-keypoint-2d", "20221228-c02a0749", 1_393_016, 88.76),
    entry("stgcnpp.pyskl_hagrid", "https://raw.githubusercontent.com/kennymckormick/pyskl/main/demo/hagrid.pth", 197_478, None, None, _HAND, "apache-2.0",
          "14d3e55e7c29ee73d22a2306050c7156d516bdeee3ab47547174e38256f807e7", "hagrid", layout="hand", in_chans=2, depths=(5, 1)),
    # 2s-AGCN
    _graph("agcn.mm_ntu60_xsub_3d_joint", "2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d", "20221222-24dabf78", 3_469_520, 88.26),
    _graph("agcn.mm_ntu60_xsub_3d_bone", "2s-agcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-3d", "20221222-abe70a7f", 3_469_520, 89.22),
    _graph("agcn.mm_ntu60_xsub_3d_joint_motion", "2s-agcn_8xb16-joint-motion-u100-80e_ntu60-xsub-keypoint-3d", "20221222-923cd3c3", 3_469_520, 86.73),
    _graph("agcn.mm_ntu60_xsub_3d_bone_motion", "2s-agcn_8xb16-bone-motion-u100-80e_ntu60-xsub-keypoint-3d", "20221222-3d8f6f43", 3_469_520, 86.41),
    _graph("agcn.mm_ntu60_xsub_2d_joint", "2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d", "20221222-4c0ed77e", 3_459_344, 88.6),
    _graph("agcn.mm_ntu60_xsub_2d_bone", "2s-agcn_8xb16-bone-u100-80e_ntu60-xsub-keypoint-2d", "20221222-293878b5", 3_459_344, 91.59),
    _graph("agcn.mm_ntu60_xsub_2d_joint_motion", "2s-agcn_8xb16-joint-motion-u100-80e_ntu60-xsub-keypoint-2d", "20221222-0c86e3a1", 3_459_344, 88.02),
    _graph("agcn.mm_ntu60_xsub_2d_bone_motion", "2s-agcn_8xb16-bone-motion-u100-80e_ntu60-xsub-keypoint-2d", "20221222-87996f0d", 3_459_344, 88.82),
    # PoseC3D
    _heatmap("posec3d_slowonly_r50.mm_ntu60_xsub_keypoint", "slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint", "20220815-38db104b", 2_024_860, 93.6, "ntu60"),
    _heatmap("posec3d_slowonly_r50.mm_ntu60_xsub_limb", "slowonly_r50_8xb16-u48-240e_ntu60-xsub-limb", "20220815-af2f119a", 2_024_860, 93.5, "ntu60", _LIMBS),
    _heatmap("posec3d_slowonly_r50.mm_gym_keypoint", "slowonly_r50_8xb16-u48-240e_gym-keypoint", "20220815-da338c58", 2_044_867, 93.5, "gym99"),
    _heatmap("posec3d_slowonly_r50.mm_gym_limb", "slowonly_r50_8xb16-u48-240e_gym-limb", "20220815-2e6e3c5c", 2_044_867, 93.6, "gym99", _LIMBS),
    _heatmap("posec3d_slowonly_r50.mm_k400_keypoint", "slowonly_r50_8xb32-u48-240e_k400-keypoint", "20230731-7f498b55", 3_208_560, 47.4, "kinetics400", {"keep_ratio": False}, **_DEEP_LAST),
    _heatmap("posec3d_slowonly_r50.mm_k400_ucf101_keypoint", "slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_ucf101-split1-keypoint", "20220815-9972260d", 3_055_173, 86.8, "ucf101", {"size": 56}, **_DEEP_LAST),
    _heatmap("posec3d_slowonly_r50.mm_k400_hmdb51_keypoint", "slowonly_kinetics400-pretrained-r50_8xb16-u48-120e_hmdb51-split1-keypoint", "20220815-17eaa484", 3_029_523, 69.6, "hmdb51", {"size": 56}, **_DEEP_LAST),
)
