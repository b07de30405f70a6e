"""Frames by their numbers out of video files, from path to uint8 array, against decord, torchcodec and OpenCV in turn.

The frames are compared as well: a peer that seeks to another frame is fast, but has not done the work.

    python benchmarks/decoding.py VIDEO ... --peers PATH/bin/python    # of an environment with any of the peers
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from peers import Peer, Row, compare

from vidhub import VideoReader
from vidhub.datasets import video_io


def wanted(num_frames: int) -> dict[str, list[int]]:
    """The frames of an 8-frame sample, of one clip of 32 frames 2 apart, and of 10 such clips."""
    last = max(num_frames - 63, 1)
    clips = [[min(int(start) + 2 * i, num_frames - 1) for i in range(32)] for start in np.linspace(0, last - 1, 10)]
    return {
        "8 uniform": [int((i + 0.5) * num_frames / 8) for i in range(8)],
        "32 x 2": clips[5],
        "10 clips of 32 x 2": [index for clip in clips for index in clip],
    }


def measure(python: str, videos: list[str], rounds: int = 9) -> list[Row]:
    """Every way of reading of every video against every peer that is there; prints what other frames a peer gave."""
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer(python, Path(__file__).with_name("decoding_peers.py")) as peer,
    ):
        versions = peer.run("available")[1]
        for name in ("decord", "torchcodec", "OpenCV"):
            print(f"{name} {versions[name]}" if name in versions else f"skipped: {name} is not installed")
        for path in videos:
            with VideoReader(path) as reader:
                count, (height, width) = reader.num_frames, reader.size
            print(f"\n{Path(path).name}: {count} frames of {width} x {height}")
            for label, indices in wanted(count).items():

                def ours(path=path, indices=indices):
                    video_io._notes.cache_clear()  # as if the file had not been opened before
                    with VideoReader(path) as reader:
                        return reader.get_frames(indices)

                for name in versions:
                    read = partial(peer.run, "read", peer=name, path=path, indices=indices)
                    what = f"{Path(path).name}: {label}"
                    rows.append(compare(what, name, ours, lambda read=read: read()[0], rounds))
                    peer.run("save", file=f"{folder}/frames.npy")
                    theirs = np.load(f"{folder}/frames.npy").astype(np.int16)
                    mine = ours().permute(0, 2, 3, 1).numpy()
                    wrong = int((np.abs(mine - theirs).mean((1, 2, 3)) > 8).sum())
                    if wrong:
                        print(f"{'':40} other frames: {wrong} of {len(indices)}")
    return rows


def best_ratios(rows: list[Row]) -> list[float]:
    """Of each way of reading, the ratio to the faster of decord and torchcodec."""
    least: dict[str, float] = {}
    for row in rows:
        if row.peer in ("decord", "torchcodec"):
            least[row.what] = min(row.ratio, least.get(row.what, row.ratio))
    return list(least.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--peers", metavar="PYTHON", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    best = best_ratios(measure(args.peers, args.videos, args.rounds))
    if best:
        print(f"\nagainst the faster of decord and torchcodec: least {min(best):.2f} x, median", end=" ")
        print(f"{statistics.median(best):.2f} x")


if __name__ == "__main__":
    main()
