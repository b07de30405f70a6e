"""Small videos rendered for the tests: every frame shows its own number as a pattern of light and dark blocks."""

import io
import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidhub.datasets.decoding import ANY_METADATA

ROWS, COLUMNS = 3, 4  # blocks of the pattern, the lowest bit first
DARK, LIGHT = 32, 224
HEIGHT, WIDTH = 48, 64


def draw(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """The picture of ``number`` (0 to 4095): RGB, (height, width, 3) uint8."""
    bits = number >> np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) & 1
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    luma = np.where(bits, LIGHT, DARK).astype(np.uint8)[rows][:, columns]
    return np.repeat(luma[..., None], 3, axis=2)


def read_number(picture) -> int:
    """The number that a picture shows: (H, W, 3) array or (3, H, W) tensor."""
    picture = np.asarray(picture)
    luma = (picture.mean(0) if picture.shape[0] == 3 else picture.mean(2)).astype(float)
    blocks = [np.array_split(band, COLUMNS, axis=1) for band in np.array_split(luma, ROWS, axis=0)]
    bits = [block.mean() > (DARK + LIGHT) / 2 for block in itertools.chain.from_iterable(blocks)]
    return sum(int(bit) << place for place, bit in enumerate(bits))


def render(
    target: str | Path | io.BytesIO,
    *,
    codec: str = "libx264",
    format: str | None = None,
    frames: int = 40,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    fps: int = 25,
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    sound: float = 0.0,
    rewrite: Callable[[Iterable[av.Packet]], Iterable[av.Packet]] = iter,
) -> str | Path | io.BytesIO:
    """Write a video of ``frames`` numbered frames to ``target`` and return ``target``.

    ``pts`` are times in milliseconds, for uneven rates. ``sound`` is how many seconds of silence, starting with the
    video, are stored in front of it. ``rewrite`` gets the encoded packets and gives those to store.
    """
    where = target if isinstance(target, io.BytesIO) else str(target)
    with av.open(where, "w", format=format, options=mux or {}) as container:
        video = container.add_stream(codec, rate=fps, options=options or {})
        video.height, video.width = size
        video.pix_fmt = pix_fmt
        video.codec_context.gop_size = gop
        video.codec_context.thread_count = 1
        if pts is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        packets = rewrite(_encode(video, frames, size, pix_fmt, pts))
        for packet in itertools.chain(_silence(container, sound) if sound else (), packets):
            container.mux(packet)
    return target


def _encode(video, frames: int, size: tuple[int, int], pix_fmt: str, pts: Sequence[int] | None):
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(draw(number, *size), format="rgb24").reformat(format=pix_fmt)
        frame.pts = number if pts is None else pts[number]
        frame.time_base = Fraction(1, 1000) if pts is not None else Fraction(video.codec_context.time_base or "1/25")
        yield from video.encode(frame)
    yield from video.encode(None)


def _silence(container, seconds: float):
    audio = container.add_stream("aac", rate=16000, layout="mono")
    for start in range(0, int(seconds * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def plain_decode(source: str | Path | io.BytesIO) -> list[np.ndarray]:
    """Every frame that decoding straight through gives, as stored (not turned): RGB, (H, W, 3) uint8."""
    if isinstance(source, io.BytesIO):
        source.seek(0)
    where = source if isinstance(source, io.BytesIO) else str(source)
    with av.open(where, **ANY_METADATA) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# ------------------------------------------------------------------------------------- files patched byte by byte

# a, b, u, c, d, v, x, y, w of the display matrix: 16.16 fixed point, 2.30 in the last column
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
MIRRORED = (-1, 0, 0, 1)


def turn(path: Path, turn: int | tuple[int, int, int, int]) -> Path:
    """Have an mp4 shown turned by so many degrees clockwise, or under the matrix (a, b, c, d)."""
    a, b, c, d = (round(value * 65536) for value in (_TURNS[turn] if isinstance(turn, int) else turn))
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def trim(path: Path, *, start: int = 0, duration: int | None = None) -> Path:
    """Cut an mp4 by its edit list alone: ``start`` in units of the track, ``duration`` in those of the movie."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4 + 8
    old_duration, old_start = struct.unpack_from(">Ii", data, at)
    struct.pack_into(">Ii", data, at, old_duration if duration is None else duration, old_start + start)
    path.write_bytes(data)
    return path


def spoil(path: Path, *, first: int, last: int) -> Path:
    """Overwrite packets ``first`` to ``last`` of the video (in stored order) with noise."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in places[first : last + 1]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep only the leading ``share`` of the bytes."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def packed(packets: Iterable[av.Packet]) -> Iterable[av.Packet]:
    """MPEG-4 packets the way DivX stored them in AVI: P and B in one, then one that says that nothing changed."""
    not_coded = bytes((0, 0, 1, 0xB6, 0x50, 0x00, 0x7F))
    packets = [(bytes(packet), packet) for packet in packets]
    for place, (data, packet) in enumerate(packets):
        following = packets[place + 1][0] if place + 1 < len(packets) else b""
        if _is_b(data):
            data = not_coded
        elif _is_b(following):
            data += following
        if place == 0:
            data = b"\x00\x00\x01\xb2DivX503b1393p" + data
        copy = _copy(packet, data)
        copy.pts = packet.dts
        yield copy


def _is_b(data: bytes) -> bool:
    picture = data.find(b"\x00\x00\x01\xb6")
    return picture >= 0 and data[picture + 4] >> 6 == 2


def growing(packets: Iterable[av.Packet]) -> Iterable[av.Packet]:
    """MJPEG packets of which the second half shows pictures of twice the height and width."""
    packets = list(packets)
    size = 2 * HEIGHT, 2 * WIDTH
    large = render(io.BytesIO(), codec="mjpeg", format="avi", frames=len(packets), size=size, pix_fmt="yuvj420p")
    large.seek(0)
    with av.open(large) as container:
        larger = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for place, packet in enumerate(packets):
        yield packet if place < len(packets) // 2 else _copy(packet, larger[place])


def same_times(packets: Iterable[av.Packet]) -> Iterable[av.Packet]:
    """Packets of which every two share a time stamp (for codecs that do not reorder)."""
    for place, packet in enumerate(packets):
        packet.pts = packet.dts = place // 2
        yield packet


def without_first_gop(packets: Iterable[av.Packet]) -> Iterable[av.Packet]:
    """Packets from the second of the GOPs of 12 on."""
    return itertools.islice(packets, 12, None)


def _copy(packet: av.Packet, data: bytes) -> av.Packet:
    copy = av.Packet(data)
    copy.stream, copy.time_base = packet.stream, packet.time_base
    copy.pts, copy.dts, copy.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
    return copy


# ------------------------------------------------------------------------------------------------------ the collection

_UNEVEN = np.cumsum([0, *[20, 40, 120, 7] * 10]).tolist()[:40]
_NOT_ADAPTIVE = "b-adapt=0:scenecut=0"
_X264 = {"bf": "3", "x264-params": _NOT_ADAPTIVE}
_VPX = {"auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8"}
_RAW_STARTS = {"use_editlist": "0", "movflags": "negative_cts_offsets"}


def _x264(extra: str = "", **arguments) -> Callable[[Path], object]:
    options = {"bf": "3", "x264-params": f"{_NOT_ADAPTIVE}:{extra}"}
    return lambda path: render(path, options=options, **arguments)


def _x265(extra: str = "", **arguments) -> Callable[[Path], object]:
    options = {"x265-params": f"log-level=none:bframes=3:keyint=12:scenecut=0:{extra}"}
    return lambda path: render(path, codec="libx265", options=options, **arguments)


def _av1(**arguments) -> Callable[[Path], object]:
    codec = "libsvtav1" if "libsvtav1" in av.codecs_available else "libaom-av1"
    options = {"preset": "12"} if codec == "libsvtav1" else {"cpu-used": "8"}
    return lambda path: render(path, codec=codec, size=(64, 64), options=options, **arguments)


# name: how to make it; the suffix says which container
RECIPES: dict[str, Callable[[Path], object]] = {
    "h264.mp4": _x264(),
    "h264_no_b.mp4": lambda path: render(path, options={"bf": "0"}),
    "h264_pyramid.mkv": _x264("b-pyramid=normal:bframes=7"),
    "h264_open_gop.mp4": _x264("open-gop=1"),
    "h264_open_gop.mkv": _x264("open-gop=1"),
    "h264_open_gop.ts": _x264("open-gop=1"),
    "h264_open_start.mkv": _x264("open-gop=1", rewrite=without_first_gop),
    "h264_open_start.ts": _x264("open-gop=1", rewrite=without_first_gop),
    "h264_intra_refresh.mp4": _x264("intra-refresh=1"),
    "h264_intra_refresh.ts": _x264("intra-refresh=1"),
    "h264_gop_of_2.mp4": _x264(gop=2),
    "h264_all_intra.mkv": _x264(gop=1),
    "h264_interlaced.mp4": _x264("interlaced=1", size=(64, 64)),
    "h264_10bit.mp4": _x264(pix_fmt="yuv420p10le"),
    "h264_444_odd.mp4": _x264(pix_fmt="yuv444p", size=(51, 67)),
    "h264_uneven.mp4": _x264(pts=_UNEVEN),
    "h264_uneven.mkv": _x264(pts=_UNEVEN),
    "h264_late_start.mkv": _x264(pts=[5000 + 40 * i for i in range(40)]),
    "h264_early_start.mp4": _x264(pts=[-200 + 40 * i for i in range(40)], mux=_RAW_STARTS),
    "h264_same_times.mkv": lambda path: render(path, options={"bf": "0"}, rewrite=same_times),
    "h264_no_edit_list.mp4": _x264(mux=_RAW_STARTS),
    "h264_trimmed_start.mp4": lambda path: trim(render(path, options=_X264), start=7 * 512),
    "h264_trimmed_end.mp4": lambda path: trim(render(path, options=_X264), duration=900),
    "h264_fragmented.mp4": _x264(mux={"movflags": "frag_keyframe+empty_moov"}),
    "h264_turned.mp4": lambda path: turn(render(path, options=_X264), 90),
    "h264_one_frame.mp4": _x264(frames=1),
    "h264_two_frames.mkv": _x264(frames=2),
    "h264_sound_first.mp4": _x264(sound=2.0),
    "h264_sound_first.mkv": _x264(sound=2.0),
    "h264_b.flv": _x264(),
    "h264_no_times.avi": _x264(),
    "h264_no_times.h264": _x264(),
    "h265.mp4": _x265(),
    "h265_open_gop.mkv": _x265("open-gop=1"),
    "h265_open_gop.ts": _x265("open-gop=1"),
    "h265_open_start.mkv": _x265("open-gop=1", rewrite=without_first_gop),
    "h265_10bit.mp4": _x265(pix_fmt="yuv420p10le"),
    "vp8_hidden.webm": lambda path: render(path, codec="libvpx", options=_VPX),
    "vp9_hidden.webm": lambda path: render(path, codec="libvpx-vp9", options=_VPX),
    "vp9_hidden.mp4": lambda path: render(path, codec="libvpx-vp9", options=_VPX),
    "av1.mp4": _av1(),
    "av1_10bit.webm": _av1(pix_fmt="yuv420p10le"),
    "mpeg4_b.mp4": lambda path: render(path, codec="mpeg4", options={"bf": "2"}),
    "mpeg4.avi": lambda path: render(path, codec="mpeg4"),
    "mpeg4_b.avi": lambda path: render(path, codec="mpeg4", options={"bf": "2"}),
    "mpeg4_packed.avi": lambda path: render(path, codec="mpeg4", options={"bf": "1"}, rewrite=packed),
    "mpeg2_b.mpg": lambda path: render(path, codec="mpeg2video", options={"bf": "2"}),
    "mjpeg_odd.avi": lambda path: render(path, codec="mjpeg", size=(51, 67), pix_fmt="yuvj444p"),
    "ffv1_odd.mkv": lambda path: render(path, codec="ffv1", size=(51, 67)),
    "gif.gif": lambda path: render(path, codec="gif", pix_fmt="rgb8"),
}
