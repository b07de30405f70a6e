"""The state of a training run on disk: whole or not there at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError

from ..errors import InputError, VidhubError, WeightsError, in_one_line

_KEPT = 2  # the newest one, and the one before in case a disk loses it


def save_state(accelerator: Accelerator, folder: Path, step: int) -> None:
    """Write everything ``accelerator`` knows of to ``folder/step-...``; called by all processes.

    That is model, optimiser, random states of every process, and the registered objects. The folder is written under
    another name, flushed to the disk and renamed; older ones are deleted afterwards.

    Raises:
        VidhubError: it cannot be written, as on a full disk.
    """
    final = folder / f"step-{step:08d}"
    draft = folder / f"draft-{step:08d}"
    if accelerator.is_main_process:
        shutil.rmtree(draft, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    accelerator.wait_for_everyone()
    try:
        accelerator.save_state(str(draft))
    except (SafetensorError, RuntimeError, OSError) as error:
        if accelerator.is_main_process:
            shutil.rmtree(draft, ignore_errors=True)
        raise VidhubError(f"cannot write the checkpoint {str(final)!r} ({in_one_line(error)}).") from error
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        for path in draft.rglob("*"):
            _flush(path)
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
        _flush(folder)
        for old in list_states(folder)[:-_KEPT]:
            shutil.rmtree(old)
        for stale in folder.glob("draft-*"):
            shutil.rmtree(stale)
    accelerator.wait_for_everyone()
    if accelerator.is_local_main_process:  # of a machine with a disk of its own
        shutil.rmtree(draft, ignore_errors=True)


def load_state(accelerator: Accelerator, state: Path) -> None:
    """Restore a state.

    Raises:
        WeightsError: it cannot be read, or belongs to another network or optimiser.
    """
    try:
        accelerator.load_state(str(state))
    except Exception as error:  # unpickling and shape errors of many kinds
        reason = in_one_line(error)[:200]
        raise WeightsError(
            f"cannot resume from {str(state)!r} ({type(error).__name__}: {reason}); "
            "delete it to go on from the one before."
        ) from error


def newest_state(folder: Path) -> Path | None:
    """The newest complete state that the first process sees, in all processes; None where there is none.

    Raises:
        InputError: in all processes, if one of them does not see it.
    """
    newest = next((path.name for path in reversed(list_states(folder))), None)
    if torch.distributed.is_initialized():
        told = [newest]
        torch.distributed.broadcast_object_list(told)
        newest = told[0]
        seen: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(seen, newest is None or (folder / newest).is_dir())
        if not all(seen):
            raise InputError(
                f"process {seen.index(False)} does not see {newest!r} in {str(folder)!r}: out must be on a disk that "
                "all machines share."
            )
    return newest and folder / newest


def list_states(folder: Path) -> list[Path]:
    """Complete states, the oldest first."""
    return sorted(folder.glob("step-*"))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
