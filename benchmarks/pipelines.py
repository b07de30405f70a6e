"""From files to network input, and to class names, against MMAction2's pipelines and inferencer.

    python benchmarks/pipelines.py VIDEO ... --mmaction2 PATH/bin/python

The videos are predicted all together, by TSM-R50 with one view each and the same weights.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from peers import Peer, Row, compare

import vidhub
from vidhub.datasets.dataset import VideoDataset
from vidhub.datasets.records import VideoRecord

CONFIG = "recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py"
PIXELS = vidhub.DataConfig(num_frames=32, stride=2, size=224, resize=256, test_size=256)


def measure(python: str, videos: list[str], rounds: int = 9) -> list[Row]:
    """One training sample, one test video, all videos predicted; samples are those of the first video."""
    transforms = {
        "train": vidhub.create_transform(PIXELS, training=True),
        "test": vidhub.create_transform(PIXELS, views=(10, 3)),
    }
    names = {"train": "one training sample, 32x2, 224", "test": "one test video, 10 x 3 of 256"}
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer(python, Path(__file__).with_name("pipelines_mmaction2.py")) as peer,
    ):
        for kind, transform in transforms.items():
            data = VideoDataset([VideoRecord(videos[0], 0)], transform)
            shape = peer.run("sample", path=videos[0], kind=kind)[1]
            if list(data[0][0].shape)[-4:] != shape[-4:]:
                raise SystemExit(f"{kind}: {tuple(data[0][0].shape)} is not {shape}")
            theirs = partial(peer.run, "sample", path=videos[0], kind=kind)
            rows.append(compare(names[kind], "MMAction2", lambda d=data: d[0], lambda t=theirs: t()[0], rounds))

        weights = f"{folder}/weights.pth"
        peer.run("prepare", config=CONFIG, path=weights)
        model = vidhub.create_model("tsm_r50", checkpoint_path=weights)
        for dtype in (torch.float32, torch.bfloat16):
            fast = vidhub.optimize(model, torch.zeros(1, 3, 8, 224, 224), dtype=dtype)
            predict = partial(vidhub.predict, fast, videos, progress=False)
            what = f"predict {len(videos)} videos, TSM, {str(dtype).removeprefix('torch.')}"
            few = max(1, min(rounds, 100 // len(videos)))
            rows.append(compare(what, "MMAction2", predict, lambda: peer.run("predict", paths=videos)[0], few))
            same = np.mean(np.array([p.indices[0] for p in predict()]) == peer.run("predict", paths=videos)[1])
            print(f"{'':40} the same class for {100 * same:.0f} % of the videos")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--mmaction2", metavar="PYTHON", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    measure(args.mmaction2, args.videos, args.rounds)


if __name__ == "__main__":
    main()
