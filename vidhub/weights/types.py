"""What is known of a published checkpoint: plain data, cheap to import."""

from __future__ import annotations

import functools
import importlib.resources
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ..errors import InputError, check_choice, unknown_name
from .skeletons import LAYOUTS, Layout, LayoutLike, find_layout


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
    bgr: bool = False  # whether blue comes first in what the network takes; mean and std are of red, green, blue
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

    @property
    def summary(self) -> str:
        """What a view is, in words."""
        return f"clips of {self.num_frames} frames around a key frame, short side {self.size}, with boxes of persons"

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Of one clip of 4:3: (C, T, H, W)."""
        return len(self.mean), self.num_frames, self.size, round(self.size * 4 / 3)


Stream = Literal["joint", "bone", "joint_motion", "bone_motion"]
STREAMS: tuple[Stream, ...] = get_args(Stream)
Kind = Literal["coordinates", "keypoint", "limb"]
Normalize = Literal["3d", "2d", "box", "none"]


@dataclass(frozen=True)
class SkeletonConfig:
    """How a network wants its skeletons: as coordinates, or as heatmaps. See ``transforms.skeleton``.

    Raises:
        InputError, UnknownNameError: a value that makes no sense.
    """

    kind: Kind = "coordinates"  # the others: heatmaps of joints or of limbs
    layout: str | tuple[tuple[int, int], ...] = "nturgb+d"  # name or edges; see `weights.skeletons`
    num_frames: int = 100  # of a clip, spread over the whole video
    streams: tuple[Stream, ...] = ("joint",)  # of coordinates
    num_persons: int = 2  # of heatmaps only in training: evaluation draws everyone
    num_coords: int = 3  # x, y, z, or x, y, score
    # of the skeletons: in 3D a third coordinate is z, in 2D a score; None: as `normalize` says, else as the layout's
    dims: Literal[2, 3] | None = None
    # 3d: turned upright and centred on the first frame; 2d: by the picture's size; box: by that of all joints
    normalize: Normalize = "3d"
    use_scores: bool = True  # False: all joints count as surely seen
    size: int | None = None  # side of the heatmaps in pixels
    keep_ratio: bool = True  # when the box around the persons becomes a heatmap
    sigma: float = 0.6  # of the heatmaps' Gaussians, in pixels
    views: tuple[int, int] = (10, 1)  # (clips, 2 with mirror images) of the published test
    average: Literal["prob", "score"] = "prob"
    activation: Literal["softmax", "sigmoid"] = "softmax"

    def __post_init__(self) -> None:
        find_layout(self.layout)
        heatmaps = self.kind != "coordinates"
        for what, value, known in (
            ("kind of skeleton input", self.kind, get_args(Kind)),
            ("way to normalize", self.normalize, get_args(Normalize)),
            *(("stream", stream, STREAMS) for stream in self.streams),
        ):
            check_choice(what, value, known)
        for name in ("num_frames", "num_persons", *(("size",) if heatmaps else ())):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} of skeletons must be a positive number, not {value!r}.")
        if self.num_coords not in (2, 3) or self.dims not in (None, 2, 3) or not self.streams:
            given = f"{self.num_coords!r}, {self.dims!r} and {self.streams!r}"
            raise InputError(f"num_coords and dims are 2 or 3, and streams at least one, not {given}.")
        if not isinstance(self.sigma, (int, float)) or self.sigma <= 0:
            raise InputError(f"sigma of heatmaps must be above 0 pixels, not {self.sigma!r}.")
        if heatmaps and self.dims == 3:
            raise InputError("heatmaps are drawn of 2D skeletons in pixels, and these are in 3D: take a graph network.")
        if not heatmaps and self.dims and self.normalize in ("2d", "3d") and self.normalize != f"{self.dims}d":
            raise InputError(f"normalize={self.normalize!r} is not for skeletons in {self.dims}D: leave it out.")

    @property
    def summary(self) -> str:
        """What a view is, in words."""
        name = self.layout if isinstance(self.layout, str) else "one's own"
        if self.kind != "coordinates":
            return f"{self.num_frames} {self.kind} heatmaps of {self.size}x{self.size} pixels, layout {name}"
        streams = " and ".join(stream.replace("_", " ") for stream in self.streams)
        return f"{streams} of {self.num_persons} skeletons over {self.num_frames} frames, layout {name}"

    @property
    def skeleton(self) -> Layout:
        """The layout, with the dimensions that these skeletons have."""
        layout = find_layout(self.layout)
        if self.kind != "coordinates":
            return replace(layout, dims=2)
        return replace(layout, dims=self.dims or {"2d": 2, "3d": 3}.get(self.normalize, layout.dims))

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Of one view: (M, T, V, C), or of heatmaps (V, T, H, W)."""
        layout = find_layout(self.layout)
        if self.kind == "coordinates":
            return self.num_persons, self.num_frames, layout.num_joints, self.num_coords * len(self.streams)
        channels = layout.num_joints if self.kind == "keypoint" else len(layout.shown_limbs)
        return channels, self.num_frames, self.size, self.size

    def with_layout(self, layout: LayoutLike, dims: int | None = None) -> SkeletonConfig:
        """The same for another skeleton, normalised as one of its dimensions is; ``dims`` None: those of the layout."""
        if self.kind != "coordinates":
            return replace(self, layout=layout, dims=dims)
        usual = {"2d": 2, "3d": 3}.get(self.normalize)
        normalize = f"{dims or find_layout(layout).dims}d" if usual else self.normalize
        return replace(self, layout=layout, dims=dims, normalize=normalize)

    def with_channels(
        self,
        in_chans: int | None,
        layout: LayoutLike | None = None,
        kind: Kind | None = None,
        num_persons: int | None = None,
    ) -> SkeletonConfig:
        """The same for a network of this layout, of so many channels and, where that is fixed, persons.

        Coordinates are then as many streams as the channels hold. Heatmaps without a layout are of the first one with
        as many joints or limbs; ``in_chans`` None: as many as there are.

        Raises:
            InputError: nothing has so many channels.
        """
        if self.kind == "coordinates":
            config = self if layout in (None, self.layout) else self.with_layout(layout)
            config = replace(config, num_persons=num_persons or config.num_persons)
            if in_chans == config.view_shape[-1]:
                return config
            fitting = [(c, n) for c in (3, 2) for n in range(1, len(STREAMS) + 1) if c * n == in_chans]
            if not fitting:
                raise InputError(f"in_chans of skeletons is 2 or 3 for each of 1 to 4 streams, not {in_chans}.")
            return replace(config, num_coords=fitting[0][0], streams=STREAMS[: fitting[0][1]])
        if kind is not None:
            check_choice("kind of heatmaps", kind, ("keypoint", "limb"))
        layouts = (self.layout, *sorted(LAYOUTS, key=lambda name: LAYOUTS[name].dims)) if layout is None else (layout,)
        for heatmaps in (self.kind, "keypoint", "limb") if kind is None else (kind,):
            for found in layouts:
                config = replace(self, layout=found, kind=heatmaps)
                if in_chans in (None, config.view_shape[0]):
                    return config
        what = "joints or limbs" if kind is None else "joints" if kind == "keypoint" else "limbs"
        if layout is None:
            raise InputError(f"no known skeleton layout has {in_chans} {what}: pass layout, its edges, not in_chans.")
        raise InputError(f"in_chans={in_chans} is not the number of {what} of layout {layout!r}: leave it out.")


@dataclass(frozen=True)
class SegmentConfig:
    """How a localization network wants a video's features, and what becomes of the segments it proposes.

    Soft-NMS lowers the score of a segment whose overlap with a better one exceeds ``soft_nms_low`` plus the better
    one's length (of the video's 1) times what ``soft_nms_high`` is more: see ``engine.postprocess``.
    """

    feature_dim: int = 400  # channels
    num_steps: int | None = 100  # into which a video is rescaled; None: as many as there are; 0: proposals, one by one
    boundary_ratio: float = 0.5  # of a segment's length, that belongs to its start and its end
    soft_nms_alpha: float = 0.4
    soft_nms_low: float = 0.5
    soft_nms_high: float = 0.9
    top_k: int = 100  # segments kept of a video
    min_score: float = 0.0  # that a segment must have to be looked at
    feature_model: str = ""  # of `vidhub extract`, by which a network's features were taken; "": not known
    feature_weights: str = ""  # their digest
    feature_every: int = 16  # frames of a step of those
    # of networks for any number of steps: frames from a feature to the next; 0: they divide the video into equal parts
    feature_stride: int = 0
    feature_window: int = 0  # frames that each of those was taken from
    proposal_model: str = ""  # of `bsn_pem`: the `bsn_tem` whose proposals it judges
    voting: float = 0.0  # IoU from which the segments around a kept one move its boundaries; 0: they do not
    frame_interval: int = 16  # frames a feature was taken from; those after the last whole one are not looked at

    @property
    def summary(self) -> str:
        """What the network takes, in words."""
        if self.num_steps == 0:
            return f"descriptions of proposals by {self.feature_dim} numbers"
        steps = "any number of" if self.num_steps is None else self.num_steps
        return f"features of {self.feature_dim} channels and {steps} steps"

    @property
    def view_shape(self) -> tuple[int, ...]:
        """Of what a network takes: (C, T), or (C,) of a proposal. Any number of steps is taken to be 100."""
        steps = 100 if self.num_steps is None else self.num_steps
        return (self.feature_dim, steps) if steps else (self.feature_dim,)


AnyConfig = DataConfig | AudioConfig | SkeletonConfig | SegmentConfig | DetectionConfig
CONFIG_OF_TASK = {
    "recognition": DataConfig,
    "audio": AudioConfig,
    "skeleton": SkeletonConfig,
    "localization": SegmentConfig,
    "detection": DetectionConfig,
}


def read_config(task: str, values: dict[str, Any]) -> AnyConfig:
    """The configuration that ``values`` (of ``dataclasses.asdict``) describes; localization on pixels has a clip's.

    Raises:
        TypeError: there is no such field.
        KeyError: no such task.
    """
    kind = CONFIG_OF_TASK[task]
    if kind is SegmentConfig and "num_frames" in values:
        kind = DataConfig
    return kind(**values)


@dataclass(frozen=True)
class Weights:
    """One published checkpoint. ``vidhub.get_weights("arch.tag")`` returns it; nothing is downloaded."""

    url: str  # the published address; "package:" for files inside the wheel
    arch: str
    tag: str
    num_classes: int  # 0: the network knows no classes
    data_config: AnyConfig
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
    def arguments(self) -> dict[str, Any]:
        """With which the entry point builds the network that the file fits."""
        return {**self.kwargs, "num_classes": self.num_classes} if self.num_classes else self.kwargs

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
