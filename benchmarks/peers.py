"""Another package in an environment of its own, asked to run cases in turn with ours.

A worker script gives its cases to ``serve``; the benchmark talks to it through a ``Peer`` and pairs every run of a case
here with one there, so that a machine whose speed drifts treats both alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
    """Make MMAction2 1.2 importable: its wheel leaves out a folder that it imports."""
    missing = types.ModuleType("mmaction.models.localizers.drn.drn")
    missing.DRN = object
    sys.modules[missing.__name__] = missing


class Peer:
    """A worker script that runs under another environment's Python."""

    def __init__(self, python: str, script: Path):
        command = [python, str(script)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error) -> None:
        self.process.stdin.close()
        self.process.wait()

    def run(self, case: str, **arguments: Any) -> tuple[float, Any]:
        """Seconds that the case took there, and what it returned."""
        self.process.stdin.write(json.dumps({"case": case, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended in {case}")
        answer = json.loads(line)
        return answer["seconds"], answer["result"]


def compare(name: str, ours: Callable[[], Any], theirs: Callable[[], float], rounds: int = 15) -> float:
    """Run both in turn and print medians and the ratio of each pair; ``theirs`` returns its own seconds."""
    here, there = [], []
    for i in range(rounds + 1):  # the first is a warm-up
        started = time.perf_counter()
        ours()
        seconds = time.perf_counter() - started
        other = theirs()
        if i:
            here.append(seconds)
            there.append(other)
    ratios = sorted(b / a for a, b in zip(here, there, strict=True))
    middle = statistics.median(ratios)
    print(
        f"{name:40} ours {1000 * statistics.median(here):9.2f} ms   theirs {1000 * statistics.median(there):9.2f} ms   "
        f"{middle:6.2f} x ({ratios[len(ratios) // 10]:.2f} to {ratios[-1 - len(ratios) // 10]:.2f})",
        flush=True,
    )
    return middle
