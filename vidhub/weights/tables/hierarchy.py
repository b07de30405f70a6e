"""Published checkpoints of the transformers that shrink their grid: Video Swin.

Tags read source_pretraining_dataset_frames-x-stride: mm is MMAction2, tv torchvision. The accuracies are the
publishers' own, with the views of each entry's ``data_config``.
"""

from __future__ import annotations

from ..types import DataConfig, Weights
from ._publishers import entry, mmaction2_run

_SWIN_MM = {"resize": 224, "test_size": None, "views": (4, 3)}
_SWIN_TV = DataConfig(32, 1, views=(12, 1), target_fps=15.0)


def _tv(name, file, num_params, top1, top5, data) -> Weights:
    url = f"https://download.pytorch.org/models/{file}.pth"
    return entry(name, url, num_params, top1, top5, data, "bsd-3-clause", file[-8:])


# fmt: off
TABLE: tuple[Weights, ...] = (
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
