"""What several processes need that share the work, as ``torchrun`` or ``accelerate launch`` starts them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch


def join_processes(device: torch.device) -> tuple[int, int, torch.device]:
    """(rank, number of processes, device of this one); the processes know of each other after that."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0, 1, device
    from accelerate import PartialState

    state = PartialState(cpu=device.type == "cpu")
    return state.process_index, state.num_processes, state.device


def share_of(count: int) -> tuple[list[int], int]:
    """Which of ``count`` samples this process takes, and the number of processes.

    As many for every process, for which some are taken twice: sharded networks run in step.
    """
    together = torch.distributed.is_initialized()
    rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if together else (0, 1)
    rounds = -(-count // world)
    return [place % count for place in range(rank, rounds * world, world)], world


def gather_scores(done: dict[int, Any], world_size: int) -> dict[int, Any]:
    """The scores of all processes together, in all of them."""
    if world_size == 1:
        return done
    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, done)
    return {index: scores for part in parts for index, scores in part.items()}


def wait_for_all(told: list[str]) -> list[str]:
    """What all processes have to tell, in all of them, once the slowest has come here, be it after days.

    ``torchrun`` ends all processes when one fails: they have to end together, with the same exit code.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or not torch.distributed.is_torchelastic_launched():
        return told
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, told)
    return [text for part in parts for text in part]
