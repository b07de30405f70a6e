"""Training batches that depend on nothing but the seed: not on workers, processes, or where a run was interrupted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from ..errors import InputError, VideoError, VidhubError, from_worker, in_one_line

_TRIES = 10  # unreadable videos in a row before giving up


class Batch(NamedTuple):
    """What the loader yields: the collated samples, which they are, and what could not be read instead."""

    data: Any  # None where too many videos in a row could not be read
    indices: list[int]
    failures: list[str]  # one sentence for each video that was replaced by another


def training_loader(
    dataset: Dataset,
    *,
    batch_size: int,
    batches: range,
    epoch_length: int,
    seed: int = 0,
    weights: Sequence[float] | Tensor | None = None,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    collate: Callable[[list[Any]], Any] = default_collate,
    pin_memory: bool = False,
) -> DataLoader:
    """Batches number ``batches`` of a run, for this process.

    The samples of a batch and the random numbers with which each is drawn follow from ``seed`` and the batch's number:
    all processes together see what one process with ``world_size`` times the batch would see.

    Args:
        dataset: anything with a length and ``dataset[i]``; what it draws from the global generators of Python, NumPy
            and torch is repeatable. A sample that raises ``VideoError`` or ``OSError`` is replaced by another one.
        batch_size: samples of this process in a batch.
        batches: numbers of the batches to yield, counted over all epochs.
        epoch_length: batches of an epoch.
        weights: how often to draw each sample, relative to the others, with replacement; None: all once an epoch.
    """
    if len(dataset) == 0:
        raise InputError("the training set is empty; check its folder and split.")
    if weights is not None and len(weights) != len(dataset):
        raise InputError(f"weights must be one for each of the {len(dataset)} samples, not {len(weights)}.")
    order = _Order(len(dataset), epoch_length * batch_size * world_size, seed, weights)
    sampler = _Batches(order, batch_size, batches, epoch_length, rank, world_size)
    return DataLoader(
        _Seeded(dataset),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_Collate(collate),
        pin_memory=pin_memory,
        generator=torch.Generator(),  # or the loader draws a seed, which nothing here uses, from the global one
    )


def unwrapped(loader: Iterable[Any]) -> Iterator[Any]:
    """What ``loader`` yields; errors of its workers come without the tracebacks in their text."""
    try:
        yield from loader
    except VidhubError as error:
        raise from_worker(error) from None


class _Order:
    """Which samples an epoch takes, in which order, and the seed of each."""

    def __init__(self, num_samples: int, length: int, seed: int, weights: Sequence[float] | Tensor | None):
        self.num_samples = num_samples
        self.length = length  # samples of an epoch
        self.seed = seed
        self.weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float64)

    def epoch(self, epoch: int) -> tuple[list[int], list[int]]:
        """Indices and seeds, ``length`` of each."""
        draws = np.random.SeedSequence([self.seed, epoch]).generate_state(self.length + 1, np.uint64)
        generator = torch.Generator().manual_seed(int(draws[0] >> 1))
        if self.weights is not None:
            indices = torch.multinomial(self.weights, self.length, replacement=True, generator=generator)
        else:  # a set smaller than one batch is gone through several times
            rounds = -(-self.length // self.num_samples)
            indices = torch.cat([torch.randperm(self.num_samples, generator=generator) for _ in range(rounds)])
        return indices[: self.length].tolist(), (draws[1:] >> 1).tolist()


class _Batches(Sampler[list[tuple[int, int]]]):
    """(index, seed) of each sample of this process's part of every batch."""

    def __init__(self, order: _Order, batch_size: int, batches: range, epoch_length: int, rank: int, world_size: int):
        self.order = order
        self.batch_size = batch_size
        self.batches = batches
        self.epoch_length = epoch_length
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        current, samples = -1, []
        for number in self.batches:
            epoch, position = divmod(number, self.epoch_length)
            if epoch != current:
                current, samples = epoch, list(zip(*self.order.epoch(epoch), strict=True))
            first = (position * self.world_size + self.rank) * self.batch_size
            yield samples[first : first + self.batch_size]


class _Seeded(Dataset):
    """``dataset`` by (index, seed); gives (sample, index, failures), the sample None after too many failures."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __getitem__(self, key: tuple[int, int]) -> tuple[Any, int, list[str]]:
        index, seed = key
        failures = []
        with random_numbers(seed):
            while len(failures) < _TRIES:
                try:
                    return self.dataset[index], index, failures
                except (VideoError, OSError) as error:
                    failures.append(in_one_line(error))
                    index = int(torch.randint(len(self.dataset), ()))
        return None, index, failures  # told by the main process: errors of loader workers carry their traceback


class _Collate:
    def __init__(self, collate: Callable[[list[Any]], Any]):
        self.collate = collate

    def __call__(self, samples: list[tuple[Any, int, list[str]]]) -> Batch:
        data, indices, failures = zip(*samples, strict=True)
        data = None if any(sample is None for sample in data) else self.collate(list(data))
        return Batch(data, list(indices), [text for part in failures for text in part])


@contextmanager
def random_numbers(seed: int) -> Iterator[None]:
    """The global generators of Python, NumPy and torch (CPU) start from ``seed``, and go on afterwards as before."""
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])
