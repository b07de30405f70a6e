"""Forward passes, or steps of training, against other packages', of the same weights on the same input.

Outputs are compared. The others run in float32 on a CPU; on a GPU in mixed precision where ours run in bfloat16.

    python benchmarks/networks.py --mmaction2 PATH/bin/python --peers PATH/bin/python [--only x3d ...]
    python benchmarks/networks.py --mmaction2 PATH/bin/python --device cuda --dtype bfloat16 --batch 8 \
        --form fast compiled --of forward training

On a GPU also how far a network is from the least that it could take: each convolution and product at the speed of a
large product of matrices, or of a large copy for what it reads and writes, if that takes longer; the rest at no cost.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peers import Peer, Row, compare, synchronize, train_step
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import vidhub

FORMS = ("plain", "fast", "compiled")
FORMS_HELP = "ours as create_model gives them, by optimize, or by optimize with compile; fast if nothing is said"


class Case(NamedTuple):
    name: str  # of ours
    theirs: str  # of the peer: a configuration of MMAction2, a function or class of others
    ours: tuple[int, ...]  # shape of the input, a batch of one
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

    form: str = "fast"  # in training "fast" is with their weights in channels-last layout
    training: bool = False
    dtype: str = "float32"  # of our weights, or in training of mixed precision
    device: str = "cpu"
    batch: int = 1

    def __str__(self) -> str:
        return ", a step" * self.training + f", {self.form}" * (self.form != "fast")


def measure(
    mmaction2: str | None, peers: str | None, ways: Sequence[Way], only: list[str] | None = None, rounds: int = 7
) -> list[Row]:
    """A row for each way of each network whose name has one of ``only`` in it.

    Args:
        mmaction2, peers: Python of the environment with MMAction2, and of that with any of the other packages.
        ways: of one dtype, device and batch.
    """
    cases = [case for case in CASES if not only or any(text in case.name for text in only)]
    rows = []
    for script, python in (("networks_mmaction2.py", mmaction2), ("networks_peers.py", peers)):
        here = [case for case in cases if (case.peer == "MMAction2") == (python is mmaction2)]
        if python is None:
            continue
        with Peer(python, Path(__file__).with_name(script)) as peer:
            versions = peer.run("available")[1]
            for case in (case for case in here if case.peer in versions):
                rows += _measure_one(peer, case, rounds, ways)
    for name in dict.fromkeys(case.peer for case in cases):
        if name not in {row.peer for row in rows}:
            print(f"skipped: {name} is not in an environment that was named")
    return rows


def _measure_one(peer: Peer, case: Case, rounds: int, ways: Sequence[Way]) -> list[Row]:
    batch, device, dtype = ways[0].batch, ways[0].device, ways[0].dtype
    with tempfile.TemporaryDirectory() as folder:
        weights, given, found = (f"{folder}/{name}" for name in ("weights.pth", "input.npy", "output.npy"))
        peer.run("build", peer=case.peer, name=case.theirs, path=weights)
        model = vidhub.create_model(case.name, checkpoint_path=weights).to(device)
        x = torch.randn(batch, *case.ours[1:], generator=torch.Generator().manual_seed(0))
        frames_first = case.theirs_shape[1:3] == case.ours[2:0:-1]
        theirs_shape = (batch, *case.theirs_shape[1:])
        np.save(given, x.transpose(1, 2).numpy() if frames_first else x.reshape(theirs_shape).numpy())
        peer.run("load", path=given, device=device, dtype=dtype)
        rows, x = [], x.to(device)
        for way in sorted(ways, key=lambda way: way.training):  # which leaves the networks in training mode
            if not way.training:
                rows.append(_compare_forward(peer, case, model, x, rounds, way, found))
            elif case.name != "bmn":  # which is no classifier
                rows.append(_compare_training(peer, case, model, x, rounds, way))
    return rows


def _compare_forward(
    peer: Peer, case: Case, model: torch.nn.Module, x: torch.Tensor, rounds: int, way: Way, file: str
) -> Row:
    dtype = getattr(torch, way.dtype)
    least = _floor(model.eval(), x, dtype) if way.device == "cuda" else math.nan
    if way.form != "plain":
        model = vidhub.optimize(model, x, dtype=dtype, compile=way.form == "compiled")
    model.eval()

    @torch.inference_mode()
    def forward() -> Any:
        output = model(x)
        synchronize(x.device)
        return output

    row = compare(f"{case.name}{way}", case.peer, forward, lambda: peer.run("forward")[0], rounds)
    peer.run("save", path=file)
    output, theirs = forward(), torch.from_numpy(np.load(file))
    output = (output[0] if isinstance(output, tuple) else output).cpu()
    error = (output - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()
    row = row._replace(floor=least)
    text = f"outputs differ by {error:.1e} of their rms"
    print(f"{'':40} {text}{'' if math.isnan(least) else f'; {row.ours / least:.1f} x the least'}", flush=True)
    return row


def _compare_training(peer: Peer, case: Case, model: torch.nn.Module, x: torch.Tensor, rounds: int, way: Way) -> Row:
    """As ``vidhub.train`` does it: channels last, mixed precision unless float32."""
    layouts, state = {4: torch.channels_last, 5: torch.channels_last_3d}, {}
    model = copy.deepcopy(model)
    for weight in model.parameters() if way.form != "plain" else ():
        weight.data = weight.data.to(memory_format=layouts.get(weight.ndim, torch.contiguous_format))
    if way.form == "compiled":
        model.compile()
    mixed = torch.autocast(way.device, getattr(torch, way.dtype), enabled=way.dtype != "float32")

    def forward() -> torch.Tensor:
        with mixed:
            return model(x)

    def step() -> None:
        train_step(state, model, forward)

    return compare(f"{case.name}{way}", case.peer, step, lambda: peer.run("train")[0], rounds)


def _floor(model: torch.nn.Module, x: torch.Tensor, dtype: torch.dtype) -> float:
    """The least milliseconds that a forward pass could take on a GPU, see above."""
    with torch.no_grad(), _Costs() as costs:
        model(x)
    per_second, per_element = _speed(x.device, dtype), _speed_of_copies(x.device) / dtype.itemsize
    return 1000 * sum(max(flops / per_second, elements / per_element) for flops, elements in costs.layers)


class _Costs(TorchDispatchMode):
    """Of each convolution and product its arithmetic, and the elements of what it reads and writes."""

    def __init__(self):
        super().__init__()
        self.layers: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if count := flop_registry.get(func._overloadpacket):
            first = out if isinstance(out, torch.Tensor) else out[0]
            elements = sum(a.numel() for a in args if isinstance(a, torch.Tensor)) + first.numel()
            self.layers.append((count(*args, **kwargs, out_val=out), elements))
        return out


@cache
def _speed(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large product of matrices."""
    size = 8192
    a = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3 / _least_seconds(device, lambda: a @ a)


@cache
def _speed_of_copies(device: torch.device) -> float:
    """Bytes read and written a second in a large copy."""
    a = torch.zeros(2**28, device=device)
    b = torch.ones_like(a)
    return 2 * a.nbytes / _least_seconds(device, lambda: a.copy_(b))


def _least_seconds(device: torch.device, run: Callable[[], Any], runs: int = 10) -> float:
    times = []
    for _ in range(runs):
        synchronize(device)
        started = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", nargs="+", choices=FORMS, default=["fast"], help=FORMS_HELP)
    parser.add_argument("--of", nargs="+", choices=("forward", "training"), default=["forward"])
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of ours (%(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, default=1, metavar="CLIPS")


def ways_of(args: argparse.Namespace) -> list[Way]:
    """What ``add_ways`` understood."""
    return [
        Way(form, of == "training", args.dtype, args.device, args.batch) for of, form in product(args.of, args.form)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mmaction2", metavar="PYTHON")
    parser.add_argument("--peers", metavar="PYTHON", help="of an environment with torchvision, PyTorchVideo, ...")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="networks with one of these in their names")
    parser.add_argument("--rounds", type=int, default=7)
    add_ways(parser)
    args = parser.parse_args()
    ratios = [row.ratio for row in measure(args.mmaction2, args.peers, ways_of(args), args.only, args.rounds)]
    if ratios:
        print(f"\ngeometric mean {statistics.geometric_mean(ratios):.2f} x, least {min(ratios):.2f} x")


if __name__ == "__main__":
    main()
