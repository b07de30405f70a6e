"""Published checkpoints of the plain video transformers: TimeSformer, VideoMAE, ViViT, V-JEPA 2.

Tags read source_pretraining_dataset_frames-x-stride: mm is MMAction2, hf the Hugging Face Hub. The accuracies are the
publishers' own, with the views of each entry's ``data_config``.
"""

from __future__ import annotations

from dataclasses import replace

from ..types import DataConfig, Weights
from ._publishers import entry, mmaction2_run

_HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
_TIMESFORMER = {"resize": 224, "test_size": None, "views": (1, 3)} | _HALF
_STHV2 = {"sampling": "segments", "flip_labels": ((86, 87), (93, 94), (166, 167)), "target_fps": None}


def _hub(name, repository, num_params, top1, top5, data, license, dataset="kinetics400", **kwargs) -> Weights:
    """``repository`` of the Hugging Face Hub; its safetensors file is tried first, the older one holds the same."""
    url = f"hf://{repository}/pytorch_model.bin"
    weights = entry(name, url, num_params, top1, top5, data, license, "", dataset, **kwargs)
    return replace(weights, mirrors=(f"hf://{repository}/model.safetensors",))


def _timesformer(name, repository, num_params, top1, top5, frames, stride, size=224, data=None, **kwargs) -> Weights:
    """The authors' own weights. They test on three crops of the short side, of videos at 30 frames a second."""
    config = DataConfig(frames, stride, size, size, mean=(0.45,) * 3, std=(0.225,) * 3, views=(1, 3), target_fps=30.0)
    config = replace(config, **(data or {}))
    return _hub(name, repository, num_params, top1, top5, config, "cc-by-nc-4.0", **kwargs)


# fmt: off
TABLE: tuple[Weights, ...] = (
    # TimeSformer
    mmaction2_run("timesformer_base_divided.mm_in21k_k400_8x32", "timesformer", "timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb", "20220815-a4d0d01f", 121_566_352, 77.69, 93.45, 8, 32, data=_TIMESFORMER),
    mmaction2_run("timesformer_base_joint.mm_in21k_k400_8x32", "timesformer", "timesformer_jointST_8xb8-8x32x1-15e_kinetics400-rgb", "20220815-8022d1c0", 86_112_400, 76.95, 93.28, 8, 32, data=_TIMESFORMER),
    mmaction2_run("timesformer_base_space.mm_in21k_k400_8x32", "timesformer", "timesformer_spaceOnly_8xb8-8x32x1-15e_kinetics400-rgb", "20220815-78f05367", 86_106_256, 76.93, 92.88, 8, 32, data=_TIMESFORMER),
    _timesformer("timesformer_base_divided.hf_in21k_k400_8x32", "facebook/timesformer-base-finetuned-k400", 121_566_352, 77.9, 93.2, 8, 32),
    _timesformer("timesformer_base_divided.hf_in21k_k400_hr_16x16", "facebook/timesformer-hr-finetuned-k400", 122_024_080, 79.6, 94.0, 16, 16, 448, num_frames=16, img_size=448),
    _timesformer("timesformer_base_divided.hf_in21k_k400_96x4", "fcakyon/timesformer-large-finetuned-k400", 121_633_936, 80.6, 94.7, 96, 4, num_frames=96),
    _timesformer("timesformer_base_divided.hf_in21k_k600_8x32", "facebook/timesformer-base-finetuned-k600", 121_720_152, 79.1, 94.4, 8, 32, dataset="kinetics600"),
    _timesformer("timesformer_base_divided.hf_in21k_k600_hr_16x16", "facebook/timesformer-hr-finetuned-k600", 122_177_880, 81.8, 95.8, 16, 16, 448, dataset="kinetics600", num_frames=16, img_size=448),
    _timesformer("timesformer_base_divided.hf_in21k_k600_96x4", "fcakyon/timesformer-large-finetuned-k600", 121_787_736, 82.2, 95.6, 96, 4, dataset="kinetics600", num_frames=96),
    _timesformer("timesformer_base_divided.hf_in21k_sthv2_8", "facebook/timesformer-base-finetuned-ssv2", 121_392_558, 59.1, 85.6, 8, 1, dataset="sthv2", data=_STHV2),
    _timesformer("timesformer_base_divided.hf_in21k_sthv2_hr_16", "facebook/timesformer-hr-finetuned-ssv2", 121_850_286, 61.8, 86.9, 16, 1, 448, dataset="sthv2", data=_STHV2, num_frames=16, img_size=448),
)
# fmt: on
