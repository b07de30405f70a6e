"""Training batches: which samples, drawn with which random numbers, and what happens to unreadable ones."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from vidhub.engine.loading import random_numbers, training_loader
from vidhub.errors import InputError, VideoError


class Draws(Dataset):
    """Sample i is (i, a random number of each kind); those in ``broken`` cannot be read."""

    def __init__(self, length=20, broken=()):
        self.length, self.broken = length, broken

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index in self.broken:
            raise VideoError(f"video {index} is broken")
        return index, torch.rand(()), random.random(), np.random.rand()


def load(dataset=None, batches=range(12), **options):
    options = {"batch_size": 4, "epoch_length": 5, "seed": 3, **options}
    return list(training_loader(Draws() if dataset is None else dataset, batches=batches, **options))


def numbers(batches):
    """(sample, its random numbers) in order."""
    return [tuple(float(v) for v in row) for batch in batches for row in zip(*batch.data, strict=True)]


def test_an_epoch_takes_every_sample_once_in_an_order_of_its_own():
    batches = load()
    first, second = (sorted(i for b in part for i in b.indices) for part in (batches[:5], batches[5:10]))
    assert first == second == list(range(20))
    assert [b.indices for b in batches[:5]] != [b.indices for b in batches[5:10]]


def test_a_sample_is_drawn_anew_in_every_epoch():
    drawn = numbers(load(batches=range(10)))
    assert len({row[1:] for row in drawn}) == 20 * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers):
    assert numbers(load(workers=workers)) == numbers(load())


def test_starting_later_gives_the_rest():
    assert numbers(load(batches=range(7, 12))) == numbers(load())[7 * 4 :]


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_together_see_what_one_sees(world_size):
    whole = load()
    parts = [load(rank=rank, world_size=world_size, batch_size=4 // world_size) for rank in range(world_size)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert numbers([batch]) == [row for share in shares for row in numbers([share])]


def test_other_seed_other_order():
    assert numbers(load(seed=4)) != numbers(load())


def test_weights_decide_how_often_a_sample_is_drawn():
    drawn = [i for b in load(Draws(4), range(250), weights=[0, 1, 1, 2], epoch_length=250) for i in b.indices]
    assert 0 not in drawn
    assert drawn.count(3) == pytest.approx(500, abs=80)


def test_a_set_smaller_than_a_batch_is_gone_through_several_times():
    (batch,) = load(Draws(3), range(1), batch_size=6, epoch_length=1)
    assert sorted(batch.indices) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_samples_are_replaced_and_told(workers):
    batches = load(Draws(broken={2, 7}), range(5), workers=workers)
    indices = [i for b in batches for i in b.indices]
    assert len(indices) == 20
    assert not {2, 7} & set(indices)
    failures = [text for b in batches for text in b.failures]
    assert {"video 2 is broken", "video 7 is broken"} == set(failures)
    assert numbers(batches) == numbers(load(Draws(broken={2, 7}), range(5)))


def test_nothing_readable_ends_in_an_empty_batch():
    (batch,) = load(Draws(broken=range(20)), range(1))
    assert batch.data is None
    assert len(batch.failures) == 40


def test_an_empty_set_is_an_error():
    with pytest.raises(InputError, match="empty"):
        load(Draws(0))


def test_random_numbers_leaves_the_generators_as_they_were():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with random_numbers(5):
        inside = torch.rand(1), random.random(), np.random.rand()
    assert torch.equal(torch.rand(2), expected)
    with random_numbers(5):
        assert (torch.rand(1), random.random(), np.random.rand()) == inside
