"""Published checkpoints of the 3D convolution family: C3D, C2D, I3D, SlowOnly, SlowFast, R(2+1)D, CSN, X3D, S3D.

Tags read source_pretraining_dataset_frames-x-stride: mm is MMAction2, ptv PyTorchVideo, tv torchvision. The accuracies
are the publishers' own, with the views of each entry's ``data_config``.
"""

from __future__ import annotations

from dataclasses import replace

from ..types import DataConfig, Weights
from ._publishers import KINETICS, entry, mmaction2, mmaction2_run

_FACEBOOK = replace(KINETICS, mean=(0.45,) * 3, std=(0.225,) * 3, target_fps=30.0)
_TORCHVISION = DataConfig(
    num_frames=16,
    size=112,
    resize=(128, 171),
    mean=(0.43216, 0.394666, 0.37645),
    std=(0.22803, 0.22145, 0.216989),
    target_fps=15.0,
    views=(5, 1),
)
# the means and deviations of MMAction2's own CSN training, and of PySlowFast as MMAction2 rounds them
_CSN = {
    "mean": tuple(v / 255 for v in (110.2008, 100.63983, 95.99475)),
    "std": tuple(v / 255 for v in (58.14765, 56.46975, 55.332195)),
}
_X3D = {"mean": (114.75 / 255,) * 3, "std": (57.38 / 255,) * 3, "target_fps": 30.0}


def _ptv(name, file, num_params, top1, top5, frames, stride, data=None, **kwargs) -> Weights:
    url = f"https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/{file}.pyth"
    data = replace(_FACEBOOK, num_frames=frames, stride=stride, **(data or {}))
    return entry(name, url, num_params, top1, top5, data, "apache-2.0", **kwargs)


def _tv(name, file, num_params, top1, top5, data) -> Weights:
    url = f"https://download.pytorch.org/models/{file}.pth"
    return entry(name, url, num_params, top1, top5, data, "bsd-3-clause", file[-8:])


_C2D = {"resize": 224, "test_size": None}
_PTV_SLOWFAST = {"fusion_norm": True, "slow_sampling": "linspace"}
_K700 = "slowonly_imagenet-pretrained-r50_16xb16-{0}-steplr-150e_kinetics700-rgb"
_SLOWONLY_K700 = (
    "v1.0/recognition/slowonly/slowonly_imagenet-pretrained-r50_8xb16-{0}-steplr-150e_kinetics700-rgb/" + _K700
)
_VMZ = "recognition/csn/vmz/vmz_"
_FLOW = {"mean": (128 / 255,) * 2, "std": (128 / 255,) * 2}
_OMNI = "v1.0/recognition/omnisource/slowonly_r50_8xb16-8x8x1-256e_imagenet-kinetics400-rgb_20230208-61c4be0d"
_SLOWONLY_4X16 = (
    "v1.0/recognition/slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb/"
    "slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901-f6a40d08"
)
_SLOWONLY_FLOW = (
    "recognition/slowonly/slowonly_r50_{0}x1_256e_kinetics400_flow/slowonly_r50_{0}x1_256e_kinetics400_flow_"
)

# fmt: off
TABLE: tuple[Weights, ...] = (
    # C3D
    mmaction2_run("c3d.mm_sports1m_ucf101_16x1", "c3d", "c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb", "20220811-31723200", 78_409_573, 83.08, 95.93, 16, 1, "ucf101",
         {"size": 112, "resize": 128, "test_size": None, "mean": (104 / 255, 117 / 255, 128 / 255), "std": (1 / 255,) * 3, "views": (10, 1)}),
    # C2D
    mmaction2_run("c2d_r50.mm_in1k_k400_16x4", "c2d", "c2d_r50-in1k-pre_8xb32-16x4x1-100e_kinetics400-rgb", "20221027-5f382a43", 24_327_632, 74.97, 91.91, 16, 4, data=_C2D),
    mmaction2_run("c2d_r50.mm_in1k_k400_8x8", "c2d", "c2d_r50-in1k-pre_8xb32-8x8x1-100e_kinetics400-rgb", "20221027-3ca304fa", 24_327_632, 73.89, 91.21, 8, 8, data=_C2D),
    _ptv("c2d_r50.ptv_k400_8x8", "C2D_8x8_R50", 24_327_632, 71.46, 89.68, 8, 8, stem_pool_padding=1, head_window=(4, 7, 7)),
    mmaction2_run("c2d_nopool_r50.mm_in1k_k400_8x8", "c2d", "c2d_r50-in1k-pre-nopool_8xb32-8x8x1-100e_kinetics400-rgb", "20221027-e0227b22", 24_327_632, 73.44, 91.0, 8, 8, data=_C2D),
    mmaction2_run("c2d_nopool_r101.mm_in1k_k400_8x8", "c2d", "c2d_r101-in1k-pre-nopool_8xb32-8x8x1-100e_kinetics400-rgb", "20221027-557bd8bc", 43_319_760, 74.97, 91.77, 8, 8, data=_C2D),
    # I3D
    mmaction2_run("i3d_r50.mm_in1k_k400_32x2", "i3d", "i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb", "20220812-e213c223", 28_043_472, 73.47, 91.27, 32, 2),
    mmaction2_run("i3d_r50.mm_in1k_k400_32x2_dense", "i3d", "i3d_imagenet-pretrained-r50_8xb8-dense-32x2x1-100e_kinetics400-rgb", "20220812-9f46003f", 28_043_472, 73.77, 91.35, 32, 2, data={"sampling": "dense"}),
    _ptv("i3d_r50.ptv_k400_8x8", "I3D_8x8_R50", 28_043_472, 73.27, 90.70, 8, 8, stem_stride_t=1, stem_pool_stride_t=1, head_window=(4, 7, 7)),
    mmaction2_run("i3d_r50_heavy.mm_in1k_k400_32x2", "i3d", "i3d_imagenet-pretrained-r50-heavy_8xb8-32x2x1-100e_kinetics400-rgb", "20220812-ed501b31", 33_024_208, 76.21, 92.48, 32, 2),
    mmaction2_run("i3d_r50_nl_dot_product.mm_in1k_k400_32x2", "i3d", "i3d_imagenet-pretrained-r50-nl-dot-product_8xb8-32x2x1-100e_kinetics400-rgb", "20220812-8e1f2148", 35_397_840, 74.8, 92.07, 32, 2),
    mmaction2_run("i3d_r50_nl_embedded_gaussian.mm_in1k_k400_32x2", "i3d", "i3d_imagenet-pretrained-r50-nl-embedded-gaussian_8xb8-32x2x1-100e_kinetics400-rgb", "20220812-afd8f562", 35_397_840, 74.73, 91.8, 32, 2),
    mmaction2_run("i3d_r50_nl_gaussian.mm_in1k_k400_32x2", "i3d", "i3d_imagenet-pretrained-r50-nl-gaussian_8xb8-32x2x1-100e_kinetics400-rgb", "20220812-0c5cbf5a", 31_723_728, 73.97, 91.33, 32, 2),
    # SlowOnly
    mmaction2_run("slowonly_r50.mm_in1k_k400_8x8", "slowonly", "slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb", "20220901-df42dc84", 32_454_096, 75.96, 92.4, 8, 8),
    mmaction2_run("slowonly_r50.mm_in1k_k400_4x16", "slowonly", "slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb", "20220901-e7b65fad", 32_454_096, 74.83, 91.6, 4, 16),
    mmaction2_run("slowonly_r50.mm_k400_8x8", "slowonly", "slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb", "20220901-2132fc87", 32_454_096, 74.82, 91.8, 8, 8),
    mmaction2("slowonly_r50.mm_k400_4x16", _SLOWONLY_4X16, 32_454_096, 72.68, 90.68, 4, 16),
    mmaction2("slowonly_r50.mm_in1k_k700_8x8", _SLOWONLY_K700.format("8x8x1") + "_20220901-4098e1eb", 33_068_796, 66.93, 87.47, 8, 8, "kinetics700"),
    mmaction2("slowonly_r50.mm_in1k_k700_4x16", _SLOWONLY_K700.format("4x16x1") + "_20220901-f73b3e89", 33_068_796, 65.18, 86.05, 4, 16, "kinetics700"),
    mmaction2_run("slowonly_r50.mm_in1k_k710_8x8", "slowonly", "slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb", "20230612-12ce977c", 33_089_286, 72.39, 90.6, 8, 8, "kinetics710"),
    _ptv("slowonly_r50.ptv_k400_8x8", "SLOW_8x8_R50", 32_454_096, 74.58, 91.63, 8, 8, head_window=(8, 7, 7)),
    _ptv("slowonly_r50.ptv_k400_4x16", "SLOW_4x16_R50", 32_454_096, 72.40, 90.18, 4, 16, head_window=(4, 7, 7)),
    mmaction2("slowonly_r50_flow.mm_k400_8x8", _SLOWONLY_FLOW.format("8x8") + "20200704-6b384243", 32_450_960, 65.76, 86.25, 8, 8, data=_FLOW),
    mmaction2("slowonly_r50_flow.mm_k400_4x16", _SLOWONLY_FLOW.format("4x16") + "20200704-decb8568", 32_450_960, 61.79, 83.62, 4, 16, data=_FLOW),
    mmaction2_run("slowonly_r50_nl_embedded_gaussian.mm_in1k_k400_8x8", "slowonly", "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-8x8x1-steplr-150e_kinetics400-rgb", "20220901-df42dc84", 39_808_464, 76.35, 92.18, 8, 8),
    mmaction2_run("slowonly_r50_nl_embedded_gaussian.mm_in1k_k400_4x16", "slowonly", "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-4x16x1-steplr-150e_kinetics400-rgb", "20220901-cf739c75", 39_808_464, 74.84, 91.41, 4, 16),
    mmaction2("slowonly_r50_omnisource.mm_in1k_k400_8x8", _OMNI, 35_648_792, 77.3, 93.23, 8, 8),
    mmaction2_run("slowonly_r101.mm_k400_8x8", "slowonly", "slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb", "20220901-e6281431", 60_359_120, 76.28, 92.7, 8, 8),
    # SlowFast
    mmaction2_run("slowfast_r50.mm_k400_8x8", "slowfast", "slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb", "20220818-1cb6dfc8", 34_565_560, 76.8, 92.99, 32, 2),
    mmaction2_run("slowfast_r50.mm_k400_8x8_steplr", "slowfast", "slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb", "20220818-b62a501f", 34_566_488, 76.65, 92.86, 32, 2, fusion_norm=True),
    mmaction2_run("slowfast_r50.mm_k400_4x16", "slowfast", "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb", "20220901-701b0f6f", 34_479_288, 75.55, 92.35, 32, 2, alpha=8, fusion_kernel=5),
    _ptv("slowfast_r50.ptv_k400_8x8", "SLOWFAST_8x8_R50", 34_566_488, 76.94, 92.69, 32, 2, head_window=(8, 7, 7), **_PTV_SLOWFAST),
    _ptv("slowfast_r50.ptv_k400_4x16", "SLOWFAST_4x16_R50", 34_480_216, 75.34, 91.89, 32, 2, alpha=8, fusion_kernel=5, head_window=(4, 7, 7), **_PTV_SLOWFAST),
    mmaction2_run("slowfast_r101.mm_k400_8x8", "slowfast", "slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb", "20220901-9c0e09bd", 62_912_312, 78.65, 93.88, 32, 2),
    _ptv("slowfast_r101.ptv_k400_8x8", "SLOWFAST_8x8_R101", 62_826_968, 77.90, 93.27, 32, 2, fusion_kernel=5, head_window=(8, 7, 7), **_PTV_SLOWFAST),
    _ptv("slowfast_r101.ptv_k400_16x8", "SLOWFAST_16x8_R101_50_50", 53_774_808, 78.70, 93.61, 64, 2, fusion_kernel=5, inflated_blocks=6, head_window=(16, 7, 7), **_PTV_SLOWFAST),
    mmaction2_run("slowfast_r101_r50.mm_k400_4x16", "slowfast", "slowfast_r101-r50_32xb8-4x16x1-256e_kinetics400-rgb", "20220901-a77ac3ee", 62_384_312, 77.03, 92.99, 32, 2),
    # R(2+1)D, R3D, MC3
    mmaction2_run("r2plus1d_r34.mm_k400_32x2", "r2plus1d", "r2plus1d_r34_8xb8-32x2x1-180e_kinetics400-rgb", "20220812-4270588c", 63_759_281, 75.46, 92.28, 32, 2),
    mmaction2_run("r2plus1d_r34.mm_k400_8x8", "r2plus1d", "r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb", "20220812-47cfe041", 63_759_281, 69.76, 88.41, 8, 8),
    _ptv("r2plus1d_r50.ptv_k400_16x4", "R2PLUS1D_16x4_R50", 28_107_600, 76.01, 92.23, 16, 4),
    _tv("r2plus1d_18.tv_k400", "r2plus1d_18-91a641e6", 31_505_325, 67.463, 86.175, _TORCHVISION),
    _tv("r3d_18.tv_k400", "r3d_18-b3b3357e", 33_371_472, 63.2, 83.479, _TORCHVISION),
    _tv("mc3_18.tv_k400", "mc3_18-a90a0ba3", 11_695_440, 63.96, 84.13, _TORCHVISION),
    # CSN
    mmaction2("ipcsn_r152.mm_ig65m_k400_32x2_bnfrozen", _VMZ + "ipcsn_ig65m_pretrained_r152_32x2x1_58e_kinetics400_rgb_20210617-c3be9793", 33_016_592, 82.68, 95.69, 32, 2),
    mmaction2("ipcsn_r152.mm_sports1m_k400_32x2_bnfrozen", _VMZ + "ipcsn_sports1m_pretrained_r152_32x2x1_58e_kinetics400_rgb_20210617-3367437a", 33_016_592, 79.07, 93.82, 32, 2, data=_CSN),
    mmaction2("ipcsn_r152.mm_k400_32x2", _VMZ + "ipcsn_from_scratch_r152_32x2x1_180e_kinetics400_rgb_20210617-d565828d", 33_016_592, 77.8, 93.1, 32, 2, data=_CSN),
    mmaction2_run("ircsn_r152.mm_ig65m_k400_32x2", "csn", "ircsn_ig65m-pretrained-r152_8xb12-32x2x1-58e_kinetics400-rgb", "20220811-c7a3cc5b", 29_703_568, 82.87, 95.9, 32, 2),
    mmaction2_run("ircsn_r152.mm_ig65m_k400_32x2_bnfrozen", "csn", "ircsn_ig65m-pretrained-r152-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb", "20220811-7d1dacde", 29_703_568, 82.84, 95.92, 32, 2),
    mmaction2("ircsn_r152.mm_sports1m_k400_32x2_bnfrozen", _VMZ + "ircsn_sports1m_pretrained_r152_32x2x1_58e_kinetics400_rgb_20210617-b9b10241", 29_703_568, 78.57, 93.44, 32, 2, data=_CSN),
    mmaction2("ircsn_r152.mm_k400_32x2", _VMZ + "ircsn_from_scratch_r152_32x2x1_180e_kinetics400_rgb_20210617-5c933ae1", 29_703_568, 76.53, 92.28, 32, 2, data=_CSN),
    mmaction2_run("ircsn_r50.mm_ig65m_k400_32x2_bnfrozen", "csn", "ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb", "20220811-44395bae", 13_131_152, 79.44, 94.26, 32, 2),
    _ptv("ircsn_r101.ptv_k400_32x2", "CSN_32x2_R101", 22_213_776, 77.00, 92.90, 32, 2),
    # X3D
    _ptv("x3d_xs.ptv_k400_4x12", "X3D_XS", 3_794_274, 69.12, 88.63, 4, 12, {"size": 160, "resize": 182, "test_size": 182}),
    _ptv("x3d_xs.ptv_k400_4x12_efficient", "efficient_x3d_xs_original_form", 3_794_322, 68.5, 88.0, 4, 12, {"size": 160, "resize": 182, "test_size": 182}, head_window=None, shortcut_bn=True),
    _ptv("x3d_s.ptv_k400_13x6", "X3D_S", 3_794_274, 73.33, 91.27, 13, 6, {"size": 160, "resize": 182, "test_size": 182}),
    _ptv("x3d_s.ptv_k400_13x6_efficient", "efficient_x3d_s_original_form", 3_794_322, 73.0, 90.6, 13, 6, {"size": 160, "resize": 182, "test_size": 182}, head_window=None, shortcut_bn=True),
    mmaction2("x3d_s.mm_k400_13x6", "v1.0/recognition/x3d/facebook/x3d_s_13x6x1_facebook-kinetics400-rgb_20201027-623825a0", 3_794_322, 73.3, None, 13, 6, data={"size": 160, "resize": 182, "test_size": 182, **_X3D}, head_window=None, shortcut_bn=True),
    _ptv("x3d_m.ptv_k400_16x5", "X3D_M", 3_794_274, 75.94, 92.72, 16, 5, {"size": 224, "resize": 256, "test_size": 256}),
    mmaction2("x3d_m.mm_k400_16x5", "v1.0/recognition/x3d/facebook/x3d_m_16x5x1_facebook-kinetics400-rgb_20201027-3f42382a", 3_794_322, 76.4, None, 16, 5, data=_X3D, head_window=None, shortcut_bn=True),
    _ptv("x3d_l.ptv_k400_16x5", "X3D_L", 6_153_384, 77.44, 93.31, 16, 5, {"size": 312, "resize": 356, "test_size": 356}),
    # S3D
    _tv("s3d.tv_k400", "s3d-d76dad2f", 8_320_048, 68.368, 88.05, replace(_TORCHVISION, num_frames=128, size=224, resize=(256, 256), views=(1, 1))),
)
# fmt: on
