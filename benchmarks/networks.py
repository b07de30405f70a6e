"""Forward passes, or steps of training, against other packages', of the same weights on the same input.

One view, outputs compared. The others run in float32 on a CPU; on a GPU in mixed precision where ours run in bfloat16.

    python benchmarks/networks.py --mmaction2 PATH/bin/python --peers PATH/bin/python [--only x3d ...]
    python benchmarks/networks.py --mmaction2 PATH/bin/python --form compiled --dtype bfloat16 --device cuda [--train]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peers import Peer, Row, compare, synchronize, train_step
from torch.utils.flop_counter import FlopCounterMode

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
    Case("x3d_m.mm_k400_16x5", R + "x3d/x3d_m_16x5x1_facebook-kinetics400-rgb.py", *clips(16, 256)),
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


class Way(NamedTuple):
    """How the networks run."""

    form: str = "fast"
    dtype: str = "float32"  # of our weights, or in training of mixed precision
    device: str = "cpu"
    train: bool = False


def measure(
    mmaction2: str | None, peers: str | None, way: Way, only: list[str] | None = None, rounds: int = 7
) -> list[Row]:
    """A row for each network whose name has one of ``only`` in it.

    Args:
        mmaction2, peers: Python of the environment with MMAction2, and of that with any of the other packages.
    """
    cases = [case for case in CASES if not only or any(text in case.name for text in only)]
    cases = [case for case in cases if not (way.train and case.name == "bmn")]  # which is no classifier
    rows = []
    for script, python in (("networks_mmaction2.py", mmaction2), ("networks_peers.py", peers)):
        here = [case for case in cases if (case.peer == "MMAction2") == (python is mmaction2)]
        if python is None:
            continue
        with Peer(python, Path(__file__).with_name(script)) as peer:
            versions = peer.run("available")[1]
            rows += [_measure_one(peer, case, rounds, way) for case in here if case.peer in versions]
    for name in dict.fromkeys(case.peer for case in cases):
        if name not in {row.peer for row in rows}:
            print(f"skipped: {name} is not in an environment that was named")
    return rows


def _measure_one(peer: Peer, case: Case, rounds: int, way: Way) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        weights, given, found = (f"{folder}/{name}" for name in ("weights.pth", "input.npy", "output.npy"))
        peer.run("build", peer=case.peer, name=case.theirs, path=weights)
        model = vidhub.create_model(case.name, checkpoint_path=weights).to(way.device)
        x = torch.randn(case.ours, generator=torch.Generator().manual_seed(0))
        frames_first = case.theirs_shape[1:3] == case.ours[2:0:-1]
        np.save(given, x.transpose(1, 2).numpy() if frames_first else x.reshape(case.theirs_shape).numpy())
        peer.run("load", path=given, device=way.device, dtype=way.dtype)
        x = x.to(way.device)
        if way.train:
            return _compare_training(peer, case, model, x, rounds, way)
        floor = _floor(model, x, way)
        dtype = getattr(torch, way.dtype)
        if way.form != "plain":
            model = vidhub.optimize(model, x, dtype=dtype, compile=way.form == "compiled")
        model.eval()

        @torch.inference_mode()
        def forward() -> Any:
            output = model(x)
            synchronize(x.device)
            return output

        row = compare(case.name, case.peer, forward, lambda: peer.run("forward")[0], rounds)
        peer.run("save", path=found)
        output, theirs = forward(), torch.from_numpy(np.load(found))
    output = (output[0] if isinstance(output, tuple) else output).cpu()
    error = (output - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()
    print(f"{'':40} outputs differ by {error:.1e} of their rms; {row.ours / floor:.1f} x the floor", flush=True)
    return row


def _compare_training(peer: Peer, case: Case, model: torch.nn.Module, x: torch.Tensor, rounds: int, way: Way) -> Row:
    """As ``vidhub.train`` does it: channels last, mixed precision unless float32."""
    layouts, state = {4: torch.channels_last, 5: torch.channels_last_3d}, {}
    for weight in model.parameters():
        weight.data = weight.data.to(memory_format=layouts.get(weight.ndim, torch.contiguous_format))
    if way.form == "compiled":
        model.compile()
    mixed = torch.autocast(way.device, getattr(torch, way.dtype), enabled=way.dtype != "float32")

    def forward() -> torch.Tensor:
        with mixed:
            return model(x)

    def step() -> None:
        train_step(state, model, forward)

    return compare(f"{case.name}, a step", case.peer, step, lambda: peer.run("train")[0], rounds)


def _floor(model: torch.nn.Module, x: torch.Tensor, way: Way) -> float:
    """Milliseconds that the network's convolutions and products take at the speed of a large product of matrices."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(x)
    dtype, size = getattr(torch, way.dtype), 4096 if way.device == "cuda" else 1024
    a = torch.randn(size, size, device=way.device).to(dtype)
    row = []
    for _ in range(5):
        synchronize(x.device)
        started = time.perf_counter()
        a @ a
        synchronize(x.device)
        row.append(time.perf_counter() - started)
    return 1000 * counter.get_total_flops() / (2 * size**3 / min(row))


def add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=FORMS, default="fast", help=FORMS_HELP)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of ours (%(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="PYTHON")
    parser.add_argument("--peers", metavar="PYTHON", help="of an environment with torchvision, PyTorchVideo, ...")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="networks with one of these in their names")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--train", action="store_true", help="steps of training, not forward passes")
    add_ways(parser)
    args = parser.parse_args()
    way = Way(args.form, args.dtype, args.device, args.train)
    ratios = [row.ratio for row in measure(args.mmaction2, args.peers, way, args.only, args.rounds)]
    if ratios:
        print(f"\ngeometric mean {statistics.geometric_mean(ratios):.2f} x, least {min(ratios):.2f} x")


if __name__ == "__main__":
    main()
