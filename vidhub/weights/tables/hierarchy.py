"""Published checkpoints of the transformers that are not plain: MViT, UniFormer, UniFormerV2 and Video Swin.

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
_UNIFORMER = "v1.0/recognition/uniformerv1/uniformer-"
_L224 = "uniformerv2-large-p14-res224_clip"
_L336 = "uniformerv2-large-p14-res336_clip"
_336 = {"size": 336, "resize": 336}
_SWIN_MM = {"resize": 224, "test_size": None, "views": (4, 3)}
_SWIN_TV = DataConfig(32, 1, views=(12, 1), target_fps=15.0)


def _uniformerv2(name, path, num_params, top1, top5, frames, dataset="kinetics400", data=None, **kwargs) -> Weights:
    path = f"v1.0/recognition/uniformerv2/{path}"
    data = _MVIT | {"sampling": "uniform", "views": (4, 3)} | (data or {})
    return mmaction2(name, path, num_params, top1, top5, frames, 1, dataset, data, **kwargs)


def _uniformerv2_base(name, run, stamp, *args, **kwargs) -> Weights:
    run = f"uniformerv2-base-p16-res224_clip{run}-rgb"
    return _uniformerv2(name, f"{run}/{run}_{stamp}", *args, **kwargs)


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
    # UniFormer
    mmaction2("uniformer_small.mm_in1k_k400_16x4", _UNIFORMER + "small_imagenet1k-pre_16x4x1_kinetics400-rgb_20221219-c630a037", 21_400_400, 80.9, 94.6, 16, 4, data=_MVIT | {"views": (4, 1)}),
    mmaction2("uniformer_base.mm_in1k_k400_16x4", _UNIFORMER + "base_imagenet1k-pre_16x4x1_kinetics400-rgb_20221219-157c2e66", 49_813_200, 82.0, 95.0, 16, 4, data=_MVIT | {"views": (4, 1)}),
    mmaction2("uniformer_base.mm_in1k_k400_32x4", _UNIFORMER + "base_imagenet1k-pre_32x4x1_kinetics400-rgb_20221219-b776322c", 49_813_200, 83.1, 95.3, 32, 4, data=_MVIT | {"views": (4, 1)}),
    # UniFormerV2; the published names of two networks with patches of 14 say p16
    _uniformerv2_base("uniformerv2_base.mm_clip_k710_k400_u8", "-kinetics710-pre_8xb32-u8_kinetics400", "20230313-75be0806", 114_552_208, 85.8, 97.1, 8),
    _uniformerv2_base("uniformerv2_base.mm_clip_k710_k600_u8", "-kinetics710-pre_8xb32-u8_kinetics600", "20230313-544f06f0", 114_706_008, 86.4, 97.3, 8, "kinetics600"),
    _uniformerv2_base("uniformerv2_base.mm_clip_k710_k700_u8", "-kinetics710-pre_8xb32-u8_kinetics700", "20230313-69070837", 114_782_908, 76.3, 92.9, 8, "kinetics700"),
    _uniformerv2_base("uniformerv2_base.mm_clip_k710_k400_mit_u8", "-kinetics710-kinetics-k400-pre_16xb32-u8_mitv1", "20230313-a6f4a567", 114_505_299, 42.3, 71.5, 8, "mit"),
    _uniformerv2_base("uniformerv2_base.mm_clip_k400_u8", "_8xb32-u8_kinetics400", "20230313-e29fc968", 114_552_208, 84.3, 96.4, 8),
    _uniformerv2_base("uniformerv2_base.mm_clip_k700_u8", "_8xb32-u8_kinetics700", "20230313-f02e48ad", 114_782_908, 75.9, 92.9, 8, "kinetics700"),
    _uniformerv2("uniformerv2_base.mm_clip_k710_u8", "uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb_20230612-63cdbad9", 114_790_598, None, None, 8, "kinetics710"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k400_u8", f"kinetics400/{_L224}-kinetics710-pre_u8_kinetics400-rgb_20221219-972ea063", 354_099_600, 88.7, 98.1, 8),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k600_u8", f"kinetics600/{_L224}-kinetics710-pre_u8_kinetics600-rgb_20221219-cf88e4c2", 354_304_600, 89.0, 98.3, 8, "kinetics600"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k700_u8", f"kinetics700/{_L224}-kinetics710-pre_u8_kinetics700-rgb_20221219-bfb9f401", 354_407_100, 80.8, 95.2, 8, "kinetics700"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k400_u16", f"kinetics400/{_L224}-kinetics710-pre_u16_kinetics400-rgb_20221219-6dc86d05", 354_099_600, 89.0, 98.2, 16),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k600_u16", f"kinetics600/{_L224}-kinetics710-pre_u16_kinetics600-rgb_20221219-38ff0e3e", 354_304_600, 89.4, 98.3, 16, "kinetics600"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k700_u16", f"kinetics700/{_L224}-kinetics710-pre_u16_kinetics700-rgb_20221219-745209d2", 354_407_100, 81.2, 95.6, 16, "kinetics700"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k400_u32", f"kinetics400/{_L224}-kinetics710-pre_u32_kinetics400-rgb_20221219-56a46f64", 354_099_600, 89.3, 98.2, 32),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k600_u32", f"kinetics600/{_L224}-kinetics710-pre_u32_kinetics600-rgb_20221219-d450d071", 354_304_600, 89.2, 98.3, 32, "kinetics600"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k700_u32", f"kinetics700/{_L224}-kinetics710-pre_u32_kinetics700-rgb_20221219-eebe7056", 354_407_100, 81.4, 95.7, 32, "kinetics700"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_u8", f"kinetics710/{_L224}-pre_u8_kinetics710-rgb_20230612-d002a407", 354_417_350, None, None, 8, "kinetics710"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k400_mit_u8", "mitv1/uniformerv2-large-p16-res224_clip-kinetics710-kinetics-k400-pre_u8_mitv1-rgb_20221219-882c0598", 354_037_075, 47.0, 76.1, 8, "mit"),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k400_336_u32", f"kinetics400/{_L336}-kinetics710-pre_u32_kinetics400-rgb_20221219-1dd7650f", 354_427_280, 89.5, 98.4, 32, data=_336 | {"views": (2, 3)}, img_size=336),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k600_336_u32", f"kinetics600/{_L336}-kinetics710-pre_u32_kinetics600-rgb_20221219-f984f5d2", 354_632_280, 89.8, 98.5, 32, "kinetics600", data=_336 | {"views": (2, 3)}, img_size=336),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k700_336_u32", f"kinetics700/{_L336}-kinetics710-pre_u32_kinetics700-rgb_20221219-bfb9f401", 354_734_780, 82.1, 96.0, 32, "kinetics700", data=_336 | {"views": (2, 3)}, img_size=336),
    _uniformerv2("uniformerv2_large.mm_clip_k710_336_u8", f"kinetics710/{_L336}-pre_u8_kinetics710-rgb_20230612-d723ddc1", 354_745_030, None, None, 8, "kinetics710", data=_336, img_size=336),
    _uniformerv2("uniformerv2_large.mm_clip_k710_k400_mit_336_u8", "mitv1/uniformerv2-large-p16-res336_clip-kinetics710-kinetics-k400-pre_u8_mitv1-rgb_20221219-9020986e", 354_364_755, 47.7, 76.8, 8, "mit", data=_336, img_size=336),
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
