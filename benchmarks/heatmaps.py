"""Heatmaps of joints and limbs against MMAction2's, on the same made-up persons, one thread; the results are compared.

python benchmarks/heatmaps.py --mmaction2 PATH/bin/python    # of an environment with MMAction2 1.2
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from peers import Peer, Row, compare

from vidhub.transforms.heatmaps import joint_heatmaps, limb_heatmaps

PERSON = np.array(  # COCO's joints of somebody upright, in a picture of 1 x 1: x, then y
    [
        (0.5, 0.53, 0.47, 0.56, 0.44, 0.62, 0.38, 0.68, 0.32, 0.7, 0.3, 0.57, 0.43, 0.58, 0.42, 0.58, 0.42),
        (0.12, 0.1, 0.1, 0.12, 0.12, 0.25, 0.25, 0.4, 0.4, 0.53, 0.53, 0.53, 0.53, 0.72, 0.72, 0.92, 0.92),
    ]
).T


def measure(
    python: str, persons: int = 2, frames: int = 48, side: int = 64, rounds: int = 15, spread: bool = False
) -> list[Row]:
    """Joints and limbs, drawn on one thread; prints by how much the heatmaps differ.

    ``spread`` puts the joints anywhere in the picture, so that limbs are as long as they get.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    g = np.random.default_rng(0)
    moved = g.normal(0, 0.04, (persons, frames, 17, 2)) + g.uniform(-0.15, 0.15, (persons, 1, 1, 2))
    places = g.uniform(0, 1, moved.shape) if spread else PERSON + moved
    keypoints = (places * side).astype(np.float32)
    scores = g.uniform(0.1, 1, keypoints.shape[:-1]).astype(np.float32)
    points, values, size = torch.from_numpy(keypoints), torch.from_numpy(scores), (side, side)
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer(python, Path(__file__).with_name("heatmaps_mmaction2.py")) as peer,
    ):
        np.save(f"{folder}/keypoint.npy", keypoints)
        np.save(f"{folder}/keypoint_score.npy", scores)
        _, (limbs,) = peer.run("load", folder=folder, size=side)
        cases = {
            "keypoint": lambda: joint_heatmaps(points, values, size=size),
            "limb": lambda: limb_heatmaps(points, values, limbs=limbs, size=size),
        }
        for kind, draw in cases.items():
            what = f"{kind} heatmaps {tuple(draw().shape)}"
            rows.append(compare(what, "MMAction2", draw, lambda kind=kind: peer.run("draw", kind=kind)[0], rounds))
            peer.run("save", path=f"{folder}/drawn.npy")
            theirs = torch.from_numpy(np.load(f"{folder}/drawn.npy")).transpose(0, 1)
            print(f"{'':40} largest difference {(draw() - theirs).abs().max():.1e}")
    torch.set_num_threads(threads)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="PYTHON", required=True)
    parser.add_argument("--persons", type=int, default=2)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--spread", action="store_true", help="joints anywhere in the picture, not as in persons")
    args = parser.parse_args()
    measure(args.mmaction2, args.persons, args.frames, args.size, spread=args.spread)


if __name__ == "__main__":
    main()
