"""Video in, frames out: whatever the source, frame ``i`` is the ``i``-th frame in display order.

A file is indexed once, when a process first opens it. Where the container tells the truth (one packet, one frame, with
its own time stamp) the index comes from the packets alone, undecoded; everywhere else it comes from one full decode.
Reading starts at the closest key frame that saves work, frames that nobody asked for and no other frame leans on are
left out, and every decoded frame must carry the time stamp that the index has for it. The first that does not sends the
reader back to plain decoding from the start.
"""

import array
import bisect
import functools
import http.client
import io
import itertools
import math
import numbers
import os
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from ..errors import InputError, VideoError
from .decoding import Turn, decode, file_address, open_container, packets_of, seekable, silence, to_rgb, video_stream

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
_PLAYLIST_SUFFIXES = (".m3u8", ".mpd")
_DOWNLOAD_TIMEOUT = 30  # seconds without an answer
_DEFAULT_FPS = 30.0

# Files whose tables tell nearly all that decoding the first frames would.
_TELLING_SUFFIXES = (".mp4", ".m4v", ".mov")
# Codecs of which each packet gives one frame, inside containers whose packets carry true presentation times.
_INTRA_CODECS = {"mjpeg", "ffv1", "png", "prores", "dnxhd", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "mpeg4"}
_PLAIN_CODECS = _INTRA_CODECS | {"h264", "hevc", "vp9", "libvpx-vp9", "av1", "libdav1d", "libaom-av1"}
_TIMED_CONTAINERS = ("mov,", "matroska,")
_NOT_CODED = 16  # bytes; MPEG-4 packets below this may say "nothing changed" and give no frame

# Codecs of which even small pictures take a decoder longer than its threads take to hand them round.
_HEAVY_CODECS = _PLAIN_CODECS - _INTRA_CODECS
_LARGE_PICTURE = 500_000  # pixels; threads pay off with any codec
_MOST_THREADS = 16

_WORTH_SEEKING = 8  # frames; a jump over fewer costs more than decoding through them


class VideoReader:
    """Frames of a video by number, the same however they are reached.

    Args:
        src: path of a video file, URL, ``bytes``, binary file object (one that can seek is read in place and left
            open, any other is read into memory), folder of frame images in natural order of their names, list of
            frame images (paths, or functions that open one as a binary file), uint8 array of shape (T, H, W, 3) or
            uint8 tensor of shape (T, 3, H, W) or (T, H, W, 3).
        fps: frames a second of image folders, arrays and tensors, which have no clock of their own.
        threads: decoding threads; 0 takes as many as pay off: two per core, or one alone where pictures are cheap.

    Frames are upright: rotation and mirroring stored in the file are applied. Pixels are not stretched where the file
    declares them oblong. Should the picture size change on the way, later frames are scaled to the size of the first.

    Of an intact file, ``num_frames`` is the number of frames of a full decode. Packets that do not decode are passed
    over. Damage that the packets do not show comes to light while reading: ``num_frames`` then falls to the frames
    that decode, and a request that reaches past them raises ``VideoError``.

    A reader is not safe to share between threads or to carry through a fork once open.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: the source is empty, damaged, not a video, or has no video in it.
        InputError: ``src`` is of no supported kind, or an array of the wrong shape or type.
    """

    def __init__(self, src: Any, *, fps: float = _DEFAULT_FPS, threads: int = 0):
        self._source = None  # so that __del__ can run where opening fails
        if not fps > 0:
            raise InputError(f"fps must be positive, got {fps}.")
        self._closed = False
        self._source = _open_source(src, float(fps), threads)

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self._source.num_frames

    @property
    def fps(self) -> float:
        """Mean frames a second: the declared rate where the time stamps bear it out, else what they measure."""
        return self._source.fps

    @property
    def timestamps(self) -> np.ndarray:
        """Display time of each frame: float64 (T,), in seconds since the first frame, never decreasing.

        Evenly spaced at ``fps`` where the file has no usable time stamps.
        """
        return self._source.timestamps.copy()  # readers of one file share it

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last, which is shown for ``1 / fps``."""
        return float(self._source.timestamps[-1]) + 1 / self.fps

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels of the upright frames."""
        return self._source.size

    @property
    def rotation(self) -> int:
        """Degrees clockwise, 0, 90, 180 or 270, by which stored frames are turned to stand upright."""
        return self._source.rotation

    def get_frames(self, indices: Sequence[int], size: int | tuple[int, int] | None = None) -> torch.Tensor:
        """The frames at ``indices``, in that order.

        Args:
            indices: frame numbers from 0 to ``num_frames - 1``, in any order and with repeats: sequence, array or
                tensor of integers.
            size: None for the full size, an int for the short side (keeping the ratio), or (height, width). Scaling
                happens while decoding, bilinear and without antialiasing filters of its own: fast, but not pixel for
                pixel the resize of the transforms. Leave it out where scores must match published ones.

        Returns:
            RGB tensor of shape (T, 3, H, W), uint8; in memory, as decoders give them, the channels of a pixel lie
            together.

        Raises:
            InputError: an index is negative, too large or no integer, or ``size`` is malformed.
            VideoError: a frame that the file lists cannot be decoded.
        """
        wanted = self._check_indices(indices)
        height_width = _target_size(size, self.size)
        try:
            return self._gather(wanted, height_width)
        except _WrongIndex:
            listed = self.num_frames
            self._source.recount()
        if len(wanted) and wanted.max() >= self.num_frames:
            raise VideoError(
                f"only {self.num_frames} of the {listed} frames listed in {self._source.name} can be decoded; "
                f"ask for frames 0 to {self.num_frames - 1}."
            )
        return self._gather(wanted, height_width)

    def __len__(self) -> int:
        return self.num_frames

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Every frame in turn, (3, H, W) uint8, decoded straight through."""
        position = 0
        while position < self.num_frames:
            try:
                frame = self._gather(np.array([position]), self.size)[0]
            except _WrongIndex:
                self._source.recount()
                continue
            yield frame
            position += 1

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._source is not None:
            self.close()

    def __repr__(self) -> str:
        height, width = self.size
        return f"VideoReader({self._source.name}: {self.num_frames} frames of {width}x{height} at {self.fps:g} fps)"

    def close(self) -> None:
        """Let go of the file; what is known of the video (``num_frames``, ``fps``, ...) can still be asked for."""
        self._closed = True
        self._source.close()

    def _check_indices(self, indices: Sequence[int]) -> np.ndarray:
        wanted = np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise InputError(f"frame indices must be a flat sequence of integers, got {indices!r}.")
        outside = wanted[(wanted < 0) | (wanted >= self.num_frames)]
        if outside.size:
            raise InputError(
                f"frame {outside[0]} is out of range: {self._source.name} has {self.num_frames} frames, "
                f"numbered 0 to {self.num_frames - 1}."
            )
        return wanted.astype(np.int64)

    def _gather(self, wanted: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
        if self._closed:
            raise InputError("this VideoReader is closed; open the video again.")
        ordered, places = np.unique(wanted, return_inverse=True)
        pixels = np.empty((len(wanted), *size, 3), np.uint8)
        self._source.fill(pixels, ordered.tolist(), _positions_of(places, len(ordered)))
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _positions_of(values: np.ndarray, count: int) -> list[list[int]]:
    """Where each of the numbers 0 to ``count - 1`` stands in ``values``."""
    found = [[] for _ in range(count)]
    for position, value in enumerate(values.tolist()):
        found[value].append(position)
    return found


def _target_size(size: Any, full: tuple[int, int]) -> tuple[int, int]:
    height, width = full
    if size is None:
        return full
    if _is_positive_int(size):
        short, long = min(full), max(full)
        scaled = max(1, int(size * long / short))
        return (int(size), scaled) if height <= width else (scaled, int(size))
    if isinstance(size, Sequence) and len(size) == 2 and all(map(_is_positive_int, size)):
        return int(size[0]), int(size[1])
    raise InputError(f"size must be None, a positive int or (height, width), got {size!r}.")


def _is_positive_int(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value > 0


# ---------------------------------------------------------------------------------------------------------- sources


def _open_source(src: Any, fps: float, threads: int) -> "_Images | _File":
    if isinstance(src, np.ndarray | torch.Tensor):
        return _array_source(src, fps)
    if isinstance(src, list):
        return _image_source(src, fps, "the given list of images")
    if isinstance(src, bytes | bytearray | memoryview):
        return _File(io.BytesIO(src), "the given data", threads)
    if hasattr(src, "read"):
        return _File(seekable(src), "the given file object", threads)
    if not isinstance(src, str | os.PathLike):
        raise InputError(f"a video must be a path, URL, bytes, binary file, array or tensor, got {type(src).__name__}.")
    path = os.fspath(src)
    if not isinstance(path, str):
        path = os.fsdecode(path)
    if path.startswith("file://"):
        path = urllib.request.url2pathname(path[len("file://") :])
    if "://" in path:
        return _url_source(path, threads)
    if os.path.isdir(path):
        return _folder_source(path, fps)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no video at {path!r}; check the path.")
    return _path_source(path, threads)


def _path_source(path: str, threads: int) -> "_File":
    if not os.path.isfile(path):  # a named pipe, say
        with open(path, "rb") as pipe:
            return _File(io.BytesIO(pipe.read()), repr(path), threads)
    return _File(file_address(path), repr(path), threads)


def _url_source(url: str, threads: int) -> "_File":
    is_download = url.startswith(("http://", "https://"))
    if not is_download or url.partition("?")[0].endswith(_PLAYLIST_SUFFIXES):
        return _File(url, repr(url), threads)
    file = tempfile.TemporaryFile()  # noqa: SIM115, closed with the reader
    try:
        _download(url, file)
        return _File(file, repr(url), threads, owned=True)
    except BaseException:
        file.close()
        raise


def _download(url: str, file: BinaryIO) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_TIMEOUT) as answer:
            shutil.copyfileobj(answer, file)
            promised = int(answer.headers.get("Content-Length") or 0)
    except (OSError, http.client.HTTPException) as error:
        raise VideoError(f"cannot download {url!r} ({error}); check the address and the connection.") from error
    if file.tell() < promised:
        raise VideoError(f"the download of {url!r} broke off after {file.tell()} of {promised} bytes; try again.")


def _folder_source(folder: str, fps: float) -> "_Images":
    names = [n for n in os.listdir(folder) if n.lower().endswith(IMAGE_SUFFIXES) and not n.startswith(".")]
    if not names:
        raise VideoError(f"folder {folder!r} holds no frame images; give a video file or a folder of jpg or png files.")
    paths = [os.path.join(folder, name) for name in sorted(names, key=natural_order)]
    return _image_source(paths, fps, repr(folder))


def _image_source(images: "list[str | os.PathLike | Callable[[], BinaryIO]]", fps: float, name: str) -> "_Images":
    if not images:
        raise VideoError(f"{name} holds no frame images.")
    return _Images(lambda i: _read_image(images[i]), len(images), fps, name)


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """Sorting key under which "frame2" comes before "frame10"."""
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in re.split(r"(\d+)", name) if part]


def _read_image(path: "str | os.PathLike | Callable[[], BinaryIO]") -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(path() if callable(path) else path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
                image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise VideoError(f"cannot read frame image {str(path)!r}; replace or remove it.") from error


def _array_source(frames: np.ndarray | torch.Tensor, fps: float) -> "_Images":
    shape, kind = tuple(frames.shape), "array"
    if isinstance(frames, torch.Tensor):
        kind = "tensor"
        if frames.dtype == torch.uint8 and len(shape) == 4:
            channels_first = shape[1] == 3
            frames = (frames.permute(0, 2, 3, 1) if channels_first else frames).detach().cpu().numpy()
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        layout = "(T, H, W, 3)" if kind == "array" else "(T, 3, H, W) or (T, H, W, 3)"
        raise InputError(f"frames given as {kind} must be uint8 of shape {layout}, got {frames.dtype} of {shape}.")
    return _Images(lambda i: np.ascontiguousarray(frames[i]), len(frames), fps, f"the given {kind}")


class _Images:
    """Frames that need no decoding: ``load(i)`` gives frame ``i``, (H, W, 3) uint8."""

    rotation = 0

    def __init__(self, load: Callable[[int], np.ndarray], num_frames: int, fps: float, name: str):
        self.name = name
        self.num_frames = num_frames
        self.fps = fps
        self.timestamps = np.arange(num_frames) / fps
        self.size = load(0).shape[:2]
        self._load = load
        self._reformatter = VideoReformatter()

    def fill(self, pixels: np.ndarray, positions: list[int], places: list[list[int]]) -> None:
        """Write the frames at rising ``positions`` to their ``places`` in ``pixels``, (T, H, W, 3) uint8."""
        size = pixels.shape[1:3]
        for position, at in zip(positions, places, strict=True):
            image = self._load(position)
            if image.shape[:2] != size:
                image = to_rgb(self._reformatter, av.VideoFrame.from_ndarray(image, format="rgb24"), size)
            pixels[at] = image

    def close(self) -> None:
        self._load = None


# ------------------------------------------------------------------------------------------------------ video files


class _WrongIndex(Exception):
    """What was decoded is not what the index promised."""


class _Entry(NamedTuple):
    """A key packet that decoding can start from: all frames from ``position`` on come out right."""

    position: int
    pts: int
    dts: int


class _Index(NamedTuple):
    """The frames of a file in display order; without ``entries`` they are counted from the start, whatever ``pts``."""

    pts: Sequence[int | None]
    entries: list[_Entry]

    def entry(self, position: int) -> _Entry | None:
        """The last entry at or before ``position``."""
        found = bisect.bisect_right(self.entries, position, key=lambda e: e.position)
        return self.entries[found - 1] if found else None

    def entry_of(self, packet: av.Packet) -> _Entry | None:
        """The entry that ``packet`` is."""
        found = bisect.bisect_left(self.entries, packet.pts, key=lambda e: e.pts) if packet.pts is not None else -1
        is_entry = 0 <= found < len(self.entries) and self.entries[found].pts == packet.pts
        return self.entries[found] if is_entry else None


@functools.lru_cache(maxsize=512)
def _notes(path: str, size: int, changed: int) -> dict[str, Any]:
    """What a reader finds out about a file, for the next: a movie is not to be read whole for every clip of it."""
    return {}


class _File:
    """Frames decoded from a file or stream; remembers where it stands, so that going forward costs no seek."""

    _NOTED = ("_index", "num_frames", "fps", "timestamps", "_turn", "rotation", "size", "_threading", "_quickly")

    def __init__(self, media: str | BinaryIO, name: str, threads: int, owned: bool = False):
        self.name = name
        self._media = media
        self._owned = owned
        self._threads = threads
        self._threading = "AUTO"
        is_path = isinstance(media, str) and media.startswith("file:")
        self._quickly = is_path and media.lower().endswith(_TELLING_SUFFIXES)
        self._container = self._stream = None
        self._wanted, self._last_wanted = set(), -math.inf  # time stamps of the frames that are asked for
        self._enough = math.inf  # no packet from this decoding time on is worth giving to the decoder
        self._asked = isinstance(media, str) and not is_path  # addresses are not opened again lightly
        self._reformatter = VideoReformatter()
        try:
            if _is_empty(media):
                raise VideoError(f"{name} is empty; give a video file.")
            self._notes = _notes_on(media) if is_path else {}
            known = dict(self._notes)  # at once: readers in other threads may be writing them
            vars(self).update(known)
            self._rewind()
            if not known:
                index = _index_of_packets(self._container, self._stream, told_delay=self._quickly)
                if index is None and self._quickly:
                    self._quickly = False
                    self._rewind()
                    index = _index_of_packets(self._container, self._stream)
                if index is None:
                    self.recount(allow_seeking=True)
                else:
                    self._use(index)
                self._look_at_first_frame()
                self._notes.update({name: vars(self)[name] for name in self._NOTED})
        except BaseException:
            self.close()
            raise

    def fill(self, pixels: np.ndarray, positions: list[int], places: list[list[int]]) -> None:
        """Write the frames at rising ``positions`` to their ``places`` in ``pixels``, (T, H, W, 3) uint8.

        Of other frames no more is decoded than these lean on.
        """
        known = bool(self._index.entries and positions)
        self._wanted = {self._index.pts[position] for position in positions} if known else set()
        self._last_wanted = max(self._wanted, default=-math.inf)
        # Threads hold frames back until they get more packets, or hear that there are none. Most readers are asked
        # once; those who ask again pay with a seek, and from then on are taken to go forward.
        self._enough = self._last_wanted if known and not self._asked else math.inf
        self._asked = True
        try:
            for position, at in zip(positions, places, strict=True):
                # no name holds on to a picture, so that the next one takes its memory, which is there to be written
                pixels[at] = self._upright(self._frame(position), pixels.shape[1:3])
        except BaseException:
            self._forget_position()  # what comes next may have been passed over
            raise
        if self._enough < math.inf:  # this decoder was told that nothing more comes: let go of its threads and memory
            self._shut()

    def _upright(self, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        return self._turn.upright(to_rgb(self._reformatter, frame, self._turn.stored_size(size)))

    def recount(self, allow_seeking: bool = False) -> None:
        """Index the file by decoding it whole; with damage in it, or unless allowed, never seek again."""
        self._threading, self._quickly = "AUTO", False
        index, damaged = self._decode_all()
        if damaged:
            # Frame threads may lose good frames along with bad ones.
            self._threading = "SLICE"
            index, _ = self._decode_all()
        if not index.pts:
            raise VideoError(f"no frame of {self.name} can be decoded; the file is damaged or not a video.")
        self._use(index if allow_seeking and not damaged else index._replace(entries=[]))
        self._notes.clear()

    def close(self) -> None:
        self._shut()
        if self._owned:
            self._media.close()

    def _use(self, index: _Index) -> None:
        self._forget_position()
        self._index = index
        self.num_frames = len(index.pts)
        self.fps, self.timestamps = _clock(index.pts, self._stream)

    def _look_at_first_frame(self) -> None:
        try:
            frame = self._frame(0)
        except _WrongIndex:
            self.recount()
            frame = self._frame(0)
        self._turn = Turn.of(frame)
        self.rotation = self._turn.degrees
        self.size = self._turn.stored_size((frame.height, frame.width))

    def _frame(self, position: int) -> av.VideoFrame:
        entry = self._index.entry(position)
        behind = self._current is None or position < self._at
        if behind or (entry and entry.position - self._at > _WORTH_SEEKING):
            self._start(position, entry)
        while self._at < position:
            self._step(position)
        return self._current

    def _step(self, position: int) -> None:
        """Go to the next frame that the decoder gives, which is not beyond ``position``."""
        frame = next(self._frames, None)
        found = self._at + 1
        if self._index.entries:
            while frame is not None and found < position and frame.pts != self._index.pts[found]:
                found += 1
            if frame is None or frame.pts != self._index.pts[found]:
                raise _WrongIndex
        elif frame is None:
            raise VideoError(f"{self.name} ends at frame {found} on second reading; was it changed meanwhile?")
        self._at, self._current = found, frame

    def _passing_over(self, packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
        """The packets; the decoder leaves out frames before the last wanted one that no other frame leans on."""
        codec, now = self._stream.codec_context, None
        for packet in packets:
            if packet.dts is not None and packet.dts > self._enough:
                return
            before_last = packet.pts is not None and packet.pts < self._last_wanted
            skip = "NONREF" if before_last and packet.pts not in self._wanted else "DEFAULT"
            if skip != now:
                codec.skip_frame = now = skip
            yield packet

    def _start(self, position: int, entry: _Entry | None) -> None:
        """Stand before a frame at or before ``position``, as close to it as seeking allows."""
        if self._container is None:
            self._rewind()
        for target in (entry.pts, entry.dts) if entry else ():
            if self._seek(target, position):
                return
        self._rewind()
        self._frames = decode(self._stream, self._passing_over(packets_of(self._container, self._stream)))

    def _seek(self, target: int, position: int) -> bool:
        """Jump to time ``target``; False where that does not lead to an entry at or before ``position``."""
        self._forget_position()
        try:
            self._container.seek(target, stream=self._stream)
        except (av.FFmpegError, OSError):
            return False
        packets = packets_of(self._container, self._stream)
        first = next((p for p in packets if p.is_keyframe), None)
        landed = first and self._index.entry_of(first)
        if landed is None or landed.position > position:
            return False
        frames = decode(self._stream, self._passing_over(itertools.chain([first], packets)))
        # Frames shown before the key frame but stored after it lean on frames that were not decoded.
        self._frames = itertools.dropwhile(lambda frame: frame.pts is not None and frame.pts < landed.pts, frames)
        self._at = landed.position - 1
        return True

    def _forget_position(self) -> None:
        self._frames = self._current = None
        self._at = -1  # number of the current frame

    def _rewind(self) -> None:
        """Open the file anew, which is a way back to its start that works in every container."""
        self._shut()
        self._container = open_container(self._media, self.name, quickly=self._quickly)
        self._stream = video_stream(self._container, self.name)
        self._stream.codec_context.thread_type = self._threading
        self._stream.codec_context.thread_count = self._threads or _threads_for(self._stream.codec_context)

    def _shut(self) -> None:
        self._forget_position()
        silence()
        if self._stream is not None and hasattr(self._stream.codec_context, "close"):
            # PyAV 13 would keep the decoder until the collector comes round.
            self._stream.codec_context.close(strict=False)
        if self._container is not None:
            self._container.close()
        self._container = self._stream = None

    def _decode_all(self) -> tuple[_Index, bool]:
        """Index by full decode, and whether anything in the file failed to decode."""
        self._rewind()
        keys, errors = [], []
        packets = _noting_keys(packets_of(self._container, self._stream), keys)
        pts = [frame.pts for frame in decode(self._stream, packets, errors)]
        return _Index(pts, _entries(pts, keys)), bool(errors)


def _threads_for(codec: Any) -> int:
    """How many decode fastest. They wait for each other, so that more than there are cores keep all of these busy."""
    heavy = codec.name in _HEAVY_CODECS or codec.width * codec.height >= _LARGE_PICTURE
    return min(2 * (os.cpu_count() or 1), _MOST_THREADS) if heavy else 1


def _notes_on(media: str) -> dict[str, Any]:
    """What is known of the file as it is now, to be added to."""
    path = media.removeprefix("file:")
    found = os.stat(path)
    return _notes(path, found.st_size, found.st_mtime_ns)


def _is_empty(media: str | BinaryIO) -> bool:
    if isinstance(media, str):
        return media.startswith("file:") and os.path.getsize(media.removeprefix("file:")) == 0
    media.seek(0, os.SEEK_END)
    return media.tell() == 0


def _noting_keys(packets: Iterator[av.Packet], keys: list[tuple[int, int]]) -> Iterator[av.Packet]:
    for packet in packets:
        if packet.is_keyframe and packet.pts is not None:
            keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
        yield packet


def _entries(pts: Sequence[int | None], keys: list[tuple[int, int]]) -> list[_Entry]:
    """The places where decoding may start; none where time stamps do not single out each frame in order."""
    if None in pts or any(b <= a for a, b in itertools.pairwise(pts)):
        return []
    positions = {value: position for position, value in enumerate(pts)}
    return sorted(_Entry(positions[key_pts], key_pts, dts) for key_pts, dts in keys if key_pts in positions)


def _index_of_packets(
    container: av.container.InputContainer, stream: Any, *, told_delay: bool = False
) -> _Index | None:
    """The index as the packets tell it, or None where a decoder may give other frames than they say.

    With ``told_delay`` also where it is not told by how many frames it has to reorder: until it has found out, it would
    lose some.
    """
    codec = stream.codec_context.name
    if not _has_true_times(container, stream, codec):
        return None
    keys, pts = [], []
    packets = _noting_keys(packets_of(container, stream), keys)
    for packet in packets:
        if packet.pts is None or packet.is_discard or packet.is_corrupt:
            return None
        if codec == "mpeg4" and packet.size < _NOT_CODED:
            return None
        pts.append(packet.pts)
    starts_with_key = bool(keys) and keys[0][0] == pts[0] == min(pts)
    if not starts_with_key or len(set(pts)) < len(pts):
        return None
    if told_delay and _delay(pts) > getattr(stream.codec_context, "reorder_depth", 0):  # which old PyAV does not say
        return None
    pts = array.array("q", sorted(pts))  # a fifth of a list's memory
    return _Index(pts, _entries(pts, keys))


def _delay(pts: list[int]) -> int:
    """How many packets of later frames are stored before that of a frame, at most."""
    before, most = [], 0
    for value in pts:
        place = bisect.bisect(before, value)
        most = max(most, len(before) - place)
        before.insert(place, value)
    return most


def _clock(pts: Sequence[int | None], stream: Any) -> tuple[float, np.ndarray]:
    """Frames a second, and the time of each frame in seconds from the first."""
    nominal = float(stream.average_rate or stream.guessed_rate or 0)
    if None in pts or any(b < a for a, b in itertools.pairwise(pts)):
        fps = nominal or _DEFAULT_FPS
        return fps, np.arange(len(pts)) / fps
    times = (np.array(pts, dtype=np.int64) - pts[0]) * float(stream.time_base)
    if times[-1] == 0:
        return nominal or _DEFAULT_FPS, times
    measured = float((len(times) - 1) / times[-1])
    return (nominal if abs(nominal - measured) <= 0.02 * measured else measured), times


def _has_true_times(container: av.container.InputContainer, stream: Any, codec: str) -> bool:
    if container.format.name.startswith(_TIMED_CONTAINERS):
        return codec in _PLAIN_CODECS
    # AVI counts packets as they are stored, which is display order only where nothing is reordered.
    return container.format.name == "avi" and codec in _INTRA_CODECS and not stream.codec_context.has_b_frames
