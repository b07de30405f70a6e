"""Published checkpoints of the plain video transformers: TimeSformer, VideoMAE, ViViT, V-JEPA 2.

Tags read source_pretraining_dataset_frames-x-stride: mm is MMAction2, hf the Hugging Face Hub. The accuracies are the
publishers' own, with the views of each entry's ``data_config``.
"""

from __future__ import annotations

from dataclasses import replace

from ..types import DataConfig, Weights
from ._publishers import STHV2_FLIPS, entry, mmaction2_run

_HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
_TIMESFORMER = {"resize": 224, "test_size": None, "views": (1, 3)} | _HALF
_STHV2 = {"sampling": "segments", "flip_labels": STHV2_FLIPS, "target_fps": None}


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


def _videomae(name, repository, num_params, top1, top5, data=None, **kwargs) -> Weights:
    """The authors' weights in Hugging Face's layout."""
    return _hub(name, repository, num_params, top1, top5, replace(_VIDEOMAE, **(data or {})), "cc-by-nc-4.0", **kwargs)


def _videomae_mm(name, path, num_params, top1, top5, **kwargs) -> Weights:
    """The authors' weights in MMAction2's layout."""
    url = f"https://download.openmmlab.com/mmaction/v1.0/recognition/{path}.pth"
    weights = entry(name, url, num_params, top1, top5, _VIDEOMAE, "cc-by-nc-4.0", path[-8:], **kwargs)
    return replace(weights, paper=_V2) if "videomaev2" in path else weights


def _videomae_v2(name, file, sha256, num_params, top1, top5) -> Weights:
    """The authors' own files."""
    url = f"hf://OpenGVLab/VideoMAE2/{file}"
    weights = entry(name, url, num_params, top1, top5, _VIDEOMAE, "cc-by-nc-4.0", sha256, "kinetics710")
    return replace(weights, paper=_V2)


_VIDEOMAE = DataConfig(16, 4, resize=224, views=(5, 3))
_VIDEOMAE_STHV2 = _STHV2 | {"stride": 1, "views": (2, 3)}
_V2 = "https://arxiv.org/abs/2303.16727"
_V2_MM = "videomaev2/vit-{0}-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400/vit-{0}-p16_videomaev2-vit-g-dist-k710-pre_16x4x1_kinetics-400_20230510-{1}"
# 2 clips of 3 crops, or 4 of 3, as the authors measured
_VJEPA2_STHV2 = DataConfig(16, 4, 256, 292, views=(2, 3), flip_labels=_STHV2["flip_labels"])
_VJEPA2_STHV2_G = replace(_VJEPA2_STHV2, num_frames=64, stride=2, size=384, resize=438)
_VJEPA2_DIVING = DataConfig(32, 2, 256, 292, views=(4, 3), flip=False)
_VJEPA2_DIVING_G = replace(_VJEPA2_DIVING, size=384, resize=438)
_VIVIT = replace(DataConfig(32, 2, resize=256, views=(4, 3)), **_HALF)

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
    # VideoMAE
    _videomae_mm("vit3d_small.mm_videomaev2_k400_16x4", _V2_MM.format("small", "25c748fd"), 22_033_936, 83.6, 96.3),
    _videomae("vit3d_small.hf_videomae_k400_16x4", "MCG-NJU/videomae-small-finetuned-kinetics", 22_033_936, 79.0, 93.8),
    _videomae("vit3d_small.hf_videomae_sthv2_16", "MCG-NJU/videomae-small-finetuned-ssv2", 21_946_926, 66.8, 90.3, dataset="sthv2", data=_VIDEOMAE_STHV2),
    _videomae_v2("vit3d_small.hf_videomaev2_k710_16x4", "distill/vit_s_k710_dl_from_giant.pth", "24fb71687fa3671b8387cadfbcbab0f72af695692e93cf1ecc82caa888626172", 22_153_286, 77.6, None),
    _videomae_mm("vit3d_base.mm_videomae_k400_16x4", "videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400_20221013-860a3cd3", 86_534_800, 81.3, 95.0),
    _videomae_mm("vit3d_base.mm_videomaev2_k400_16x4", _V2_MM.format("base", "3e7f93b2"), 86_534_800, 86.6, 97.3),
    _videomae("vit3d_base.hf_videomae_k400_16x4", "MCG-NJU/videomae-base-finetuned-kinetics", 86_534_800, 80.9, 94.7),
    _videomae("vit3d_base.hf_videomae_short_k400_16x4", "MCG-NJU/videomae-base-short-finetuned-kinetics", 86_534_800, 79.4, 94.1),
    _videomae("vit3d_base.hf_videomae_sthv2_16", "MCG-NJU/videomae-base-finetuned-ssv2", 86_361_006, 70.6, 92.6, dataset="sthv2", data=_VIDEOMAE_STHV2),
    _videomae("vit3d_base.hf_videomae_short_sthv2_16", "MCG-NJU/videomae-base-short-finetuned-ssv2", 86_361_006, 69.6, 92.0, dataset="sthv2", data=_VIDEOMAE_STHV2),
    _videomae_v2("vit3d_base.hf_videomaev2_k710_16x4", "distill/vit_b_k710_dl_from_giant.pth", "8141a6955e0700d11bf15928fe6d61e5cfe482606fed8cfdddb1b922c0fd88ec", 86_773_190, 81.5, None),
    _videomae_mm("vit3d_large.mm_videomae_k400_16x4", "videomae/vit-large-p16_videomae-k400-pre_16x4x1_kinetics-400_20221013-229dbb03", 304_270_736, 85.3, 96.7),
    _videomae("vit3d_large.hf_videomae_k400_16x4", "MCG-NJU/videomae-large-finetuned-kinetics", 304_270_736, 84.7, 96.5),
    _videomae("vit3d_huge.hf_videomae_k400_16x4", "MCG-NJU/videomae-huge-finetuned-kinetics", 632_119_440, 86.6, 97.1),
    _videomae_v2("vit3d_giant.hf_videomaev2_k710_16x4", "mae-g/vit_g_hybrid_pt_1200e_k710_ft.pth", "", 1_012_611_142, 83.8, 96.4),
    # ViViT
    _hub("vivit_base.hf_in21k_k400_32x2", "google/vivit-b-16x2-kinetics400", 88_954_000, 79.9, None, _VIVIT, "mit"),
    # V-JEPA 2
    _hub("vjepa2_large.hf_sthv2_16x4", "facebook/vjepa2-vitl-fpc16-256-ssv2", 353_399_982, 73.7, None, _VJEPA2_STHV2, "mit", "sthv2"),
    _hub("vjepa2_large.hf_diving48_32x2", "facebook/vjepa2-vitl-fpc32-256-diving48", 353_270_832, 89.0, None, _VJEPA2_DIVING, "mit", "diving48", num_frames=32),
    _hub("vjepa2_giant.hf_sthv2_64x2", "facebook/vjepa2-vitg-fpc64-384-ssv2", 1_105_668_142, 77.3, None, _VJEPA2_STHV2_G, "mit", "sthv2"),
    _hub("vjepa2_giant.hf_diving48_32x2", "facebook/vjepa2-vitg-fpc32-384-diving48", 1_105_490_608, 90.2, None, _VJEPA2_DIVING_G, "mit", "diving48", num_frames=32),
)
# fmt: on
