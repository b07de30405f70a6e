"""Frames by their numbers out of video files, from path to uint8 array, against decord, torchcodec and OpenCV in turn.

The frames are compared as well: a peer that seeks to another frame is fast, but has not done the work.

    python benchmarks/decoding.py VIDEO ... --peers PATH/bin/python    # of an environment with any of the peers
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from peers import Peer, compare

from vidhub import VideoReader


def wanted(num_frames: int) -> dict[str, list[int]]:
    """The frames of an 8-frame sample, of one clip of 32 frames 2 apart, and of 10 such clips."""
    last = max(num_frames - 63, 1)
    clips = [[min(int(start) + 2 * i, num_frames - 1) for i in range(32)] for start in np.linspace(0, last - 1, 10)]
    return {
        "8 uniform": [int((i + 0.5) * num_frames / 8) for i in range(8)],
        "32 x 2": clips[5],
        "10 clips of 32 x 2": [index for clip in clips for index in clip],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--peers", metavar="PYTHON", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer(args.peers, Path(__file__).with_name("decoding_peers.py")) as peer,
    ):
        versions = peer.run("available")[1]
        print(", ".join(f"{name} {version}" for name, version in versions.items()))
        best = []
        for path in args.videos:
            with VideoReader(path) as reader:
                count, (height, width) = reader.num_frames, reader.size
            print(f"\n{Path(path).name}: {count} frames of {width} x {height}")
            for label, indices in wanted(count).items():

                def ours(path=path, indices=indices):
                    with VideoReader(path) as reader:
                        return reader.get_frames(indices)

                ratios = {}
                for name in versions:
                    question = {"peer": name, "path": path, "indices": indices}
                    ratio = compare(
                        f"  {label}: {name}", ours, lambda q=question: peer.run("read", **q)[0], args.rounds
                    )
                    peer.run("save", file=f"{folder}/frames.npy")
                    theirs = np.load(f"{folder}/frames.npy").astype(np.int16)
                    mine = ours().permute(0, 2, 3, 1).numpy()
                    off = np.abs(mine - theirs).mean((1, 2, 3))
                    if (wrong := int((off > 8).sum())) and name != "torchcodec, exact":
                        print(f"{'':40} other frames: {wrong} of {len(indices)}")
                    if name in ("decord", "torchcodec"):
                        ratios[name] = ratio
                if ratios:
                    best.append(min(ratios.values()))
    if best:
        print(f"\nagainst the better of decord and torchcodec: least {min(best):.2f} x, median", end=" ")
        print(f"{statistics.median(best):.2f} x")


if __name__ == "__main__":
    main()
