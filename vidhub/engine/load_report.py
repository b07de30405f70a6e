"""What a training run waits for: the time of each part of a sample, samples a second by workers, and a step's time."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from ..datasets.dataset import VideoDataset, apply_transform
from ..errors import VideoError
from .loading import random_numbers
from .recipe import Recipe
from .train import Run

_ADVICE = {
    "opening": "keep the files on a faster disk, or in fewer and larger folders",
    "decoding": "store the videos smaller (a short side near `resize`), or set `cache` where they fit in memory",
    "transforming": "take lighter augmentation (`augment`), or store the videos smaller",
    "sample": "make a sample cheaper",
}


@dataclass(frozen=True)
class LoadReport:
    """Times of a training run's parts, each measured alone; ``str`` tells what the run waits for."""

    parts: dict[str, float]  # seconds of one sample in one process: opening, decoding, transforming; or sample
    rates: dict[int, float]  # samples a second, by the number of worker processes
    step: float  # seconds of the network's work on the samples of a step
    samples: int  # of a step
    workers: int  # of the recipe

    @property
    def demand(self) -> float:
        """Samples a second that the network takes."""
        return self.samples / self.step

    @property
    def waiting(self) -> float:
        """The part of the time, from 0 to 1, that the network waits for data with the recipe's workers."""
        return max(0.0, 1 - self.rates[self.workers] / self.demand)

    @property
    def advice(self) -> str:
        """One sentence: what the run waits for, and what to change."""
        enough = [workers for workers, rate in sorted(self.rates.items()) if rate >= self.demand]
        if self.waiting < 0.05:
            fewer = f"; workers={enough[0]} would do" if enough and enough[0] < self.workers else ""
            return f"The run waits for the network: data come faster than it takes them{fewer}."
        told = f"The network waits for data {self.waiting:.0%} of the time"
        if enough:
            return f"{told}: set workers={enough[0]}."
        part = max(self.parts, key=self.parts.get)
        share = self.parts[part] / sum(self.parts.values())
        best = max(self.rates, key=self.rates.get)
        more = f"set workers={best}, and " if self.rates[best] > 1.1 * self.rates[self.workers] else ""
        return f"{told}, and {share:.0%} of a sample's time is its {part}: {more}{_ADVICE[part]}."

    def __str__(self) -> str:
        rows = [f"{part:14} {1000 * seconds:9.1f} ms a sample" for part, seconds in self.parts.items()]
        for workers, rate in sorted(self.rates.items()):
            own = "   (the recipe's)" if workers == self.workers else ""
            rows.append(f"{f'workers={workers}':14} {rate:9.1f} samples a second{own}")
        rows.append(f"{'network':14} {self.demand:9.1f} samples a second, {1000 * self.step:.0f} ms a step")
        return "\n".join((*rows, self.advice))


def report_loading(
    recipe: Recipe, *, workers: Sequence[int] | None = None, samples: int = 16, steps: int = 3, **parts: Any
) -> LoadReport:
    """Measure what a training run with this recipe would wait for; nothing of it is kept.

    Loading and the network are measured one after the other. On a CPU they share the cores, so that a run is slower
    than either.

    Args:
        recipe: of the run.
        workers: numbers of worker processes to try, besides the recipe's; None: 0, 1, 2, 4, ... up to the cores.
        samples: drawn one by one for the times of their parts.
        steps: of the network, after one that does not count.
        parts: ``model``, ``train_set``, ``loss``, ``collate`` of ``train``, in the place of the recipe's.

    Raises:
        InputError, UnknownNameError: as ``train``.
    """
    cores = os.cpu_count() or 1
    tried = {0, cores, *(2**n for n in range(cores.bit_length()))} if workers is None else set(workers)
    with tempfile.TemporaryDirectory() as folder:
        alone = {"out": str(Path(folder) / "run"), "workers": 0, "tensorboard": False, "val_split": ""}
        run = Run(replace(recipe, **alone, epochs=max(recipe.epochs, steps + 1)), **parts, progress=False)
        step = _step(run, steps)
        rates = {count: _rate(run, count) for count in sorted({*tried, recipe.workers})}
        times = _times(run.train_set, samples)
        run.log.close()
    return LoadReport(times, rates, step, recipe.batch_size * recipe.accumulate, recipe.workers)


def _step(run: Run, steps: int) -> float:
    """Seconds of one, its batches at hand."""
    run.step()
    run.batches = iter([next(run.batches) for _ in range(steps * run.recipe.accumulate)])
    started = time.perf_counter()
    for _ in range(steps):
        run.step()
    if run.accelerator.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def _rate(run: Run, workers: int) -> float:
    """Samples a second. The first batch of each worker does not count: it has the start of the process in it."""
    first = max(workers, 1)
    count = first + max(4, 2 * workers)
    for number, _ in enumerate(run.load(batches=range(count), workers=workers), 1):
        if number == first:
            started = time.perf_counter()
        ended = time.perf_counter()  # and then the loader waits for its workers to end
    return (count - first) * run.recipe.batch_size / (ended - started)


def _times(data: Dataset, samples: int) -> dict[str, float]:
    """Seconds of each part of one sample, the mean of some; of samples that are not read from media of the whole."""
    spent = Counter()
    for index in range(min(samples, len(data))):
        started = time.perf_counter()
        try:
            with random_numbers(index):
                if isinstance(data, VideoDataset):
                    _open_and_transform(data, index, spent)
                else:
                    data[index]
                    spent["sample"] += time.perf_counter() - started
        except (VideoError, OSError):  # a run replaces such videos by others
            continue
    total = min(samples, len(data))
    return {part: seconds / total for part, seconds in spent.items()}


def _open_and_transform(data: VideoDataset, index: int, spent: Counter) -> None:
    started = time.perf_counter()
    with data.open(index) as reader:
        opened = time.perf_counter()
        watched = _Watched(reader) if hasattr(reader, "get_frames") else reader
        apply_transform(data.transform, watched)
        done = time.perf_counter()
    decoding = getattr(watched, "seconds", 0.0)
    spent["opening"] += opened - started
    spent["decoding"] += decoding
    spent["transforming"] += done - opened - decoding


class _Watched:
    """A reader, and the seconds that it took for frames."""

    def __init__(self, reader: Any):
        self.reader, self.seconds = reader, 0.0

    def get_frames(self, *args: Any) -> Any:
        started = time.perf_counter()
        frames = self.reader.get_frames(*args)
        self.seconds += time.perf_counter() - started
        return frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)
