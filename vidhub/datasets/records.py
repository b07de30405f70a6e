"""What an annotation file says of one sample. Parse functions return lists of these; ``VideoDataset`` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

# one class; several at once; tags by category (a category that is absent was not annotated); not labelled
Label = int | tuple[int, ...] | dict[str, tuple[int, ...]] | None


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """A video, a part of one, a picture or a sound, with its label.

    ``path`` is a video or sound file, an image, a folder of frame images, a stored spectrogram (``.npy``), or
    ``ARCHIVE::MEMBER`` inside a zip or tar file.
    """

    path: str
    label: Label = None
    start: float | None = None  # seconds; None: from the beginning
    end: float | None = None  # seconds; None: to the end
    # of frame folders, as the list states them; None: all images of the folder in natural order
    num_frames: int | None = None
    first_frame: int = 1  # number of the first frame in the file names
    template: str | None = None  # of the file names, "img_{:05}.jpg"; of flow "{}_{:05d}.jpg" with x and y
    fps: float | None = None  # of frame folders; None: 30

    @property
    def name(self) -> str:
        """The path, and of a part of a video its seconds: "a.mp4#t=1.5,3"."""
        if self.start is None and self.end is None:
            return self.path
        return f"{self.path}#t={self.start or 0:g}" + ("" if self.end is None else f",{self.end:g}")


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class SegmentsRecord:
    """An untrimmed video (or its features) with the actions in it."""

    video_id: str
    path: str  # of the feature file or video
    duration: float  # seconds
    segments: np.ndarray  # float64 (N, 2): start and end in seconds
    labels: tuple[str, ...]  # the class of each segment
    fps: float | None = None
    num_frames: int | None = None
    feature_frames: int | None = None  # frames that the features cover, where the annotation states them


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class BoxesRecord:
    """A key frame with labelled person boxes."""

    video_id: str
    path: str  # video file, or folder of frame images
    timestamp: float  # seconds into the video; of data sets that count frames, the frame
    boxes: np.ndarray  # float32 (N, 4): x1, y1, x2, y2 fractions of the picture, or pixels on request
    labels: tuple[tuple[int, ...], ...]  # the classes of each box
    entity_ids: tuple[int, ...] = ()  # which person each box is
    proposals: np.ndarray | None = None  # float32 (P, 4), of a person detector
    scores: np.ndarray | None = None  # float32 (P,)
    first_second: float = 0.0  # timestamp of the video's first frame
    last_second: float | None = None
    shot: tuple[int, int] | None = None  # frames that clips may use, [first, stop)
    in_frames: bool = False  # timestamps are frames, not seconds


class BoxProtocol(NamedTuple):
    """How the publisher of a data set scores boxes."""

    classes: tuple[int, ...] | None = None  # that count; None: all
    excluded: tuple[BoxesRecord, ...] = ()  # key frames that do not count; what is in them, MMAction2 counts as missed
    mmaction2_offset: int = 0  # frames by which MMAction2's clips lie later


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class PoseRecord:
    """The skeletons of a video."""

    name: str
    label: int  # -1: not labelled
    num_frames: int
    keypoints: np.ndarray  # (persons, frames, joints, 2 or 3)
    scores: np.ndarray | None = None  # (persons, frames, joints)
    image_size: tuple[int, int] | None = None  # (height, width); None for 3D skeletons
    extra: dict[str, Any] = field(default_factory=dict)  # whatever else the file holds
