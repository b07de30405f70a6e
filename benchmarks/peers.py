"""Another package in an environment of its own, asked to run cases in turn with ours.

A worker script gives its cases to ``serve``; the benchmark talks to it through a ``Peer`` and pairs every run of a case
here with one there, so that a machine whose speed drifts treats both alike.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def serve(cases: dict[str, Callable[..., Any]]) -> None:
    """Answer each line of JSON, {"case", "arguments"}, with {"seconds", "result"}; what a case returns must be JSON."""
    out, sys.stdout = sys.stdout, sys.stderr  # what others print is no answer
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        result = cases[request["case"]](**request["arguments"])
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "result": result}), file=out, flush=True)


def allow_mmaction2() -> None:
    """Make MMAction2 1.2 importable: its wheel leaves out a folder, and it breaks on a transformers of today."""
    missing = types.ModuleType("mmaction.models.localizers.drn.drn")
    missing.DRN = object
    for module in (missing, types.ModuleType("mmaction.models.multimodal")):
        sys.modules[module.__name__] = module


def randomise(model: Any) -> None:
    """Statistics and scales of batch norms, and tables of positions, as after training: no part is switched off."""
    import torch

    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in ((module.running_var, 0.5, 1.5), (module.weight.data, 0.5, 1.0)):
                tensor.uniform_(low, high, generator=generator)
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(0, 0.1, generator=generator)
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.any():
            parameter.data.normal_(0, 0.1, generator=generator)


def serve_networks(versions: dict[str, str], build: Callable[[str, str], tuple[Any, Any, Callable]]) -> None:
    """Serve the networks of some packages; ``build(package, name)`` gives one, its weights, and what runs it.

    On a GPU ``dtype`` is that of automatic mixed precision; a CPU runs float32, as these packages do there.
    """
    import torch

    now = {}

    def make(peer: str, name: str, path: str) -> None:
        now.clear()  # with the optimiser of the network before
        torch.manual_seed(0)
        with torch.no_grad():
            now["model"], weights, now["forward"] = build(peer, name)
        torch.save(weights, path)

    def load(path: str, device: str, dtype: str) -> None:
        now["model"].to(device)
        now["input"] = torch.from_numpy(np.load(path)).to(device)
        mixed = device == "cuda" and dtype != "float32"
        now["mixed"] = torch.autocast(device, getattr(torch, dtype), enabled=mixed)

    def run() -> torch.Tensor:
        with now["mixed"]:
            return now["forward"](now["input"])

    def forward() -> None:
        with torch.inference_mode():
            now["output"] = run()
        synchronize(now["input"].device)

    def train() -> None:
        train_step(now, now["model"], run)

    def save(path: str) -> None:
        np.save(path, now["output"].float().cpu().numpy())

    cases = {"available": lambda: versions, "build": make, "load": load, "forward": forward, "train": train}
    serve({**cases, "save": save})


def synchronize(device: Any) -> None:
    """Wait until a GPU has done what it was told."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def train_step(state: dict[str, Any], model: Any, forward: Callable[[], Any]) -> None:
    """Forward, backward and update; ``state`` keeps the optimiser from one to the next."""
    import torch

    if "optimizer" not in state:
        model.train()
        state["optimizer"] = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
    logits = forward()
    torch.nn.functional.cross_entropy(logits.float(), logits.argmax(-1)).backward()
    state["optimizer"].step()
    state["optimizer"].zero_grad()
    synchronize(logits.device)


class Peer:
    """A worker script that runs under another environment's Python."""

    def __init__(self, python: str, script: Path):
        command = [python, str(script)]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise SystemExit(f"cannot start {python} ({error.strerror}); name the Python of an environment") from None

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error) -> None:
        with suppress(BrokenPipeError):  # of one that ended with an error
            self.process.stdin.close()
        self.process.wait()

    def run(self, case: str, **arguments: Any) -> tuple[float, Any]:
        """Seconds that the case took there, and what it returned."""
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"case": case, "arguments": arguments}) + "\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith('{"seconds"'):  # and not what some package prints
                break
        else:
            raise SystemExit(f"{self.process.args[0]} ended in {case}")
        answer = json.loads(line)
        return answer["seconds"], answer["result"]


class Row(NamedTuple):
    """A measured pair: medians in milliseconds, and the ratio of the pairs with its first and ninth decile."""

    what: str
    peer: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    floor: float = math.nan  # the least that ours could take, where that is known

    def __str__(self) -> str:
        return (
            f"{self.what:40} ours {self.ours:9.2f} ms   {self.peer} {self.theirs:9.2f} ms   "
            f"{self.ratio:6.2f} x ({self.low:.2f} to {self.high:.2f})"
        )


def compare(
    what: str, peer: str, ours: Callable[[], Any], theirs: Callable[[], float], rounds: int = 15, warm_up: bool = True
) -> Row:
    """Run both in turn and print the row; ``theirs`` returns its own seconds."""
    here, there = [], []
    for i in range(rounds + warm_up):
        started = time.perf_counter()
        ours()
        seconds = time.perf_counter() - started
        other = theirs()
        if i >= warm_up:
            here.append(seconds)
            there.append(other)
    ratios = [b / a for a, b in zip(here, there, strict=True)]
    medians = (1000 * statistics.median(values) for values in (here, there))
    deciles = np.quantile(ratios, (0.1, 0.9)).tolist()
    row = Row(what, peer, *medians, statistics.median(ratios), *deciles)
    print(row, flush=True)
    return row
