"""Feature banks of whole data sets: made once with one detector, then read around every clip of another."""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from tqdm.auto import tqdm

from .._files import write_whole
from ..datasets.boxes import BoxDataset
from ..datasets.catalog import create_dataset
from ..datasets.records import BoxesRecord
from ..errors import InputError, VideoError, VidhubError, from_worker, in_one_line
from ..models._factory import create_model
from ..models.lfb import feature_bank
from ..weights.files import weights_digest
from .detection import open_boxes
from .extract import keep_settings, network_name
from .predict import check_counts, pick_device


class FeatureBank:
    """A folder of ``write_bank``: ``bank(record)`` is what happened around a key frame, (C, n, 1, 1).

    Args:
        window, per_second: of ``vidhub.models.lfb.feature_bank``.

    Raises:
        InputError: the folder is missing; on a call, there are no features of the record's video.
    """

    def __init__(self, folder: str | Path, *, window: int = 60, per_second: int = 5):
        self.folder, self.window, self.per_second = Path(folder), window, per_second
        if not self.folder.is_dir():
            raise InputError(f"there is no feature bank at {str(folder)!r}: vidhub bank makes one.")

    def __call__(self, record: BoxesRecord, *, shuffle: bool = False) -> Tensor:
        """The bank of the second of ``record``; with ``shuffle`` of random persons where a second has too many."""
        path = self.folder / _file_of(record.video_id)
        second = int(record.timestamp)
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ()))) if shuffle else None
        try:
            with safe_open(path, "pt") as stored:
                near = [s for s in map(int, stored.keys()) if abs(s - second) <= self.window // 2]
                features = {s: stored.get_tensor(str(s)) for s in near}
                features = features or {second: torch.zeros(0, int(stored.metadata()["channels"]))}
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"the feature bank {str(self.folder)!r} has nothing of {record.video_id!r} ({error}): run vidhub bank "
                "on this split of the data set."
            ) from error
        bank = feature_bank(features, second, window=self.window, per_second=self.per_second, generator=generator)
        return bank.float()


def write_bank(
    model: nn.Module | str,
    dataset: str,
    root: str,
    out: str | Path,
    split: str = "train",
    *,
    device: str | torch.device | None = None,
    workers: int = 0,
    progress: bool | None = None,
    **options: Any,
) -> tuple[int, list[str]]:
    """Write the features of every person of a data set to ``out/VIDEO.safetensors``, a tensor (N, C) for each second.

    Persons are those of a person detector where the data set has some. Videos whose file is there already are left out,
    so that a run that was killed goes on where it was.

    Args:
        model: a detector without a memory, of ``create_model``, or a name whose published weights are loaded.
        options: of ``create_dataset``.

    Returns:
        How many videos were written, and a sentence for each that cannot be read.

    Raises:
        InputError: the network is no such detector, the data set counts frames where the bank counts seconds, or
            ``out`` holds the features of another network.
    """
    check_counts(at_least=0, workers=workers)
    device = pick_device(device, model)
    name = network_name(model)
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    model.eval().to(device)
    data = open_boxes(create_dataset(dataset, root, split, **options), model)
    if any(record.in_frames for record in data.records):
        raise InputError(f"a feature bank counts seconds, and the data set {dataset!r} counts frames.")
    made = {"weights": weights_digest(model.state_dict()), "data_config": asdict(model.data_config)}
    keep_settings(Path(out) / "bank.json", {"model": name, **made})
    order = sorted(range(len(data)), key=lambda i: (data.records[i].video_id, data.records[i].timestamp))
    videos = [(name, list(indices)) for name, indices in groupby(order, key=lambda i: data.records[i].video_id)]
    missing = [(name, indices) for name, indices in videos if not (Path(out) / _file_of(name)).exists()]
    show, failures = sys.stderr.isatty() if progress is None else progress, []
    for name, indices in tqdm(missing, unit="video", disable=not show):
        try:
            features = _features(model, data, indices, workers)
        except (VideoError, OSError) as error:
            failures.append(in_one_line(error))
            continue
        except VidhubError as error:
            raise from_worker(error) from None
        about = {"channels": str(model.num_features), "model": getattr(model, "arch", type(model).__name__)}
        write_whole(Path(out) / _file_of(name), save({str(s): f for s, f in features.items()}, metadata=about))
    return len(missing) - len(failures), failures


@torch.inference_mode()
def _features(model: nn.Module, data: BoxDataset, indices: list[int], workers: int) -> dict[int, Tensor]:
    """Of the persons in each second of one video: float32 (N, C)."""
    device, found = next(model.parameters()).device, {}
    for sample in DataLoader(Subset(data, indices), batch_size=None, num_workers=workers):
        maps = model.forward_boxes(model.forward_features(sample.clip[None].to(device)), [sample.boxes.to(device)])
        features = model.forward_head(maps, pre_logits=True).cpu()
        second = int(data.records[sample.index].timestamp)
        found[second] = torch.cat((found[second], features)) if second in found else features
    return found


def _file_of(video_id: str) -> str:
    return f"{video_id}.safetensors"
