"""Published checkpoints of the per-frame networks: TSN, TSM, TIN, TRN, TANet, TPN, and TSN on sound. All are
MMAction2's.

Tags read source_pretraining_dataset_sampling: 1x1x8 is 8 frames, one of each equal part of the video, or with "dense"
spread over a window of 64 frames; 8x8 is a clip of 8 frames, every eighth. The accuracies are with the views of each
entry's ``data_config``. TSN is tested on 25 frames whatever it was trained on.
"""

from __future__ import annotations

from ..types import AudioConfig, Weights
from ._publishers import STHV2_FLIPS, entry, mmaction2_run

_CENTER = {"sampling": "segments", "views": (1, 1), "test_size": None}
_TEN = {"sampling": "segments", "views": (1, 10), "test_size": None}
_THREE = {"sampling": "segments", "views": (1, 3)}
_TWICE = {"sampling": "segments", "views": (2, 3)}
_DENSE_TEN = {"sampling": "dense", "views": (10, 10), "test_size": None}
_DENSE_THREE = {"sampling": "dense", "views": (10, 3)}
_TSN = _TEN | {"test_frames": 25}
_TSN_DENSE = {"sampling": "dense", "views": (10, 1), "test_size": None, "test_frames": 25}
_TANET = {"mean": (0.485, 0.456, 103.5 / 255)}  # as its configurations have it
# mirrored, these classes are one another: left to right and right to left
_STHV1 = {"flip_labels": ((2, 4), (30, 41), (52, 66))}
_STHV2 = {"flip_labels": STHV2_FLIPS}

# fmt: off
TABLE: tuple[Weights, ...] = (
    # TSN
    mmaction2_run("tsn_densenet161.mm_in1k_k400_1x1x3", "tsn", "tsn_imagenet-pretrained-dense161_8xb32-1x1x3-100e_kinetics400-rgb", "20220906-5f4c0daf", 27_355_600, 72.07, 90.15, 3, 1, data=_TSN),
    mmaction2_run("tsn_mobileone_s4.mm_in1k_k400_1x1x8", "tsn", "tsn_imagenet-pretrained-mobileone-s4_8xb32-1x1x8-100e_kinetics400-rgb", "20230825-2da3c1f7", 13_721_848, 73.65, 91.32, 8, 1, data=_TSN),
    mmaction2_run("tsn_r101.mm_in1k_k400_1x1x8", "tsn", "tsn_imagenet-pretrained-r101_8xb32-1x1x8-100e_kinetics400-rgb", "20220906-23cff032", 43_319_760, 75.89, 92.07, 8, 1, data=_TSN),
    mmaction2_run("tsn_r50.mm_in1k_k400_1x1x8", "tsn", "tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb", "20220906-2692d16c", 24_327_632, 74.12, 91.34, 8, 1, data=_TSN),
    mmaction2_run("tsn_r50.mm_in1k_sthv2_1x1x16", "tsn", "tsn_imagenet-pretrained-r50_8xb32-1x1x16-50e_sthv2-rgb", "20230221-85bcc1c3", 23_864_558, 36.91, 68.77, 16, 1, "sthv2", data=_TSN | _STHV2),
    mmaction2_run("tsn_r50.mm_in1k_k400_1x1x3", "tsn", "tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb", "20220906-cd10898e", 24_327_632, 72.83, 90.65, 3, 1, data=_TSN),
    mmaction2_run("tsn_r50.mm_in1k_k400_1x1x5", "tsn", "tsn_imagenet-pretrained-r50_8xb32-1x1x5-100e_kinetics400-rgb", "20220906-65d68713", 24_327_632, 73.8, 91.21, 5, 1, data=_TSN),
    mmaction2_run("tsn_r50.mm_in1k_sthv2_1x1x8", "tsn", "tsn_imagenet-pretrained-r50_8xb32-1x1x8-50e_sthv2-rgb", "20230313-06ad7d03", 23_864_558, 35.51, 67.09, 8, 1, "sthv2", data=_TSN | _STHV2),
    mmaction2_run("tsn_r50.mm_in1k_k400_dense_1x1x5", "tsn", "tsn_imagenet-pretrained-r50_8xb32-dense-1x1x5-100e_kinetics400-rgb", "20220906-dcbc6e01", 24_327_632, 71.37, 89.67, 5, 1, data=_TSN_DENSE),
    mmaction2_run("tsn_resnext101_32x4d.mm_in1k_k400_1x1x3", "tsn", "tsn_imagenet-pretrained-rn101-32x4d_8xb32-1x1x3-100e_kinetics400-rgb", "20221209-de2d5615", 42_948_304, 72.95, 90.36, 3, 1, data=_TSN),
    mmaction2_run("tsn_swin_base.mm_in1k_k400_1x1x3", "tsn", "tsn_imagenet-pretrained-swin-transformer_8xb32-1x1x3-100e_kinetics400-rgb", "20220906-65ed814e", 87_153_224, 77.03, 92.61, 3, 1, data=_TSN),
    mmaction2_run("tsn_swin_base.mm_in1k_k400_1x1x8", "tsn", "tsn_imagenet-pretrained-swin-transformer_32xb8-1x1x8-50e_kinetics400-rgb", "20230530-428f0064", 87_153_224, 79.22, 94.2, 8, 1, data=_TSN),
    # TSM
    mmaction2_run("tsm_mobilenet_v2.mm_in1k_k400_1x1x8", "tsm", "tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb", "20230414-401127fd", 2_736_272, 68.71, 88.32, 8, 1, data=_THREE),
    mmaction2_run("tsm_mobileone_s4.mm_in1k_k400_1x1x16", "tsm", "tsm_imagenet-pretrained-mobileone-s4_8xb16-1x1x16-50e_kinetics400-rgb", "20230825-a7f8876b", 13_721_848, 74.38, 91.71, 16, 1, data=_THREE),
    mmaction2_run("tsm_r101.mm_in1k_sthv2_1x1x8", "tsm", "tsm_imagenet-pretrained-r101_8xb16-1x1x8-50e_sthv2-rgb", "20230320-efcc0d1b", 42_856_686, 63.7, 88.28, 8, 1, "sthv2", data=_TWICE | _STHV2),
    mmaction2_run("tsm_r50.mm_in1k_k400_1x1x8", "tsm", "tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb", "20220831-64d69186", 24_327_632, 73.18, 90.56, 8, 1, data=_TEN),
    mmaction2_run("tsm_r50.mm_in1k_k400_1x1x16", "tsm", "tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb", "20220831-042b1748", 24_327_632, 75.12, 91.55, 16, 1, data=_TEN, num_frames=16),
    mmaction2_run("tsm_r50.mm_in1k_sthv2_1x1x16", "tsm", "tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_sthv2-rgb", "20230317-ec6696ad", 23_864_558, 64.16, 88.61, 16, 1, "sthv2", data=_TWICE | _STHV2, num_frames=16),
    mmaction2_run("tsm_r50.mm_in1k_k400_1x1x8_100e", "tsm", "tsm_imagenet-pretrained-r50_8xb16-1x1x8-100e_kinetics400-rgb", "20220831-a6db1e5d", 24_327_632, 73.22, 90.22, 8, 1, data=_TEN),
    mmaction2_run("tsm_r50.mm_in1k_sthv2_1x1x8", "tsm", "tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb", "20230317-be0fc26e", 23_864_558, 62.72, 87.7, 8, 1, "sthv2", data=_TWICE | _STHV2),
    mmaction2_run("tsm_r50.mm_in1k_k400_dense_1x1x8", "tsm", "tsm_imagenet-pretrained-r50_8xb16-dense-1x1x8-50e_kinetics400-rgb", "20220831-f55d3c2b", 24_327_632, 73.38, 90.78, 8, 1, data=_DENSE_TEN),
    mmaction2_run("tsm_r50_nl_dot_product.mm_in1k_k400_1x1x8", "tsm", "tsm_imagenet-pretrained-r50-nl-dot-product_8xb16-1x1x8-50e_kinetics400-rgb", "20220831-108bfde5", 31_682_000, 74.49, 91.15, 8, 1, data=_TEN),
    mmaction2_run("tsm_r50_nl_embedded_gaussian.mm_in1k_k400_1x1x8", "tsm", "tsm_imagenet-pretrained-r50-nl-embedded-gaussian_8xb16-1x1x8-50e_kinetics400-rgb", "20220831-35eddb57", 31_682_000, 74.34, 91.23, 8, 1, data=_TEN),
    mmaction2_run("tsm_r50_nl_gaussian.mm_in1k_k400_1x1x8", "tsm", "tsm_imagenet-pretrained-r50-nl-gaussian_8xb16-1x1x8-50e_kinetics400-rgb", "20220831-7e54dacf", 28_007_888, 73.66, 90.99, 8, 1, data=_TEN),
    # TIN
    mmaction2_run("tin_r50.mm_in1k_sthv1_1x1x8", "tin", "tin_imagenet-pretrained-r50_8xb6-1x1x8-40e_sthv1-rgb", "20220913-9b7804d6", 23_895_566, 38.68, 68.55, 8, 1, "sthv1", data=_CENTER | _STHV1),
    mmaction2_run("tin_r50.mm_in1k_sthv2_1x1x8", "tin", "tin_imagenet-pretrained-r50_8xb6-1x1x8-40e_sthv2-rgb", "20220913-84f9b4b0", 23_895_566, 54.78, 82.18, 8, 1, "sthv2", data=_CENTER | _STHV2),
    mmaction2_run("tin_r50.mm_tsm_k400_k400_1x1x8", "tin", "tin_kinetics400-pretrained-tsm-r50_1x1x8-50e_kinetics400-rgb", "20220913-7f10d0c0", 24_358_640, 71.86, 90.44, 8, 1, data=_CENTER),
    # TRN
    mmaction2_run("trn_r50.mm_in1k_sthv1_1x1x8", "trn", "trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv1-rgb", "20220815-e13db2e9", 26_641_154, 33.65, 62.22, 8, 1, "sthv1", data=_TWICE | _STHV1),
    mmaction2_run("trn_r50.mm_in1k_sthv2_1x1x8", "trn", "trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv2-rgb", "20220815-e01617db", 26_641_154, 51.2, 78.42, 8, 1, "sthv2", data=_TWICE | _STHV2),
    # TANet
    mmaction2_run("tanet_r50.mm_in1k_k400_dense_1x1x8", "tanet", "tanet_imagenet-pretrained-r50_8xb8-dense-1x1x8-100e_kinetics400-rgb", "20220919-a34346bc", 25_590_320, 76.25, 92.41, 8, 1, data=_DENSE_THREE | _TANET),
    mmaction2_run("tanet_r50.mm_in1k_sthv1_1x1x16", "tanet", "tanet_imagenet-pretrained-r50_8xb6-1x1x16-50e_sthv1-rgb", "20220919-cc37e9b8", 25_134_670, 50.95, 79.28, 16, 1, "sthv1", data=_CENTER | _TANET | _STHV1, num_frames=16),
    mmaction2_run("tanet_r50.mm_in1k_sthv1_1x1x8", "tanet", "tanet_imagenet-pretrained-r50_8xb8-1x1x8-50e_sthv1-rgb", "20220906-de50e4ef", 25_127_246, 49.71, 77.43, 8, 1, "sthv1", data=_TWICE | _TANET | _STHV1),
    # TPN
    mmaction2_run("tpn_slowonly_r50.mm_in1k_k400_8x8", "tpn", "tpn-slowonly_imagenet-pretrained-r50_8xb8-8x8x1-150e_kinetics400-rgb", "20220913-fed3f4c1", 91_498_336, 76.74, 92.57, 8, 8),
    mmaction2_run("tpn_slowonly_r50.mm_k400_8x8", "tpn", "tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb", "20220913-97d0835d", 91_498_336, 74.2, 91.48, 8, 8),
    mmaction2_run("tpn_tsm_r50.mm_in1k_sthv1_1x1x8", "tpn", "tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb", "20230221-940a3615", 82_445_724, 51.87, 79.67, 8, 1, "sthv1", data=_TWICE | _STHV1),
    # sound
    entry("tsn_r18_audio.mm_k400", "https://download.openmmlab.com/mmaction/v1.0/recognition_audio/resnet/tsn_r18_8xb320-64x1x1-100e_kinetics400-audio-feature/tsn_r18_8xb320-64x1x1-100e_kinetics400-audio-feature_20230702-e4642fb0.pth", 11_375_440, 13.7, 27.3, AudioConfig(), "apache-2.0", "e4642fb0"),
)
# fmt: on
