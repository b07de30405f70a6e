"""Forward passes against MMAction2's, of the same weights on the same input: float32, one view, outputs compared.

python benchmarks/networks.py --mmaction2 PATH/bin/python [--only x3d ...] [--plain]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from peers import Peer, compare

import vidhub


class Case(NamedTuple):
    name: str  # of ours
    config: str  # of MMAction2
    ours: tuple[int, ...]  # shape of the input
    theirs: tuple[int, ...]  # the same numbers, as MMAction2 takes them
    kind: str = "clips"


def clips(frames: int, size: int = 224) -> dict[str, tuple[int, ...]]:
    return {"ours": (1, 3, frames, size, size), "theirs": (1, 1, 3, frames, size, size)}


R = "recognition/"
CASES = [
    Case("slowonly_r50.mm_k400_8x8", R + "slowonly/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb.py", **clips(8)),
    Case("slowfast_r50.mm_k400_8x8", R + "slowfast/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb.py", **clips(32)),
    Case("x3d_m", R + "x3d/x3d_m_16x5x1_facebook-kinetics400-rgb.py", **clips(16, 256)),
    Case("i3d_r50", R + "i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb.py", **clips(32)),
    Case("ircsn_r50", R + "csn/ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb.py", **clips(32)),
    Case(
        "tsm_r50",
        R + "tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py",
        (1, 3, 8, 224, 224),
        (1, 8, 3, 224, 224),
        "frames",
    ),
    Case(
        "tpn_slowonly_r50",
        R + "tpn/tpn-slowonly_imagenet-pretrained-r50_8xb8-8x8x1-150e_kinetics400-rgb.py",
        **clips(8),
    ),
    Case("swin3d_tiny", R + "swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb.py", **clips(32)),
    Case("mvit_v2_small", R + "mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb.py", **clips(16)),
    Case("vit3d_base", R + "videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400.py", **clips(16)),
    Case("uniformer_small", R + "uniformer/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb.py", **clips(16)),
    Case(
        "timesformer_base_divided", R + "timesformer/timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb.py", **clips(8)
    ),
    Case(
        "stgcnpp",
        "skeleton/stgcnpp/stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d.py",
        (1, 2, 100, 25, 3),
        (1, 1, 2, 100, 25, 3),
    ),
    Case(
        "posec3d_slowonly_r50",
        "skeleton/posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint.py",
        (1, 17, 48, 56, 56),
        (1, 1, 17, 48, 56, 56),
    ),
    Case(
        "bmn", "localization/bmn/bmn_2xb8-400x100-9e_activitynet-feature.py", (1, 400, 100), (1, 400, 100), "features"
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="PYTHON", required=True)
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="networks with one of these in their names")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plain", action="store_true", help="our networks as create_model gives them")
    args = parser.parse_args()
    chosen = [case for case in CASES if not args.only or any(text in case.name for text in args.only)]
    ratios = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Peer(args.mmaction2, Path(__file__).with_name("networks_mmaction2.py")) as peer,
        torch.inference_mode(),
    ):
        weights, given, found = (f"{folder}/{name}" for name in ("weights.pth", "input.npy", "output.npy"))
        for case in chosen:
            peer.run("build", config=case.config, path=weights)
            model = vidhub.create_model(case.name, checkpoint_path=weights)
            x = torch.randn(case.ours, generator=torch.Generator().manual_seed(0))
            np.save(given, x.transpose(1, 2).numpy() if case.kind == "frames" else x.reshape(case.theirs).numpy())
            peer.run("load", path=given, kind=case.kind)
            fast = model if args.plain else vidhub.optimize(model, x)
            ratios.append(
                compare(case.name, "MMAction2", partial(fast, x), lambda: peer.run("forward")[0], args.rounds)
            )
            peer.run("save", path=found)
            output, theirs = fast(x), torch.from_numpy(np.load(found))
            output = output[0] if isinstance(output, tuple) else output
            error = (output - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()
            print(f"{'':40} outputs differ by {error:.1e} of their rms", flush=True)
    print(f"\ngeometric mean {statistics.geometric_mean(ratios):.2f} x, least {min(ratios):.2f} x")


if __name__ == "__main__":
    main()
