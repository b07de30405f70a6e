"""Published checkpoints of the action detectors.

Tags read source_pretraining_dataset_frames-x-stride: mm is MMAction2, ptv PyTorchVideo; videomae_k400 is VideoMAE's
pre-training. mAP is at IoU 0.5 of frames, on AVA's validation set or MultiSports'. MMAction2's networks of AVA have 81
outputs, of which the first is no action.
"""

from __future__ import annotations

from dataclasses import replace

from ..types import DetectionConfig, Weights
from ._publishers import entry

_AVA21, _AVA22 = "ava21", "ava22"


def _mm(
    name, method, run, stamp, num_params, mean_ap, frames, stride, dataset, license="apache-2.0", **kwargs
) -> Weights:
    url = f"https://download.openmmlab.com/mmaction/v1.0/detection/{method}/{run}/{run}_{stamp}.pth"
    ava = dataset.startswith("ava")
    kind = {"activation": "sigmoid", "target_fps": 30.0} if ava else {"activation": "softmax", "target_fps": None}
    config = DetectionConfig(frames, stride, background=ava, **kind)
    sha256 = stamp[-8:]
    weights = entry(name, url, num_params, None, None, config, license, sha256, "ava" if ava else dataset, **kwargs)
    return replace(weights, num_classes=81 if ava else 66, metrics={"mAP": mean_ap}, dataset=dataset)


def _ptv(name, file, num_params, mean_ap, frames, stride, **kwargs) -> Weights:
    url = f"https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/ava/{file}.pyth"
    config = DetectionConfig(frames, stride, background=False, mean=(0.45,) * 3, std=(0.225,) * 3)
    weights = entry(name, url, num_params, None, None, config, "apache-2.0", "", "ava", **kwargs)
    return replace(weights, metrics={"mAP": mean_ap}, dataset=_AVA22)


# torchvision's Faster R-CNN, which finds the persons in key frames
FASTER_RCNN = Weights(
    url="https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    arch="fasterrcnn_resnet50_fpn",
    tag="tv_coco",
    num_classes=91,
    data_config=DetectionConfig(1, background=True),
    num_params=41_755_286,
    sha256="258fb6c6",
    metrics={"box_mAP": 37.0},
    dataset="coco",
    license="bsd-3-clause",
    paper="https://arxiv.org/abs/1506.01497",
)
_PTV = {"num_classes": 80, "dilation": 2, "roi_size": 7, "aligned": False}

# fmt: off
TABLE: tuple[Weights, ...] = (
    # SlowOnly
    _mm("slowonly_r50_ava.mm_k400_ava21_4x16", "slowonly", "slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb", "20220906-953ef5fe", 31_800_465, 20.72, 4, 16, _AVA21),
    _mm("slowonly_r50_ava.mm_k700_ava21_4x16", "slowonly", "slowonly_kinetics700-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb", "20220906-b3b6d44e", 31_800_465, 22.77, 4, 16, _AVA21),
    _ptv("slowonly_r50_ava.ptv_k400_ava22_4x16", "SLOW_4x16_R50_DETECTION", 31_798_416, 19.5, 4, 16, **_PTV),
    _mm("slowonly_r50_nl_ava.mm_k400_ava21_4x16", "slowonly", "slowonly_kinetics400-pretrained-r50-nl_8xb16-4x16x1-20e_ava21-rgb", "20220906-5ae3f91b", 39_154_833, 21.55, 4, 16, _AVA21),
    _mm("slowonly_r50_nl_ava.mm_k400_ava21_8x8", "slowonly", "slowonly_kinetics400-pretrained-r50-nl_8xb16-8x8x1-20e_ava21-rgb", "20220906-9760eadb", 39_154_833, 23.77, 8, 8, _AVA21),
    _mm("slowonly_r101_ava.mm_k400_ava21_8x8", "slowonly", "slowonly_kinetics400-pretrained-r101_8xb16-8x8x1-20e_ava21-rgb", "20220906-43f16877", 59_705_489, 24.83, 8, 8, _AVA21),
    _mm("slowonly_r50_multisports.mm_k400_4x16", "slowonly", "slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-8e_multisports-rgb", "20230320-a1ca5e76", 31_769_730, 26.4, 4, 16, "multisports"),
    # SlowFast
    _mm("slowfast_r50_ava.mm_k400_ava21_8x8", "slowfast", "slowfast_kinetics400-pretrained-r50_8xb8-8x8x1-20e_ava21-rgb", "20220906-39133ec7", 33_830_265, 25.8, 32, 2, _AVA21),
    _mm("slowfast_r50_ava.mm_k400_ava21_4x16", "slowfast", "slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb", "20220906-5180ea3c", 33_743_993, 24.32, 32, 2, _AVA21, alpha=8, fusion_kernel=5),
    _mm("slowfast_r50_ava.mm_k400_ava22_8x8", "slowfast", "slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb", "20220906-d934a48f", 33_830_265, 25.9, 32, 2, _AVA22),
    _mm("slowfast_r50_ava.mm_k400_ava22_temporal_max_8x8", "slowfast", "slowfast_kinetics400-pretrained-r50-temporal-max_8xb6-8x8x1-cosine-10e_ava22-rgb", "20220906-13a9078e", 33_830_265, 26.41, 32, 2, _AVA22, time_pool="max"),
    _mm("slowfast_r50_ava.mm_k400_ava22_temporal_max_focal_8x8", "slowfast", "slowfast_r50-k400-pre-temporal-max-focal-alpha3-gamma1_8xb6-8x8x1-cosine-10e_ava22-rgb", "20220906-dd59e26f", 33_830_265, 26.65, 32, 2, _AVA22, time_pool="max"),
    _ptv("slowfast_r50_ava.ptv_k400_ava22_8x8", "SLOWFAST_8x8_R50_DETECTION", 33_828_888, 24.67, 32, 2, fusion_norm=True, slow_sampling="linspace", **_PTV),
    _mm("slowfast_r50_context_ava.mm_k400_ava21_4x16", "slowfast", "slowfast_kinetics400-pretrained-r50-context_8xb16-4x16x1-20e_ava21-rgb", "20220906-5bb4f6f2", 33_930_617, 25.34, 32, 2, _AVA21),
    _mm("slowfast_r50_multisports.mm_k400_4x16", "slowfast", "slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-8e_multisports-rgb", "20230320-af666368", 33_709_418, 36.88, 32, 2, "multisports"),
    # ACRN
    _mm("slowfast_r50_acrn_ava.mm_k400_ava21_8x8", "acrn", "slowfast-acrn_kinetics400-pretrained-r50_8xb8-8x8x1-cosine-10e_ava21-rgb", "20220906-0dae1a90", 92_232_057, 27.65, 32, 2, _AVA21),
    _mm("slowfast_r50_acrn_ava.mm_k400_ava22_8x8", "acrn", "slowfast-acrn_kinetics400-pretrained-r50_8xb8-8x8x1-cosine-10e_ava22-rgb", "20220906-66ec24a2", 92_232_057, 27.71, 32, 2, _AVA22),
    # LFB
    _mm("slowonly_r50_lfb_max_ava.mm_k400_ava21_4x16", "lfb", "slowonly-lfb-max_kinetics400-pretrained-r50_8xb12-4x16x1-20e_ava21-rgb", "20220906-4963135b", 31_966_353, 22.15, 4, 16, _AVA21),
    _mm("slowonly_r50_lfb_nl_ava.mm_k400_ava21_4x16", "lfb", "slowonly-lfb-nl_kinetics400-pretrained-r50_8xb12-4x16x1-20e_ava21-rgb", "20220906-4c5b9f25", 36_043_409, 24.11, 4, 16, _AVA21),
    # VideoMAE
    _mm("vit3d_base_ava.mm_videomae_k400_ava22_16x4", "videomae", "vit-base-p16_videomae-k400-pre_8xb8-16x4x1-20e-adamw_ava-kinetics-rgb", "20230314-3dafab75", 86_289_489, 33.6, 16, 4, _AVA22, "cc-by-nc-4.0"),
    _mm("vit3d_large_ava.mm_videomae_k400_ava22_16x4", "videomae", "vit-large-p16_videomae-k400-pre_8xb8-16x4x1-20e-adamw_ava-kinetics-rgb", "20230314-bf93c9ea", 303_943_761, 38.7, 16, 4, _AVA22, "cc-by-nc-4.0"),
)
# fmt: on
