"""How the tables build their entries: what is the same for all checkpoints of a publisher."""

from __future__ import annotations

from dataclasses import replace

from ..types import DataConfig, Weights

# MMAction2's usual Kinetics protocol: 10 clips, 3 crops of 256
KINETICS = DataConfig(num_frames=8, stride=8, size=224, resize=256, test_size=256)

# classes of Something-Something that a mirrored clip swaps: from left to right, from right to left
STHV2_FLIPS = ((86, 87), (93, 94), (166, 167))

_NUM_CLASSES = {
    "ava": 80,
    "diving48": 48,
    "gym99": 99,
    "hagrid": 40,
    "hmdb51": 51,
    "imagenet1k": 1000,
    "kinetics400": 400,
    "kinetics600": 600,
    "kinetics700": 700,
    "kinetics710": 710,
    "mit": 339,
    "multisports": 66,
    "ntu60": 60,
    "ntu120": 120,
    "sthv1": 174,
    "sthv2": 174,
    "ucf101": 101,
}
# by the beginning of the architecture's name, the longest one counts
_PAPERS = {
    "agcn": "https://arxiv.org/abs/1805.07694",
    "c2d": "https://arxiv.org/abs/1711.07971",
    "c3d": "https://arxiv.org/abs/1412.0767",
    "i3d": "https://arxiv.org/abs/1705.07750",
    "i3d_r50_nl": "https://arxiv.org/abs/1711.07971",
    "ipcsn": "https://arxiv.org/abs/1904.02811",
    "ircsn": "https://arxiv.org/abs/1904.02811",
    "mvit_v1": "https://arxiv.org/abs/2104.11227",
    "mvit_v2": "https://arxiv.org/abs/2112.01526",
    "mc3": "https://arxiv.org/abs/1711.11248",
    "r2plus1d": "https://arxiv.org/abs/1711.11248",
    "r3d": "https://arxiv.org/abs/1711.11248",
    "s3d": "https://arxiv.org/abs/1712.04851",
    "slowfast": "https://arxiv.org/abs/1812.03982",
    "slowonly": "https://arxiv.org/abs/1812.03982",
    "slowfast_r50_acrn": "https://arxiv.org/abs/1807.10982",
    "slowonly_r50_lfb": "https://arxiv.org/abs/1812.05038",
    "slowonly_r50_omnisource": "https://arxiv.org/abs/2003.13042",
    "posec3d": "https://arxiv.org/abs/2104.13586",
    "stgcn": "https://arxiv.org/abs/1801.07455",
    "stgcnpp": "https://arxiv.org/abs/2205.09443",
    "swin3d": "https://arxiv.org/abs/2106.13230",
    "timesformer": "https://arxiv.org/abs/2102.05095",
    "tanet": "https://arxiv.org/abs/2005.06803",
    "tin": "https://arxiv.org/abs/2001.06499",
    "tpn": "https://arxiv.org/abs/2004.03548",
    "trn": "https://arxiv.org/abs/1711.08496",
    "tsm": "https://arxiv.org/abs/1811.08383",
    "tsn": "https://arxiv.org/abs/1608.00859",
    "tsn_r18_audio": "https://arxiv.org/abs/2001.08740",
    "uniformer": "https://arxiv.org/abs/2201.04676",
    "uniformerv2": "https://arxiv.org/abs/2211.09552",
    "vit3d": "https://arxiv.org/abs/2203.12602",
    "vivit": "https://arxiv.org/abs/2103.15691",
    "vjepa2": "https://arxiv.org/abs/2506.09985",
    "x3d": "https://arxiv.org/abs/2004.04730",
}


def entry(
    name, url, num_params, top1, top5, data, license, sha256="", dataset="kinetics400", num_classes=None, **kwargs
) -> Weights:
    """``name`` is arch.tag; ``kwargs`` are the network's arguments; ``num_classes`` where it is not the data set's."""
    arch, tag = name.split(".")
    return Weights(
        url=url,
        arch=arch,
        tag=tag,
        num_classes=num_classes or _NUM_CLASSES[dataset],
        data_config=data,
        num_params=num_params,
        sha256=sha256,
        kwargs=kwargs,
        label_set=None if dataset == "imagenet1k" else dataset,
        metrics={name: value for name, value in (("top1", top1), ("top5", top5)) if value is not None},
        dataset=dataset,
        license=license,
        commercial_use="-nc" not in license,
        paper=_PAPERS[max((p for p in _PAPERS if arch.startswith(p)), key=len)],
    )


def mmaction2(
    name, path, num_params, top1, top5, frames, stride, dataset="kinetics400", data=None, **kwargs
) -> Weights:
    """MMAction2's: the last part of a file's name is the start of its SHA-256."""
    url = f"https://download.openmmlab.com/mmaction/{path}.pth"
    data = replace(KINETICS, num_frames=frames, stride=stride, **(data or {}))
    return entry(name, url, num_params, top1, top5, data, "apache-2.0", path[-8:], dataset, **kwargs)


def mmaction2_run(name, method, run, stamp, *args, **kwargs) -> Weights:
    """MMAction2 1.x: a folder a run, named like the file in it."""
    return mmaction2(name, f"v1.0/recognition/{method}/{run}/{run}_{stamp}", *args, **kwargs)
