"""What is known of a published checkpoint: plain data, cheap to import."""

from __future__ import annotations

import functools
import importlib.resources
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import unknown_name


@dataclass(frozen=True)
class DataConfig:
    """How a network wants its clips, and how its published score was measured.

    Frames are counted at the video's own rate, or at ``target_fps`` where that is set. ``mean`` and ``std`` are for
    pixels in [0, 1].
    """

    num_frames: int
    stride: int = 1  # distance of two sampled frames
    size: int = 224  # side of the square crop, in training and for a single view
    resize: int | tuple[int, int] = 256  # short side before cropping, or exactly (height, width)
    test_size: int | None = None  # side of the crops of the published test; None: `size`
    test_frames: int | None = None  # of a clip of the published test; None: `num_frames`
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    # clips: runs of frames spread evenly over the video; dense: runs inside one window of 64 frames, at 10 positions;
    # segments: one frame from the middle of each of num_frames equal parts; uniform: num_frames over the whole video
    sampling: Literal["clips", "dense", "segments", "uniform"] = "clips"
    views: tuple[int, int] = (10, 3)  # (clips, crops) of the published test
    target_fps: float | None = None
    average: Literal["prob", "score"] = "prob"  # what is averaged over views: probabilities, or logits
    activation: Literal["softmax", "sigmoid"] = "softmax"  # sigmoid: several classes at once
    flip: bool = True  # whether training may mirror clips
    flip_labels: tuple[tuple[int, int], ...] = ()  # pairs of classes that a mirrored clip swaps

    @property
    def summary(self) -> str:
        """What a view is, in words."""
        return f"clips of {self.num_frames} frames, {self.size}x{self.size} pixels"

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Of one view of the published test: (C, T, H, W)."""
        side = self.test_size or self.size
        return len(self.mean), self.test_frames or self.num_frames, side, side

    def resized(self, size: int) -> DataConfig:
        """The same for crops of another size; what is larger around them, or in the test, grows in proportion."""
        factor = size / self.size

        def scaled(side: int | None) -> int | None:
            return None if side is None else round(side * factor)

        resize = scaled(self.resize) if isinstance(self.resize, int) else tuple(scaled(side) for side in self.resize)
        return replace(self, size=size, resize=resize, test_size=scaled(self.test_size))


@dataclass(frozen=True)
class AudioConfig:
    """How an audio network wants its log-mel spectrograms: see ``transforms.audio.log_mel``."""

    num_rows: int = 128  # of a clip, each ``hop_size / sample_rate`` seconds
    num_mels: int = 80
    sample_rate: int = 16_000  # Hz
    fft_size: int = 512  # samples
    hop_size: int = 256
    fmin: float = 125.0  # Hz
    fmax: float = 7600.0
    views: tuple[int, int] = (1, 1)  # (clips, 1) of the published test
    average: Literal["prob", "score"] = "prob"
    activation: Literal["softmax", "sigmoid"] = "softmax"

    @property
    def summary(self) -> str:
        """What a view is, in words."""
        seconds = self.num_rows * self.hop_size / self.sample_rate
        return f"log-mel spectrograms of {seconds:.2f} s, {self.num_rows} rows of {self.num_mels} bands"

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Of one view of the published test: (1, T, F)."""
        return 1, self.num_rows, self.num_mels


@dataclass(frozen=True)
class DetectionConfig:
    """How a detector wants its clips: whole frames around a key frame, at the video's rate or at ``target_fps``."""

    num_frames: int
    stride: int = 1  # distance of two sampled frames
    size: int = 256  # short side of the frames
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    target_fps: float | None = 30.0
    activation: Literal["softmax", "sigmoid"] = "sigmoid"  # sigmoid: several actions of a person at once
    background: bool = True  # the first class is no action
    views: tuple[int, int] = (1, 1)

    @property
    def summary(self) -> str:
        """What a view is, in words."""
        return f"clips of {self.num_frames} frames around a key frame, short side {self.size}, with boxes of persons"

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Of one clip of 4:3: (C, T, H, W)."""
        return len(self.mean), self.num_frames, self.size, round(self.size * 4 / 3)


CONFIG_OF_TASK = {"recognition": DataConfig, "audio": AudioConfig, "detection": DetectionConfig}


@dataclass(frozen=True)
class Weights:
    """One published checkpoint. ``vidhub.get_weights("arch.tag")`` returns it; nothing is downloaded."""

    url: str  # the published address; "package:" for files inside the wheel
    arch: str
    tag: str
    num_classes: int
    data_config: DataConfig | AudioConfig | DetectionConfig
    num_params: int
    sha256: str = ""  # whole or leading hex digits; "" where the publisher gives none
    kwargs: dict[str, Any] = field(default_factory=dict)  # constructor arguments that differ from the entry point's
    label_set: str | None = None  # file of class names in weights/labels
    metrics: dict[str, float] = field(default_factory=dict)  # as published: {"top1": 76.8, "top5": 92.99}, percent
    dataset: str = ""
    license: str = ""
    commercial_use: bool = True
    paper: str = ""
    mirrors: tuple[str, ...] = ()  # further addresses of the same file: https://... or hf://org/repo/file

    @property
    def name(self) -> str:
        """``arch.tag``."""
        return f"{self.arch}.{self.tag}"

    @property
    def sources(self) -> tuple[str, ...]:
        """Every address the file can be had from, in the order they are tried."""
        return (*self.mirrors, self.url)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Class names in the checkpoint's own order, or None where none are published.

        Outputs beyond the data set's classes, which some checkpoints have, are called ``"(unused 174)"`` and so on.
        """
        if not self.label_set:
            return None
        names = read_labels(self.label_set)
        if getattr(self.data_config, "background", False):
            names = ("background", *names)
        return names + tuple(f"(unused {i})" for i in range(len(names), self.num_classes))


@functools.lru_cache
def read_labels(name: str) -> tuple[str, ...]:
    """The class names of label set ``name`` ("kinetics400", ...), in index order.

    Raises:
        UnknownNameError: there is no such label set.
    """
    folder = importlib.resources.files(__package__) / "labels"
    path = folder / f"{name}.txt"
    if not path.is_file():
        raise unknown_name("label set", name, (p.name[:-4] for p in folder.iterdir() if p.name.endswith(".txt")))
    return tuple(path.read_text(encoding="utf-8").splitlines())
