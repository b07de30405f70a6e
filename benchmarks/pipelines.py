"""From files to network input, and to class names, against MMAction2's pipelines and inferencer.

    python benchmarks/pipelines.py VIDEO ... --mmaction2 PATH/bin/python

Samples are made of the first three videos. All are then predicted together, one view each, by networks with the same
weights on both sides.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from peers import Peer, Row, compare

import vidhub
from vidhub.datasets import video_io
from vidhub.datasets.dataset import VideoDataset
from vidhub.datasets.records import VideoRecord

CONFIGS = {
    "tsm_r50": "recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py",
    "x3d_m.mm_k400_16x5": "recognition/x3d/x3d_m_16x5x1_facebook-kinetics400-rgb.py",
}
SAMPLES = 10  # of a video at once, since those of training differ in how much has to be decoded
PIXELS = vidhub.DataConfig(num_frames=32, stride=2, size=224, resize=256, test_size=256)


def measure(python: str, videos: list[str], rounds: int = 9) -> list[Row]:
    """Training samples and test views of each of the first videos; then all videos predicted."""
    with Peer(python, Path(__file__).with_name("pipelines_mmaction2.py")) as peer:
        rows = []
        for path in videos[:3]:
            rows += _samples(peer, path, "train", SAMPLES, rounds)
            rows += _samples(peer, path, "test", 1, rounds)
        for name in CONFIGS:
            rows += _predictions(peer, name, videos, rounds)
        return rows


def _samples(peer: Peer, path: str, kind: str, count: int, rounds: int) -> list[Row]:
    views = {"train": {"training": True}, "test": {"views": (10, 3)}}[kind]
    what = {"train": f"{count} training samples, 32x2, 224", "test": "a test video, 10 x 3 of 256"}[kind]
    data = VideoDataset([VideoRecord(path, 0)], vidhub.create_transform(PIXELS, **views))

    def ours():
        for _ in range(count):
            video_io._notes.cache_clear()  # as if the file had not been opened before
            sample = data[0][0]
        return sample

    def theirs() -> float:
        return sum(peer.run("sample", path=path, kind=kind)[0] for _ in range(count))

    mine, other = list(ours().shape), peer.run("sample", path=path, kind=kind)[1]
    if mine[-4:] != other[-4:] or math.prod(mine) != math.prod(other):
        raise SystemExit(f"{kind}: {mine} is not {other}")
    return [compare(f"{Path(path).name}: {what}", "MMAction2", ours, theirs, rounds)]


def _predictions(peer: Peer, name: str, videos: list[str], rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        peer.run("prepare", config=CONFIGS[name], path=f"{folder}/weights.pth")
        model = vidhub.create_model(name, checkpoint_path=f"{folder}/weights.pth")
    config = model.data_config
    example = torch.zeros(1, 3, config.num_frames, config.size, config.size)
    rounds = max(1, min(rounds, 100 // len(videos)))
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        fast = vidhub.optimize(model, example, dtype=dtype)

        def ours(fast=fast):
            video_io._notes.cache_clear()
            return vidhub.predict(fast, videos, progress=False)

        what = f"predict {len(videos)} videos, {name.partition('.')[0]}, {str(dtype).removeprefix('torch.')}"
        rows.append(compare(what, "MMAction2", ours, lambda: peer.run("predict", paths=videos)[0], rounds))
        same = np.mean(np.array([p.indices[0] for p in ours()]) == peer.run("predict", paths=videos)[1])
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
