"""SSN's training samples: snippets of a few proposals of each video, decoded from the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError, VideoError
from ..transforms.proposals import stage_proposal
from .dataset import VideoDataset
from .proposals import ProposalVideo, target_statistics, training_proposals
from .records import VideoRecord

KINDS = ("positive", "incomplete", "background")  # their positions are the kinds in a sample


class SnippetSample(NamedTuple):
    """P proposals, the positive ones first, then the incomplete ones and the background."""

    clips: Tensor  # float32 (P, C, snippets, H, W)
    scale_factors: Tensor  # float32 (P, 2): share of the wanted surroundings before and after that is in the video
    kinds: Tensor  # int64 (P,)
    labels: Tensor  # int64 (P,), from 1 on; 0 for the background
    targets: Tensor  # float32 (P, 2) normalised changes of centre and length; of the positive ones


class SnippetDataset(Dataset):
    """Videos with proposals: ``dataset[i]`` is a ``SnippetSample`` of proposals drawn from video i.

    Where a video has none of a kind, those of other videos are drawn. A video whose number of frames is not that of its
    proposals' file is taken to show the same at another rate.

    Args:
        records: of ``create_dataset("proposals", ...)``, with paths of videos, or folders of frame or flow images.
        transform: of ``create_transform(..., training=True)``; how frames become network input, of pictures or flow.
        per_video: how many proposals of each kind.
        segments: snippets of what is before a proposal, of it, and of what is after it.

    Raises:
        InputError: there is no proposal of some kind in any video.
    """

    def __init__(
        self,
        records: Sequence[ProposalVideo],
        transform: Any,
        classes: Sequence[str] = (),
        *,
        per_video: tuple[int, int, int] = (1, 6, 1),
        segments: tuple[int, int, int] = (2, 5, 2),
    ):
        self.records, self.transform = list(records), transform
        self.classes, self.num_classes = tuple(classes), len(classes)
        self.per_video, self.segments = per_video, segments
        self.videos = VideoDataset([VideoRecord(record.path) for record in self.records], transform)
        found = [training_proposals(record) for record in self.records]
        self.statistics = target_statistics(found)  # (2, 2): mean and deviation of the targets
        mean, deviation = self.statistics
        self._rows = {kind: [getattr(video, kind) for video in found] for kind in KINDS}
        self._targets = [(video.targets - mean) / np.where(deviation > 0, deviation, 1) for video in found]
        # of every kind all (video, row), for videos that have none
        self._pools = {
            kind: [(i, row) for i, rows in enumerate(videos) for row in range(len(rows))]
            for kind, videos in self._rows.items()
        }
        for kind, pool in self._pools.items():
            if not pool:
                raise InputError(f"no proposal of the {len(self.records)} videos is {kind}: SSN needs all kinds.")

    def __len__(self) -> int:
        return len(self.records)

    def draw(self, index: int, generator: np.random.Generator) -> list[tuple[int, int, int]]:
        """Proposals to learn from with video ``index``: (kind, video, row among those of the kind in the video)."""
        drawn = []
        for kind, (name, number) in enumerate(zip(KINDS, self.per_video, strict=True)):
            own = [(index, row) for row in range(len(self._rows[name][index]))]
            pool = own or self._pools[name]
            chosen = generator.choice(len(pool), number, replace=len(pool) < number)
            drawn += [(kind, *pool[i]) for i in chosen]
        return drawn

    def __getitem__(self, index: int) -> SnippetSample:
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        drawn = self.draw(index, generator)
        rows = np.stack([self._rows[KINDS[kind]][video][row] for kind, video, row in drawn])
        clips: list[Any] = [None] * len(drawn)
        scale = np.empty((len(drawn), 2), np.float32)
        for video in dict.fromkeys(video for _, video, _ in drawn):
            own = [i for i, (_, other, _) in enumerate(drawn) if other == video]
            stages = [self._stages(video, rows[i], generator) for i in own]
            scale[own] = [stage.scale_factors for stage in stages]
            for i, clip in zip(own, self._decode(video, np.stack([s.frames[:, 0] for s in stages])), strict=True):
                clips[i] = clip
        targets = [self._targets[video][row] if kind == 0 else (0.0, 0.0) for kind, video, row in drawn]
        kinds = torch.tensor([kind for kind, _, _ in drawn])
        labels = torch.from_numpy(rows[:, 0].astype(np.int64)) * (kinds < 2)
        targets = torch.from_numpy(np.array(targets, np.float32))
        return SnippetSample(torch.stack(clips), torch.from_numpy(scale), kinds, labels, targets)

    def _stages(self, video: int, row: np.ndarray, generator: np.random.Generator):
        start, end = map(int, row[3:])
        num_frames = self.records[video].num_frames
        clip_len = self.transform.stack  # a frame of optical flow holds several
        return stage_proposal(start, end, num_frames, segments=self.segments, clip_len=clip_len, generator=generator)

    def _decode(self, video: int, frames: np.ndarray) -> list[Tensor]:
        """Clips (C, snippets, H, W) of (P, snippets) frames, which are decoded once each."""
        record = self.records[video]
        mirror = False if self.transform.mirrored_class else None  # mirrored, some classes would be others
        try:
            with self.videos.open(video) as reader:
                places = frames * (reader.num_frames + self.transform.stack - 1) // record.num_frames
                unique, positions = np.unique(places.clip(max=reader.num_frames - 1), return_inverse=True)
                pictures = reader.get_frames(unique.tolist())
        except VideoError as error:
            raise error if record.path in str(error) else VideoError(f"{record.path!r}: {error}") from None
        return [self.transform(pictures[torch.from_numpy(p)], mirror=mirror) for p in positions.reshape(frames.shape)]


def collate_snippets(samples: Sequence[SnippetSample]) -> SnippetSample:
    """The proposals of all videos of a batch together."""
    return SnippetSample(*(torch.cat(column) for column in zip(*samples, strict=True)))
