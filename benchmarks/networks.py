"""Forward passes against other packages', of the same weights on the same input: float32, one view, outputs compared.

python benchmarks/networks.py --mmaction2 PATH/bin/python --peers PATH/bin/python [--only x3d ...]
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
from peers import Peer, Row, compare

import vidhub

FORMS = ("plain", "fast", "compiled")
FORMS_HELP = "ours as create_model gives them, by optimize, or by optimize with compile (%(default)s)"


class Case(NamedTuple):
    name: str  # of ours
    theirs: str  # of the peer: a configuration of MMAction2, a function or class of others
    ours: tuple[int, ...]  # shape of the input
    theirs_shape: tuple[int, ...]  # the same numbers as the peer takes them
    peer: str = "MMAction2"


def clips(frames: int, size: int = 224) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (1, 3, frames, size, size), (1, 1, 3, frames, size, size)


def plain(frames: int, size: int = 224) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (1, 3, frames, size, size), (1, 3, frames, size, size)


R, S = "recognition/", "skeleton/"
CASES = [
    Case("slowonly_r50.mm_k400_8x8", R + "slowonly/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb.py", *clips(8)),
    Case("slowfast_r50.mm_k400_8x8", R + "slowfast/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb.py", *clips(32)),
    Case("x3d_m", R + "x3d/x3d_m_16x5x1_facebook-kinetics400-rgb.py", *clips(16, 256)),
    Case("i3d_r50", R + "i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb.py", *clips(32)),
    Case("ircsn_r50", R + "csn/ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb.py", *clips(32)),
    # frames first
    Case(
        "tsm_r50",
        R + "tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py",
        (1, 3, 8, 224, 224),
        (1, 8, 3, 224, 224),
    ),
    Case(
        "tpn_slowonly_r50",
        R + "tpn/tpn-slowonly_imagenet-pretrained-r50_8xb8-8x8x1-150e_kinetics400-rgb.py",
        *clips(8),
    ),
    Case("swin3d_tiny", R + "swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb.py", *clips(32)),
    Case("mvit_v2_small", R + "mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb.py", *clips(16)),
    Case("vit3d_base", R + "videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400.py", *clips(16)),
    Case("uniformer_small", R + "uniformer/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb.py", *clips(16)),
    Case("timesformer_base_divided", R + "timesformer/timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb.py", *clips(8)),
    Case(
        "stgcnpp",
        S + "stgcnpp/stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d.py",
        (1, 2, 100, 25, 3),
        (1, 1, 2, 100, 25, 3),
    ),
    Case(
        "posec3d_slowonly_r50",
        S + "posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint.py",
        (1, 17, 48, 56, 56),
        (1, 1, 17, 48, 56, 56),
    ),
    Case("bmn", "localization/bmn/bmn_2xb8-400x100-9e_activitynet-feature.py", (1, 400, 100), (1, 400, 100)),
    Case("r3d_18.tv_k400", "r3d_18", *plain(16, 112), "torchvision"),
    Case("r2plus1d_18.tv_k400", "r2plus1d_18", *plain(16, 112), "torchvision"),
    Case("s3d.tv_k400", "s3d", *plain(16), "torchvision"),
    Case("mvit_v2_small.tv_k400_16", "mvit_v2_s", *plain(16), "torchvision"),
    Case("swin3d_tiny.tv_in1k_k400_32", "swin3d_t", *plain(32), "torchvision"),
    Case("slowonly_r50.ptv_k400_8x8", "slow_r50", *plain(8), "PyTorchVideo"),
    Case("slowfast_r50.ptv_k400_8x8", "slowfast_r50", *plain(32), "PyTorchVideo"),
    Case("x3d_m.ptv_k400_16x5", "x3d_m", *plain(16, 256), "PyTorchVideo"),
    Case("mvit_v1_base.ptv_k400_16x4", "mvit_base_16x4", *plain(16), "PyTorchVideo"),
    Case("timesformer_base_divided.hf_in21k_k400_8x32", "Timesformer", *plain(8), "transformers"),
    Case("vit3d_base.hf_videomae_k400_16x4", "VideoMAE", *plain(16), "transformers"),
    Case("vivit_base.hf_in21k_k400_32x2", "Vivit", *plain(32), "transformers"),
]


def measure(
    mmaction2: str | None,
    peers: str | None,
    only: list[str] | None = None,
    rounds: int = 7,
    form: str = "fast",
) -> list[Row]:
    """A row for each network whose name has one of ``only`` in it.

    Args:
        mmaction2, peers: Python of the environment with MMAction2, and of that with any of the other packages.
        form: of our networks: plain, fast or compiled.
    """
    cases = [case for case in CASES if not only or any(text in case.name for text in only)]
    rows = []
    for script, python in (("networks_mmaction2.py", mmaction2), ("networks_peers.py", peers)):
        here = [case for case in cases if (case.peer == "MMAction2") == (python is mmaction2)]
        if python is None:
            continue
        with Peer(python, Path(__file__).with_name(script)) as peer, torch.inference_mode():
            versions = peer.run("available")[1]
            rows += [_measure_one(peer, case, rounds, form) for case in here if case.peer in versions]
    for name in dict.fromkeys(case.peer for case in cases):
        if name not in {row.peer for row in rows}:
            print(f"skipped: {name} is not in an environment that was named")
    return rows


def _measure_one(peer: Peer, case: Case, rounds: int, form: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        weights, given, found = (f"{folder}/{name}" for name in ("weights.pth", "input.npy", "output.npy"))
        peer.run("build", peer=case.peer, name=case.theirs, path=weights)
        model = vidhub.create_model(case.name, checkpoint_path=weights)
        x = torch.randn(case.ours, generator=torch.Generator().manual_seed(0))
        frames_first = case.theirs_shape[1:3] == case.ours[2:0:-1]
        np.save(given, x.transpose(1, 2).numpy() if frames_first else x.reshape(case.theirs_shape).numpy())
        peer.run("load", path=given)
        if form != "plain":
            model = vidhub.optimize(model, x, compile=form == "compiled")
        row = compare(case.name, case.peer, partial(model, x), lambda: peer.run("forward")[0], rounds)
        peer.run("save", path=found)
        output, theirs = model(x), torch.from_numpy(np.load(found))
    output = output[0] if isinstance(output, tuple) else output
    error = (output - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()
    print(f"{'':40} outputs differ by {error:.1e} of their rms", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="PYTHON")
    parser.add_argument("--peers", metavar="PYTHON", help="of an environment with torchvision, PyTorchVideo, ...")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="networks with one of these in their names")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--form", choices=FORMS, default="fast", help=FORMS_HELP)
    args = parser.parse_args()
    ratios = [row.ratio for row in measure(args.mmaction2, args.peers, args.only, args.rounds, args.form)]
    if ratios:
        print(f"\ngeometric mean {statistics.geometric_mean(ratios):.2f} x, least {min(ratios):.2f} x")


if __name__ == "__main__":
    main()
