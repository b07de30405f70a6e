"""Optical flow as frames: stored pictures, and flow computed from videos."""

import numpy as np
import pytest
import torch
from media import render
from PIL import Image
from torchvision.models.optical_flow import raft_small

import vidhub
from vidhub.datasets import flow
from vidhub.datasets.check import check_videos
from vidhub.datasets.dataset import VideoDataset
from vidhub.datasets.flow import FlowReader, flow_estimate
from vidhub.datasets.records import VideoRecord
from vidhub.errors import InputError, VideoError


@pytest.fixture
def stored(tmp_path):
    """(folder of five flow pictures, their values (5, 2, 40, 48))."""
    values = np.random.RandomState(0).randint(0, 256, (5, 2, 40, 48)).astype(np.uint8)
    for i, picture in enumerate(values):
        for axis, plane in zip("xy", picture, strict=True):
            Image.fromarray(plane).save(tmp_path / f"flow_{axis}_{i + 1:05d}.png")
    return tmp_path, torch.from_numpy(values)


def moved(first, second):
    """An estimate that knows: everything moves by the mean difference of the two pictures."""
    shift = (second.float() - first.float()).mean()
    return torch.stack((torch.full(first.shape[-2:], shift.item()), torch.full(first.shape[-2:], -1.0)))[None]


def test_stored_pictures_come_out_as_they_are(stored):
    folder, values = stored
    with FlowReader(folder) as reader:
        assert reader.num_frames == 5
        assert reader.size == (40, 48)
        assert torch.equal(reader.get_frames([4, 0]), values[[4, 0]])
    with FlowReader(folder, stack=2) as reader:
        assert reader.num_frames == 4
        assert torch.equal(reader.get_frames([1]), values[1:3].flatten(0, 1)[None])


def test_pictures_of_one_direction_are_missing(stored):
    folder, _ = stored
    (folder / "flow_y_00003.png").unlink()
    with pytest.raises(VideoError, match="5 of x and 4 of y"):
        FlowReader(folder)


def test_stored_pictures_are_in_the_order_of_their_numbers(tmp_path):
    for i in range(1, 13):
        for axis in "xy":
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / f"flow_{axis}_{i}.png")
    with FlowReader(tmp_path) as reader:
        assert reader.get_frames(range(12))[:, 0, 0, 0].tolist() == list(range(1, 13))


class AllFlow:
    modality, stack = "flow", 1

    def load(self, reader):
        return reader.get_frames(range(reader.num_frames))


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [
        ({"num_frames": 3, "first_frame": 2, "template": "flow_{}_{:05d}.png"}, 1, 4),
        ({"num_frames": 3, "first_frame": 2, "template": "img_{:05d}.png"}, 1, 4),
        ({"start": 0.1, "end": 0.3, "fps": 10}, 1, 3),
    ],
)
def test_stored_pictures_are_those_of_the_record(stored, part, first, last):
    folder, values = stored
    assert torch.equal(VideoDataset([VideoRecord(str(folder), 0, **part)], AllFlow())[0][0], values[first:last])


def test_stored_pictures_are_checked(stored):
    folder, _ = stored
    records = [VideoRecord(str(folder), num_frames=5, template="flow_{}_{:05d}.png")]
    assert check_videos(records, workers=1, progress=False).bad == []
    (folder / "flow_y_00005.png").unlink()
    ((_, reason),) = check_videos(records, workers=1, progress=False).bad
    assert "flow_y_00005" in reason


def test_pictures_of_flow_are_told_to_networks_that_see(stored):
    record = VideoRecord(str(stored[0]), 0, num_frames=5, template="flow_{}_{:05d}.png")
    with pytest.raises(InputError, match="of x and y, which networks on flow take"):
        VideoDataset([record])[0]


def test_computed_flow_is_stored_in_eight_bits():
    video = torch.zeros(4, 3, 32, 40, dtype=torch.uint8)
    video[1:] = 5
    reader = FlowReader(video, estimate=moved)
    frames = reader.get_frames([0, 1, 2])
    assert frames.shape == (3, 2, 32, 40)
    assert frames[:, 0, 0, 0].tolist() == [round(25 * 6.375), 128, 128]  # 127.5 is even-rounded
    assert frames[:, 1].unique().tolist() == [round(19 * 6.375)]
    with pytest.raises(InputError, match="size"):
        reader.get_frames([0], 16)
    with pytest.raises(VideoError, match="too few pictures"):
        FlowReader(video[:1], estimate=moved)


def test_raft_takes_pictures_of_any_size():
    torch.manual_seed(0)
    estimate = flow_estimate(raft_small().eval())
    a, b = torch.randint(0, 256, (2, 1, 3, 60, 90), dtype=torch.uint8)
    assert estimate(a, b).shape == (1, 2, 60, 90)


def test_predict_computes_the_flow_that_a_network_takes(monkeypatch):
    monkeypatch.setattr(flow, "raft", lambda: moved)
    torch.manual_seed(0)
    model = vidhub.create_model("tsn", backbone="resnet18", in_chans=4, num_classes=2)
    assert model.data_config.mean == (128 / 255,) * 4
    video = torch.randint(0, 256, (20, 3, 64, 64), dtype=torch.uint8)
    out = vidhub.predict(model, video, device="cpu")
    with torch.inference_mode():
        reader = FlowReader(video, stack=2, estimate=moved)
        expected = model(vidhub.create_transform(model.data_config).load(reader)).softmax(-1)[0]
    assert out.scores == pytest.approx(expected.sort(descending=True).values.tolist(), rel=1e-5)
    with vidhub.VideoReader(video) as pictures:
        assert vidhub.predict(model, pictures, device="cpu").scores == out.scores
        assert pictures.get_frames([0]).shape == (1, 3, 64, 64)  # it stays open
        sound = vidhub.create_model("tsn_r18_audio", num_classes=2)
        with pytest.raises(InputError, match="another reader than VideoReader"):
            vidhub.predict(sound, pictures, device="cpu")


def test_a_data_set_gives_flow_to_a_network_of_flow(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "raft", lambda: moved)
    model = vidhub.create_model("tsn", backbone="resnet18", in_chans=4, num_classes=2)
    transform = vidhub.create_transform(model.data_config)
    folder, _ = stored
    video = render(tmp_path / "clip.mp4", frames=30)
    records = [VideoRecord(str(folder), 0), VideoRecord(str(video), 1, start=0.4, end=0.8)]
    data = VideoDataset(records, transform, num_classes=2)
    with FlowReader(folder, stack=2) as reader:
        assert torch.equal(data[0][0], transform.load(reader))
    with data.open(1) as reader:
        assert reader.num_frames == 10 - 1 - 1
    assert data[1][0].shape == (1, 4, 8, 224, 224)
    data.records = data.records[1:]
    data.cache(32)
    assert data[0][0].shape == (1, 4, 8, 224, 224)
