"""Prediction while a video goes on: frames as they come, and scores of the last few of them."""

import io
import json
import sys

import pytest
import torch
from media import plain_decode, read_number, render, turn

import vidhub
from vidhub.cli import main
from vidhub.datasets import live
from vidhub.datasets.decoding import packets_of
from vidhub.datasets.live import live_frames
from vidhub.errors import InputError, VideoError
from vidhub.models.tsm import StreamingTSM


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return render(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=30)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = vidhub.create_model("tsm", backbone="resnet10t", num_classes=3, num_frames=4)
    model.data_config = model.data_config.resized(32)
    return model


def test_every_frame_comes_once_and_in_time(clip):
    seconds, frames = zip(*live_frames(clip), strict=True)
    assert list(seconds) == pytest.approx([i / 25 for i in range(30)])
    assert [read_number(frame) for frame in frames] == list(range(30))
    for frame, expected in zip(frames, plain_decode(clip), strict=True):
        assert torch.equal(frame.permute(1, 2, 0), torch.from_numpy(expected))


@pytest.mark.parametrize(
    ("fps", "numbers"), [(5, [0, 5, 10, 15, 20, 25]), (10, [0, 2, 5, 7, 10, 12]), (100, [0, 1, 2])]
)
def test_fewer_frames_a_second_are_evenly_spread(clip, fps, numbers):
    found = [read_number(frame) for _, frame in live_frames(clip, fps)][: len(numbers)]
    assert all(abs(a - b) <= 1 for a, b in zip(found, numbers, strict=True))
    assert len(list(live_frames(clip, fps))) == pytest.approx(min(30, 30 / 25 * fps), abs=1)


def test_time_goes_on_where_the_stamps_jump_back(tmp_path):
    part = render(tmp_path / "part.ts", frames=10).read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 2)
    seconds, frames = zip(*live_frames(tmp_path / "joined.ts"), strict=True)
    assert [read_number(frame) for frame in frames] == [*range(10)] * 2
    assert list(seconds) == pytest.approx([i / 25 for i in range(20)])


def test_frames_after_a_gap_keep_their_distance(tmp_path):
    times = [*range(0, 1000, 40), *range(5000, 6000, 40)]
    path = render(tmp_path / "gap.mkv", frames=50, pts=times)
    seconds = [seconds for seconds, _ in live_frames(path, 2)]
    assert seconds == pytest.approx([0, 0.5, 5, 5.5], abs=0.03)


class Pipe(io.RawIOBase):
    """A binary stream that cannot seek."""

    def __init__(self, data: bytes):
        self.inner = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.inner.readinto(buffer)


def test_a_pipe_and_a_turned_video(tmp_path):
    path = render(tmp_path / "clip.mkv", frames=8)
    assert [read_number(frame) for _, frame in live_frames(Pipe(path.read_bytes()))] == list(range(8))
    turned = turn(render(tmp_path / "clip.mp4", frames=4), 90)
    assert next(iter(live_frames(turned)))[1].shape == (3, 64, 48)


class Minimal:
    """As much of a binary file as ``read``."""

    def __init__(self, data: bytes):
        self.read = io.BytesIO(data).read


def test_a_file_object_needs_no_more_than_read(tmp_path):
    path = render(tmp_path / "clip.mkv", frames=8)
    assert [read_number(frame) for _, frame in live_frames(Minimal(path.read_bytes()))] == list(range(8))


def test_no_frame_of_a_pipe_is_held_back(tmp_path, monkeypatch):
    path, read = render(tmp_path / "clip.mkv", frames=30, options={"tune": "zerolatency"}), []

    def noted(*given):
        for packet in packets_of(*given):
            read.append(packet)
            yield packet

    monkeypatch.setattr(live, "packets_of", noted)
    next(live_frames(Pipe(path.read_bytes())))
    assert len(read) == 1


def test_a_capture_device_is_asked_of_the_system(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises((FileNotFoundError, VideoError), match="camera 63"):
        next(live_frames(63))
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(InputError, match="video=NAME"):
        next(live_frames("0"))


BAD_SOURCES = {
    "kind": (3.5, InputError, "not float"),
    "missing": ("nowhere.mp4", FileNotFoundError, "nowhere.mp4"),
    "text": (io.StringIO("text"), InputError, "must be binary"),
    "no video": (io.BytesIO(b"text" * 100), VideoError, "not a video"),
}


@pytest.mark.parametrize("case", BAD_SOURCES)
def test_bad_sources(case):
    source, error, message = BAD_SOURCES[case]
    with pytest.raises(error, match=message):
        next(live_frames(source))
    with pytest.raises(InputError, match="positive"):
        next(live_frames("clip.mp4", fps=0))


def test_scores_are_the_mean_of_the_last_frames(model, clip):
    stream, transform = StreamingTSM(model), vidhub.create_transform(model.data_config)
    with torch.inference_mode():
        logits = [stream(transform(frame[None]).squeeze(2))[0] for _, frame in live_frames(clip, 5)]
    found = list(vidhub.predict_stream(model, clip, fps=5, window=3, topk=3, device="cpu"))
    assert [seconds for seconds, _ in found] == pytest.approx([i / 5 for i in range(6)])
    for i, (_, prediction) in enumerate(found):
        expected = torch.stack(logits[max(0, i - 2) : i + 1]).mean(0).softmax(0)
        assert prediction.scores == pytest.approx(expected.sort(descending=True).values.tolist(), abs=1e-5)


def test_the_command_prints_a_line_a_frame(model, clip, tmp_path, capsys):
    vidhub.save_checkpoint(model, tmp_path / "saved")
    command = ["predict", str(clip), "--stream", "--fps", "5", "--model", f"local-dir:{tmp_path / 'saved'}"]
    assert main([*command, "--topk", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[1].startswith("    0.2 s  0.")
    assert main([*command, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seconds"] for row in rows] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert main(["predict", str(clip), "--stream"]) == 2
    assert main(["predict", str(clip), "--stream", "--model", "x3d_xs.ptv"]) == 2


def test_other_networks_are_refused(clip):
    with pytest.raises(InputError, match="only TSM"):
        next(vidhub.predict_stream(vidhub.create_model("x3d_xs"), clip))
