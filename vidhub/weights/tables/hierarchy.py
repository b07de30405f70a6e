"""Published checkpoints of the transformers that shrink their grid: MViT and Video Swin.

Tags read source_pretraining_dataset_frames-x-stride: mm is MMAction2, ptv PyTorchVideo, tv torchvision. The accuracies are the
publishers' own, with the views of each entry's ``data_config``.
"""

from __future__ import annotations

from ..types import DataConfig, Weights
from ._publishers import KINETICS, STHV2_FLIPS, entry, mmaction2, mmaction2_run

_GREY = {"mean": (0.45,) * 3, "std": (0.225,) * 3}
_MVIT = {"resize": 224, "test_size": None, "views": (5, 1)} | _GREY
_MVIT_STHV2 = _MVIT | {"sampling": "uniform", "views": (1, 3), "flip_labels": STHV2_FLIPS}
_MVIT_312 = {"size": 312, "resize": 312}
_IMAGENET = {"mean": KINETICS.mean, "std": KINETICS.std}
_MVIT_TV = DataConfig(16, 1, views=(5, 1), target_fps=7.5, **_GREY)
_CONVERTED = "v1.0/recognition/mvit/converted/mvit-"
_SWIN_MM = {"resize": 224, "test_size": None, "views": (4, 3)}
_SWIN_TV = DataConfig(32, 1, views=(12, 1), target_fps=15.0)


def _ptv(name, file, num_params, top1, frames, stride, **kwargs) -> Weights:
    url = f"https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/{file}.pyth"
    data = DataConfig(frames, stride, resize=224, views=(5, 1), target_fps=30.0, **_GREY)
    return entry(name, url, num_params, top1, None, data, "apache-2.0", **kwargs)


def _tv(name, file, num_params, top1, top5, data) -> Weights:
    url = f"https://download.pytorch.org/models/{file}.pth"
    return entry(name, url, num_params, top1, top5, data, "bsd-3-clause", file[-8:])


# fmt: off
TABLE: tuple[Weights, ...] = (
    # MViT
    _ptv("mvit_v1_base.ptv_k400_16x4", "kinetics/MVIT_B_16x4", 36_610_672, 78.9, 16, 4),
    _ptv("mvit_v1_base.ptv_k400_32x3", "kinetics/MVIT_B_32x3_f294077834", 36_611_440, 80.3, 32, 3, num_frames=32),
    _tv("mvit_v1_base.tv_k400_16", "mvit_v1_b-dbeb1030", 36_610_672, 78.477, 93.582, _MVIT_TV),
    _ptv("mvit_v1_base_image.ptv_in1k", "imagenet/MVIT_B_16_f292487636", 36_982_696, 83.0, 1, 1, dataset="imagenet1k"),
    # MViTv2
    mmaction2("mvit_v2_small.mm_k400_16x4", _CONVERTED + "small-p244_16x4x1_kinetics400-rgb_20221021-9ebaaeed", 34_537_744, 81.1, 94.7, 16, 4, data=_MVIT),
    mmaction2_run("mvit_v2_small.mm_k400_16x4_200e", "mvit", "mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb", "20230201-23284ff3", 34_537_744, 80.6, 94.7, 16, 4, data=_MVIT),
    mmaction2_run("mvit_v2_small.mm_maskfeat_k400_16x4", "mvit", "mvit-small-p244_k400-maskfeat-pre_8xb32-16x4x1-100e_kinetics400-rgb", "20230201-5bced1d0", 36_475_120, 81.8, 95.2, 16, 4, data=_MVIT | {"views": (10, 1)}, widen_late=True, drop_path_rate=0.1),
    mmaction2("mvit_v2_small.mm_k400_sthv2_u16", _CONVERTED + "small-p244_u16_sthv2-rgb_20221021-65ecae7d", 34_363_950, 68.1, 91.0, 16, 1, "sthv2", _MVIT_STHV2 | _IMAGENET),
    # trained as if there were 400 classes, and tested on clips
    mmaction2_run("mvit_v2_small.mm_k400_sthv2_16x4", "mvit", "mvit-small-p244_k400-pre_16xb16-u16-100e_sthv2-rgb", "20230201-4065c1b9", 34_537_744, 68.2, 91.3, 16, 4, "sthv2", _MVIT | {"flip_labels": STHV2_FLIPS}, num_classes=400),
    _tv("mvit_v2_small.tv_k400_16", "mvit_v2_s-ae3be167", 34_537_744, 80.757, 94.665, _MVIT_TV),
    mmaction2("mvit_v2_base.mm_k400_32x3", _CONVERTED + "base-p244_32x3x1_kinetics400-rgb_20221021-f392cd2d", 51_230_128, 81.1, 94.7, 32, 3, data=_MVIT),
    mmaction2("mvit_v2_base.mm_k400_sthv2_u32", _CONVERTED + "base-p244_u32_sthv2-rgb_20221021-d5de5da6", 51_056_334, 70.8, 92.7, 32, 1, "sthv2", _MVIT_STHV2),
    mmaction2("mvit_v2_large.mm_in21k_k400_40x3", _CONVERTED + "large-p244_40x3x1_kinetics400-rgb_20221021-11fe1f97", 213_390_112, 81.1, 94.7, 40, 3, data=_MVIT | _MVIT_312 | {"views": (5, 3)}),
    # the network is one for 312 pixels, the published test has crops of 224
    mmaction2("mvit_v2_large.mm_k400_sthv2_u40", _CONVERTED + "large-p244_u40_sthv2-rgb_20221021-61696e07", 213_129_534, 73.2, 94.0, 40, 1, "sthv2", _MVIT_STHV2),
    # Video Swin
    mmaction2_run("swin3d_tiny.mm_in1k_k400_32x2", "swin", "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb", "20220930-241016b2", 28_158_070, 78.9, 93.77, 32, 2, data=_SWIN_MM),
    _tv("swin3d_tiny.tv_in1k_k400_32", "swin3d_t-7615ae03", 28_158_070, 77.715, 93.519, _SWIN_TV),
    mmaction2_run("swin3d_small.mm_in1k_k400_32x2", "swin", "swin-small-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb", "20220930-e91ab986", 49_816_678, 80.54, 94.46, 32, 2, data=_SWIN_MM),
    mmaction2_run("swin3d_small.mm_in1k_k710_32x2", "swin", "swin-small-p244-w877_in1k-pre_32xb4-amp-32x2x1-30e_kinetics710-rgb", "20230612-8e082ff1", 50_055_068, 76.9, 92.96, 32, 2, "kinetics710", _SWIN_MM),
    _tv("swin3d_small.tv_in1k_k400_32", "swin3d_s-da41c237", 49_816_678, 79.521, 94.158, _SWIN_TV),
    mmaction2_run("swin3d_base.mm_in1k_k400_32x2", "swin", "swin-base-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb", "20220930-182ec6cc", 88_048_984, 80.57, 94.49, 32, 2, data=_SWIN_MM),
    _tv("swin3d_base.tv_in1k_k400_32", "swin3d_b_1k-24f7c7c6", 88_048_984, 79.427, 94.386, _SWIN_TV),
    _tv("swin3d_base.tv_in22k_k400_32", "swin3d_b_22k-7c6ae6fa", 88_048_984, 81.643, 95.574, _SWIN_TV),
    mmaction2_run("swin3d_large.mm_in22k_k400_32x2", "swin", "swin-large-p244-w877_in22k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb", "20220930-78ad8b11", 196_953_916, 83.46, 95.91, 32, 2, data=_SWIN_MM),
    mmaction2_run("swin3d_large.mm_in22k_k700_32x2", "swin", "swin-large-p244-w877_in22k-pre_16xb8-amp-32x2x1-30e_kinetics700-rgb", "20220930-f8d74db7", 197_415_016, 75.92, 92.72, 32, 2, "kinetics700", _SWIN_MM),
)
# fmt: on
