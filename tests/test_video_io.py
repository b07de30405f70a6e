import gc
import io
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import media
import numpy as np
import pytest
import torch
from av.codec.codec import UnknownCodecError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from servers import FileServer

from vidhub import VideoReader
from vidhub.datasets import video_io
from vidhub.errors import InputError, VideoError


@pytest.fixture(scope="session")
def collection(tmp_path_factory):
    """name -> path of that file of the collection, rendered when first asked for."""
    folder = tmp_path_factory.mktemp("media")

    def get(name: str) -> Path:
        path = folder / name
        if not path.exists():
            try:
                media.RECIPES[name](path)
            except UnknownCodecError as error:
                pytest.skip(f"this build of PyAV has no encoder {error}")
        return path

    return get


@pytest.fixture
def clip(tmp_path):
    """A fresh H.264 file of 40 frames with B-frames, to be read or spoilt."""
    return media.RECIPES["h264.mp4"](tmp_path / "clip.mp4")


def upright(name: str, pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [np.rot90(p, k=-1) for p in pictures] if "turned" in name else pictures


def same(frames: torch.Tensor, pictures: list[np.ndarray], indices) -> bool:
    expected = np.stack([pictures[i] for i in indices])
    return np.array_equal(frames.permute(0, 2, 3, 1).numpy(), expected)


def numbers(frames) -> list[int]:
    return [media.read_number(frame) for frame in frames]


# ------------------------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize("name", media.RECIPES)
def test_every_frame_is_the_same_however_it_is_reached(collection, name):
    stored = media.plain_decode(collection(name))
    expected = upright(name, stored)
    count = len(expected)
    if "open_start" not in name:  # what comes of pictures without their references is the decoder's choice
        first = 7 if "trimmed_start" in name else 0
        assert numbers(stored) == list(range(first, first + count))

    with VideoReader(collection(name)) as reader:
        assert len(reader) == reader.num_frames == count
        assert reader.size == expected[0].shape[:2]
        assert len(reader.timestamps) == count
        backwards = list(range(count))[::-1]
        assert same(reader.get_frames(backwards), expected, backwards)
        chance = random.Random(name)
        for _ in range(12):
            chosen = chance.choices(range(count), k=3)
            assert same(reader.get_frames(chosen), expected, chosen)
        for position in backwards[:: max(1, count // 8)]:
            assert same(reader.get_frames([position]), expected, [position])
        straight = torch.stack(list(reader))
        assert same(straight, expected, range(count))


@pytest.mark.parametrize("name", ["h264.mp4", "h264_open_gop.mkv", "h265.mp4", "vp9_hidden.webm", "mjpeg_odd.avi"])
def test_the_packets_tell_what_a_full_decode_tells(collection, name, monkeypatch):
    video_io._notes.cache_clear()
    quick = VideoReader(collection(name))._source._index
    assert quick.entries
    monkeypatch.setattr(video_io, "_index_of_packets", lambda *args, **kwargs: None)
    video_io._notes.cache_clear()
    counted = VideoReader(collection(name))._source._index
    assert list(counted.pts) == list(quick.pts)
    assert counted.entries == quick.entries


SHARED = ["h264_uneven.mp4", "h264_open_gop.mkv", "h264_trimmed_start.mp4", "h265_open_gop.mkv", "mpeg4_packed.avi"]


@pytest.mark.parametrize("name", SHARED)
def test_any_order_of_any_frames(collection, name):
    expected = media.plain_decode(collection(name))
    with VideoReader(collection(name)) as reader:

        @settings(max_examples=30, database=None)
        @given(st.lists(st.integers(0, len(expected) - 1), min_size=1, max_size=6))
        def check(indices):
            assert same(reader.get_frames(indices), expected, indices)

        check()


def test_one_thread_or_many(collection):
    path = collection("h264_open_gop.mp4")
    wanted = [39, 3, 20]
    assert torch.equal(VideoReader(path, threads=1).get_frames(wanted), VideoReader(path, threads=4).get_frames(wanted))


def test_far_frames_are_reached_by_seeking(collection, monkeypatch):
    reader = VideoReader(collection("h264.mp4"))
    steps = []
    step = video_io._File._step
    monkeypatch.setattr(video_io._File, "_step", lambda self, to: steps.append(1) or step(self, to))
    assert numbers(reader.get_frames([38])) == [38]
    assert len(steps) <= 12


def test_frames_that_nothing_leans_on_are_left_out(collection, monkeypatch):
    reader = VideoReader(collection("h264_pyramid.mkv"))
    steps = []
    step = video_io._File._step
    monkeypatch.setattr(video_io._File, "_step", lambda self, to: steps.append(1) or step(self, to))
    assert numbers(reader.get_frames(range(1, 40, 13))) == [1, 14, 27]
    assert len(steps) < 25
    # what was left out is there when it is asked for, before and after the frames of the last call
    assert numbers(reader.get_frames([26, 28, 29, 2])) == [26, 28, 29, 2]


def test_nothing_beyond_the_last_frame_is_decoded_for_readers_that_ask_once(tmp_path, monkeypatch):
    path = media.render(tmp_path / "clip.mp4", codec="libx264", options={"g": "40", "bf": "0"})
    reader = VideoReader(path, threads=8)
    sent = []
    decode = video_io.decode
    counted = lambda packets: (sent.append(packet) or packet for packet in packets)  # noqa: E731
    monkeypatch.setattr(video_io, "decode", lambda stream, packets: decode(stream, counted(packets)))
    reader._source._forget_position()
    assert numbers(reader.get_frames([10])) == [10]
    assert len(sent) == 11
    assert numbers(reader.get_frames([11, 12, 30])) == [11, 12, 30]


@pytest.mark.parametrize("name", ["h264.mp4", "mpeg4_packed.avi"])
def test_a_file_is_indexed_once(collection, monkeypatch, name):
    expected = media.plain_decode(collection(name))
    with VideoReader(collection(name)) as first:
        times = first.timestamps
        first.timestamps[:] = 0  # a copy
    for work in ("_index_of_packets", "Turn"):
        monkeypatch.setattr(video_io, work, None)
    with VideoReader(collection(name)) as second:
        assert same(second.get_frames([30, 3]), expected, [30, 3])
        assert np.array_equal(second.timestamps, times)
        assert second.size == expected[0].shape[:2]


def test_readers_in_several_threads_share_what_is_known(collection):
    expected = media.plain_decode(collection("h264.mp4"))
    video_io._notes.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: VideoReader(collection("h264.mp4")).get_frames([i]), range(40)))
    assert same(torch.cat(found), expected, range(40))


def test_a_file_that_was_replaced_is_indexed_anew(clip):
    assert VideoReader(clip).num_frames == 40
    media.render(clip, codec="mpeg4", frames=12)
    assert VideoReader(clip).num_frames == 12


def test_a_seek_that_lands_wrong_ends_in_a_straight_decode(collection):
    reader = VideoReader(collection("h264.mp4"))
    index = reader._source._index
    moved = [entry._replace(position=entry.position + 1) for entry in index.entries[1:]]
    reader._source._index = index._replace(entries=[index.entries[0], *moved])
    assert numbers(reader.get_frames([38, 13, 25])) == [38, 13, 25]
    assert reader._source._index.entries == []


def test_a_container_that_cannot_seek_is_decoded_straight(collection, monkeypatch):
    reader = VideoReader(collection("h264.mp4"))
    monkeypatch.setattr(video_io._File, "_seek", lambda self, target, position: False)
    assert numbers(reader.get_frames([38, 2])) == [38, 2]


def test_frames_that_change_size_take_the_size_of_the_first(tmp_path):
    path = media.render(tmp_path / "growing.avi", codec="mjpeg", pix_fmt="yuvj420p", rewrite=media.growing)
    assert {p.shape for p in media.plain_decode(path)} == {(48, 64, 3), (96, 128, 3)}
    reader = VideoReader(path)
    assert reader.size == (48, 64)
    assert numbers(reader.get_frames(range(40))) == list(range(40))


# ------------------------------------------------------------------------------------------- what is known of a file


def test_times_of_an_even_clip(clip):
    reader = VideoReader(clip)
    assert reader.fps == 25
    assert reader.duration == pytest.approx(40 / 25)
    assert reader.timestamps.dtype == np.float64
    np.testing.assert_allclose(reader.timestamps, np.arange(40) / 25)


@pytest.mark.parametrize("name", ["h264_late_start.mkv", "h264_early_start.mp4", "h264_no_times.avi", "h264_b.flv"])
def test_times_start_at_zero(collection, name):
    np.testing.assert_allclose(VideoReader(collection(name)).timestamps, np.arange(40) / 25, atol=1e-3)


@pytest.mark.parametrize("name", ["h264_uneven.mp4", "h264_uneven.mkv"])
def test_times_of_an_uneven_clip(collection, name):
    reader = VideoReader(collection(name))
    steps = np.diff(reader.timestamps)
    np.testing.assert_allclose(steps[:4], [0.02, 0.04, 0.12, 0.007], atol=1e-4)
    assert reader.fps == pytest.approx(39 / reader.timestamps[-1])


def test_one_frame_lasts_one_interval(collection):
    reader = VideoReader(collection("h264_one_frame.mp4"))
    assert (reader.num_frames, reader.fps, reader.timestamps.tolist()) == (1, 25, [0.0])
    assert reader.duration == pytest.approx(1 / 25)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_frames_come_out_upright(clip, degrees):
    stored = media.plain_decode(clip)
    reader = VideoReader(media.turn(clip, degrees))
    assert reader.rotation == degrees
    assert reader.size == ((48, 64) if degrees in (0, 180) else (64, 48))
    turned = [np.rot90(picture, k=-degrees // 90) for picture in stored]
    assert same(reader.get_frames([0, 7, 39]), turned, [0, 7, 39])
    assert reader.get_frames([3], size=(20, 30)).shape == (1, 3, 20, 30)


def test_mirrored_frames_come_out_upright(clip):
    stored = media.plain_decode(clip)
    reader = VideoReader(media.turn(clip, media.MIRRORED))
    assert reader.rotation == 0
    assert same(reader.get_frames([5]), [picture[:, ::-1] for picture in stored], [5])


# ------------------------------------------------------------------------------------------------ frames, sizes, use


def test_get_frames_gives_rgb_as_decoders_lay_it_out(clip):
    frames = VideoReader(clip).get_frames([5, 5, 0])
    assert frames.shape == (3, 3, 48, 64)
    assert frames.dtype == torch.uint8
    assert frames.permute(0, 2, 3, 1).is_contiguous()
    assert numbers(frames) == [5, 5, 0]


@pytest.mark.parametrize("indices", [np.array([2, 1]), torch.tensor([2, 1]), (2, 1), range(2, 0, -1)])
def test_kinds_of_index_sequences(clip, indices):
    assert numbers(VideoReader(clip).get_frames(indices)) == [2, 1]


def test_no_indices_give_no_frames(clip):
    assert VideoReader(clip).get_frames([]).shape == (0, 3, 48, 64)


@pytest.mark.parametrize("indices", [[40], [-1], [0, 99]])
def test_frames_out_of_range_are_refused(clip, indices):
    with pytest.raises(InputError, match=r"out of range.*40 frames, numbered 0 to 39"):
        VideoReader(clip).get_frames(indices)


@pytest.mark.parametrize("indices", [3, [1.5], [[1, 2]], ["1"], [True]])
def test_malformed_indices_are_refused(clip, indices):
    with pytest.raises(InputError, match="flat sequence of integers"):
        VideoReader(clip).get_frames(indices)


@pytest.mark.parametrize(
    ("size", "shape"), [(24, (24, 32)), (96, (96, 128)), ((10, 50), (10, 50)), ([10, 50], (10, 50)), (17, (17, 22))]
)
def test_resizing_while_decoding(clip, size, shape):
    frames = VideoReader(clip).get_frames([9, 38], size=size)
    assert frames.shape == (2, 3, *shape)
    assert numbers(frames) == [9, 38]


@pytest.mark.parametrize("size", [0, -3, 2.5, True, (10,), (10, 0), "big", (1, 2, 3)])
def test_malformed_sizes_are_refused(clip, size):
    with pytest.raises(InputError, match="size must be"):
        VideoReader(clip).get_frames([0], size=size)


def test_short_side_of_an_upright_picture(clip):
    assert VideoReader(media.turn(clip, 90)).get_frames([0], size=24).shape == (1, 3, 32, 24)


def test_iterating_twice_and_reading_in_between(clip):
    reader = VideoReader(clip)
    seen = []
    for frame in reader:
        seen.append(media.read_number(frame))
        assert numbers(reader.get_frames([30])) == [30]
        if len(seen) == 15:
            break
    assert seen == list(range(15))
    assert numbers(reader) == list(range(40))


def test_a_closed_reader_keeps_its_facts_and_gives_no_frames(clip):
    with VideoReader(clip) as reader:
        pass
    assert (reader.num_frames, reader.size) == (40, (48, 64))
    reader.close()
    with pytest.raises(InputError, match="closed"):
        reader.get_frames([0])


def test_repr_tells_what_it_is(clip):
    assert repr(VideoReader(clip)).endswith("clip.mp4': 40 frames of 64x48 at 25 fps)")


# --------------------------------------------------------------------------------------------------------- sources


class Pipe(io.RawIOBase):
    """A binary stream that cannot seek."""

    def __init__(self, data: bytes):
        self._left = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._left.readinto(buffer)


@pytest.mark.parametrize(
    "kind",
    [
        str,
        Path,
        lambda p: p.as_uri(),
        Path.read_bytes,
        lambda p: bytearray(p.read_bytes()),
        lambda p: Pipe(p.read_bytes()),
    ],
    ids=["str", "path", "file-uri", "bytes", "bytearray", "pipe"],
)
def test_kinds_of_sources(clip, kind):
    with VideoReader(kind(clip)) as reader:
        assert numbers(reader.get_frames([38, 0, 21])) == [38, 0, 21]


def test_seekable_files_are_read_in_place_and_left_open(clip):
    with open(clip, "rb") as file:
        file.seek(100)
        with VideoReader(file) as reader:
            assert numbers(reader.get_frames([38, 0])) == [38, 0]
        assert not file.closed


def test_colons_and_percents_in_names(clip):
    odd = clip.rename(clip.with_name("a:b 50%d.mp4"))
    assert numbers(VideoReader(odd).get_frames([7])) == [7]


def test_named_pipes_are_read_into_memory(clip, tmp_path):
    fifo = tmp_path / "fifo.mp4"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(clip.read_bytes()))
    writer.start()
    assert numbers(VideoReader(fifo).get_frames([7])) == [7]
    writer.join()


def test_downloads(clip):
    with FileServer({"/clip.mp4": clip.read_bytes()}) as server:
        reader = VideoReader(f"{server.address}/clip.mp4")
        assert numbers(reader.get_frames([38, 0])) == [38, 0]
        with pytest.raises(VideoError, match=r"cannot download .*missing.mp4.*404"):
            VideoReader(f"{server.address}/missing.mp4")
        assert len(server.requests) == 2
        server.cut_after = 100
        with pytest.raises(VideoError, match=r"broke off after 100 of|cannot download"):
            VideoReader(f"{server.address}/clip.mp4")


def test_folders_of_images_in_natural_order(tmp_path):
    for number in range(12):
        Image.fromarray(media.draw(number)).save(tmp_path / f"frame{number}.{'jpg' if number % 2 else 'PNG'}")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not a frame")
    reader = VideoReader(tmp_path, fps=10)
    assert (len(reader), reader.fps, reader.duration, reader.size) == (12, 10, pytest.approx(1.2), (48, 64))
    assert numbers(reader.get_frames([11, 2, 10])) == [11, 2, 10]
    assert numbers(reader) == list(range(12))
    assert VideoReader(tmp_path).fps == 30
    (tmp_path / "frame12.png").write_bytes(b"not an image")
    with pytest.raises(VideoError, match=r"cannot read frame image .*frame12.png"):
        VideoReader(tmp_path).get_frames([12])


def pictures(count: int = 4) -> np.ndarray:
    return np.stack([media.draw(number, 20, 30) for number in range(count)])


@pytest.mark.parametrize(
    "frames",
    [pictures(), torch.from_numpy(pictures()), torch.from_numpy(pictures()).permute(0, 3, 1, 2)],
    ids=["array", "tensor-last", "tensor-first"],
)
def test_frames_in_memory(frames):
    reader = VideoReader(frames)
    assert (len(reader), reader.size, reader.rotation, reader.fps) == (4, (20, 30), 0, 30)
    assert same(reader.get_frames([3, 1]), pictures(), [3, 1])
    assert reader.get_frames([2], size=10).shape == (1, 3, 10, 15)
    assert numbers(reader.get_frames([2], size=(40, 60))) == [2]


def test_read_only_arrays_are_read_without_a_warning(recwarn):
    frames = pictures()
    frames.flags.writeable = False
    assert same(VideoReader(frames).get_frames([1]), pictures(), [1])
    assert not recwarn.list


@pytest.mark.parametrize(
    "frames",
    [np.zeros((4, 8, 8, 3)), np.zeros((4, 3, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8), torch.zeros(3)],
)
def test_other_arrays_are_refused(frames):
    with pytest.raises(InputError, match="must be uint8 of shape"):
        VideoReader(frames)


def test_list_of_images(tmp_path):
    for number in (3, 1):
        Image.fromarray(media.draw(number)).save(tmp_path / f"{number}.png")
    with VideoReader([tmp_path / "3.png", lambda: (tmp_path / "1.png").open("rb")]) as reader:
        assert [media.read_number(frame) for frame in reader] == [3, 1]
    with pytest.raises(VideoError, match="no frame images"):
        VideoReader([])
    with pytest.raises(VideoError, match=r"none\.png"):
        VideoReader([tmp_path / "none.png"])


def test_pictures_of_16_bits_keep_their_shades(tmp_path):
    shades = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(shades).save(tmp_path / "depth.png")
    assert VideoReader([tmp_path / "depth.png"]).get_frames([0])[0, :, 0].tolist() == [[0, 100, 255]] * 3


@pytest.mark.parametrize("source", [3, None, ("a.mp4",)])
def test_other_sources_are_refused(source):
    with pytest.raises(InputError, match="a video must be"):
        VideoReader(source)


def test_text_files_and_impossible_rates_are_refused(clip):
    with open(clip, encoding="latin-1") as file, pytest.raises(InputError, match="binary"):
        VideoReader(file)
    with pytest.raises(InputError, match="fps must be positive"):
        VideoReader(pictures(), fps=0)


# ---------------------------------------------------------------------------------------------------------- damage


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no video at"):
        VideoReader(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("source", [b"", io.BytesIO()])
def test_empty_sources(source, tmp_path):
    (tmp_path / "empty.mp4").touch()
    for empty in (source, tmp_path / "empty.mp4"):
        with pytest.raises(VideoError, match="is empty"):
            VideoReader(empty)
    with pytest.raises(VideoError, match="no frame images"):
        VideoReader(tmp_path)


def test_files_that_are_no_video(clip):
    with pytest.raises(VideoError, match="not a video"):
        VideoReader(b"plain text " * 500)
    with pytest.raises(VideoError, match="not a video"):
        VideoReader(clip.read_bytes()[:-1000])  # an mp4 without its table of contents


def test_sound_without_pictures(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(VideoError, match=r"no video stream \(only audio\)"):
        VideoReader(path)


def test_a_spoilt_packet_is_passed_over(clip):
    reader = VideoReader(media.spoil(clip, first=20, last=20))
    assert len(reader) == 40
    assert len(reader.get_frames([30])) == 1
    with pytest.raises(VideoError, match="only 39 of the 40 frames"):
        reader.get_frames(range(40))
    assert len(reader) == len(reader.timestamps) == 39
    once = reader.get_frames(range(39))
    assert torch.equal(once, torch.stack(list(VideoReader(clip))))
    assert torch.equal(once[[38, 5]], reader.get_frames([38, 5]))


def test_nothing_that_decodes(clip):
    with pytest.raises(VideoError, match=r"no frame of .* can be decoded"):
        VideoReader(media.spoil(clip, first=0, last=39))


@pytest.mark.parametrize("name", ["h264.mkv", "h264.ts"])
def test_a_file_cut_short_has_the_frames_that_are_left(tmp_path, name):
    path = media.cut(media.render(tmp_path / name, options={"bf": "0"}), 0.6)
    expected = media.plain_decode(path)
    reader = VideoReader(path)
    assert 0 < len(reader) == len(expected) < 40
    assert same(reader.get_frames(range(len(expected))), expected, range(len(expected)))


def test_damage_is_not_shouted_about(clip, capfd):
    list(VideoReader(media.spoil(clip, first=20, last=25)))
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------------------------- endurance


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("close", [True, False])
def test_memory_and_handles_stay_flat(tmp_path, close):
    path = media.render(tmp_path / "large.mp4", frames=4, size=(720, 1280))  # a picture kept by mistake shows

    def open_and_read():
        reader = VideoReader(path, threads=1)
        reader.get_frames([0, 3], size=32)
        if close:
            reader.close()

    for _ in range(20):
        open_and_read()
    gc.collect()
    memory, handles = resident_mib(), len(os.listdir("/proc/self/fd"))
    for _ in range(300):
        open_and_read()
    assert len(os.listdir("/proc/self/fd")) <= handles
    assert resident_mib() - memory < 24


def test_failed_opens_leave_no_handles(clip):
    path = media.spoil(clip, first=0, last=39)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    for _ in range(5):
        with pytest.raises(VideoError):
            VideoReader(path)
    gc.collect()
    assert not before or len(os.listdir("/proc/self/fd")) <= before


def test_decoder_threads_do_not_wait_for_python(clip):
    av.logging.set_level(av.logging.ERROR)  # as older versions of torchvision do: closing a decoder could then hang
    try:
        with VideoReader(clip) as reader:
            assert av.logging.get_level() is None
            reader.get_frames([3])
            av.logging.set_level(av.logging.ERROR)
        assert av.logging.get_level() is None
    finally:
        av.logging.set_level(None)
