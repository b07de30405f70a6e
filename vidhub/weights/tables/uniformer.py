"""Published checkpoints of UniFormer and UniFormerV2. All are MMAction2's, converted from the authors'.

Tags read source_pretraining_dataset_frames: 16x4 is a clip of 16 frames, every fourth; u8 is 8 frames, one of each
equal part of the video. The accuracies are with the views of each entry's ``data_config``.
"""

from __future__ import annotations

from ..types import DataConfig, Weights
from ._publishers import entry

_MEAN = {"mean": (0.45,) * 3, "std": (0.225,) * 3}


def _v1(name, file, num_params, top1, top5, frames) -> Weights:
    config = DataConfig(frames, 4, resize=224, views=(4, 1), **_MEAN)
    url = f"https://download.openmmlab.com/mmaction/v1.0/recognition/uniformerv1/{file}.pth"
    return entry(name, url, num_params, top1, top5, config, "apache-2.0", file[-8:])


def _v2(name, path, num_params, top1, top5, dataset, frames=8, size=224, clips=4) -> Weights:
    config = DataConfig(frames, 1, size, size, sampling="uniform", views=(clips, 3), **_MEAN)
    url = f"https://download.openmmlab.com/mmaction/v1.0/recognition/uniformerv2/{path}.pth"
    kwargs = ({} if frames == 8 else {"num_frames": frames}) | ({} if size == 224 else {"img_size": size})
    return entry(name, url, num_params, top1, top5, config, "apache-2.0", path[-8:], dataset, **kwargs)


def _v2_run(name, run, stamp, *args, **kwargs) -> Weights:
    return _v2(name, f"{run}/{run}_{stamp}", *args, **kwargs)


# fmt: off
TABLE: tuple[Weights, ...] = (
    _v1("uniformer_small.mm_in1k_k400_16x4", "uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb_20221219-c630a037", 21_400_400, 80.9, 94.6, 16),
    _v1("uniformer_base.mm_in1k_k400_16x4", "uniformer-base_imagenet1k-pre_16x4x1_kinetics400-rgb_20221219-157c2e66", 49_813_200, 82.0, 95.0, 16),
    _v1("uniformer_base.mm_in1k_k400_32x4", "uniformer-base_imagenet1k-pre_32x4x1_kinetics400-rgb_20221219-b776322c", 49_813_200, 83.1, 95.3, 32),
    _v2_run("uniformerv2_base.mm_clip_k710_k400_u8", "uniformerv2-base-p16-res224_clip-kinetics710-pre_8xb32-u8_kinetics400-rgb", "20230313-75be0806", 114_552_208, 85.8, 97.1, "kinetics400"),
    _v2_run("uniformerv2_base.mm_clip_k400_u8", "uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb", "20230313-e29fc968", 114_552_208, 84.3, 96.4, "kinetics400"),
    _v2_run("uniformerv2_base.mm_clip_k710_k600_u8", "uniformerv2-base-p16-res224_clip-kinetics710-pre_8xb32-u8_kinetics600-rgb", "20230313-544f06f0", 114_706_008, 86.4, 97.3, "kinetics600"),
    _v2_run("uniformerv2_base.mm_clip_k710_k700_u8", "uniformerv2-base-p16-res224_clip-kinetics710-pre_8xb32-u8_kinetics700-rgb", "20230313-69070837", 114_782_908, 76.3, 92.9, "kinetics700"),
    _v2_run("uniformerv2_base.mm_clip_k700_u8", "uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics700-rgb", "20230313-f02e48ad", 114_782_908, 75.9, 92.9, "kinetics700"),
    _v2("uniformerv2_base.mm_clip_k710_u8", "uniformerv2-base-p16-res224_clip-pre_u8_kinetics710-rgb_20230612-63cdbad9", 114_790_598, None, None, "kinetics710"),
    _v2_run("uniformerv2_base.mm_clip_k710_k400_mit_u8", "uniformerv2-base-p16-res224_clip-kinetics710-kinetics-k400-pre_16xb32-u8_mitv1-rgb", "20230313-a6f4a567", 114_505_299, 42.3, 71.5, "mit"),
    _v2("uniformerv2_large.mm_clip_k710_k400_u8", "kinetics400/uniformerv2-large-p14-res224_clip-kinetics710-pre_u8_kinetics400-rgb_20221219-972ea063", 354_099_600, 88.7, 98.1, "kinetics400"),
    _v2("uniformerv2_large.mm_clip_k710_k400_u16", "kinetics400/uniformerv2-large-p14-res224_clip-kinetics710-pre_u16_kinetics400-rgb_20221219-6dc86d05", 354_099_600, 89.0, 98.2, "kinetics400", 16),
    _v2("uniformerv2_large.mm_clip_k710_k400_u32", "kinetics400/uniformerv2-large-p14-res224_clip-kinetics710-pre_u32_kinetics400-rgb_20221219-56a46f64", 354_099_600, 89.3, 98.2, "kinetics400", 32),
    _v2("uniformerv2_large.mm_clip_k710_k400_u32_336", "kinetics400/uniformerv2-large-p14-res336_clip-kinetics710-pre_u32_kinetics400-rgb_20221219-1dd7650f", 354_427_280, 89.5, 98.4, "kinetics400", 32, 336, 2),
    _v2("uniformerv2_large.mm_clip_k710_k600_u8", "kinetics600/uniformerv2-large-p14-res224_clip-kinetics710-pre_u8_kinetics600-rgb_20221219-cf88e4c2", 354_304_600, 89.0, 98.3, "kinetics600"),
    _v2("uniformerv2_large.mm_clip_k710_k600_u16", "kinetics600/uniformerv2-large-p14-res224_clip-kinetics710-pre_u16_kinetics600-rgb_20221219-38ff0e3e", 354_304_600, 89.4, 98.3, "kinetics600", 16),
    _v2("uniformerv2_large.mm_clip_k710_k600_u32", "kinetics600/uniformerv2-large-p14-res224_clip-kinetics710-pre_u32_kinetics600-rgb_20221219-d450d071", 354_304_600, 89.2, 98.3, "kinetics600", 32),
    _v2("uniformerv2_large.mm_clip_k710_k600_u32_336", "kinetics600/uniformerv2-large-p14-res336_clip-kinetics710-pre_u32_kinetics600-rgb_20221219-f984f5d2", 354_632_280, 89.8, 98.5, "kinetics600", 32, 336, 2),
    _v2("uniformerv2_large.mm_clip_k710_k700_u8", "kinetics700/uniformerv2-large-p14-res224_clip-kinetics710-pre_u8_kinetics700-rgb_20221219-bfb9f401", 354_407_100, 80.8, 95.2, "kinetics700"),
    _v2("uniformerv2_large.mm_clip_k710_k700_u16", "kinetics700/uniformerv2-large-p14-res224_clip-kinetics710-pre_u16_kinetics700-rgb_20221219-745209d2", 354_407_100, 81.2, 95.6, "kinetics700", 16),
    _v2("uniformerv2_large.mm_clip_k710_k700_u32", "kinetics700/uniformerv2-large-p14-res224_clip-kinetics710-pre_u32_kinetics700-rgb_20221219-eebe7056", 354_407_100, 81.4, 95.7, "kinetics700", 32),
    _v2("uniformerv2_large.mm_clip_k710_k700_u32_336", "kinetics700/uniformerv2-large-p14-res336_clip-kinetics710-pre_u32_kinetics700-rgb_20221219-bfb9f401", 354_734_780, 82.1, 96.0, "kinetics700", 32, 336, 2),
    _v2("uniformerv2_large.mm_clip_k710_u8", "kinetics710/uniformerv2-large-p14-res224_clip-pre_u8_kinetics710-rgb_20230612-d002a407", 354_417_350, None, None, "kinetics710"),
    _v2("uniformerv2_large.mm_clip_k710_u8_336", "kinetics710/uniformerv2-large-p14-res336_clip-pre_u8_kinetics710-rgb_20230612-d723ddc1", 354_745_030, None, None, "kinetics710", 8, 336),
    _v2("uniformerv2_large.mm_clip_k710_k400_mit_u8", "mitv1/uniformerv2-large-p16-res224_clip-kinetics710-kinetics-k400-pre_u8_mitv1-rgb_20221219-882c0598", 354_037_075, 47.0, 76.1, "mit"),
    _v2("uniformerv2_large.mm_clip_k710_k400_mit_u8_336", "mitv1/uniformerv2-large-p16-res336_clip-kinetics710-kinetics-k400-pre_u8_mitv1-rgb_20221219-9020986e", 354_364_755, 47.7, 76.8, "mit", 8, 336),
)
# fmt: on
