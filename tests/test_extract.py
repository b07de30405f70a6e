"""From videos to features to segments, with the commands that do it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import vidhub
from vidhub.cli import main
from vidhub.datasets.features import read_features
from vidhub.engine.extract import clip_frames, extract, extract_video
from vidhub.engine.localization import SegmentPrediction
from vidhub.engine.timeline import draw_timeline
from vidhub.errors import InputError
from vidhub.weights.tables import EMBEDDED
from vidhub.weights.types import DataConfig


class Pictures:
    """24 frames of growing brightness, as a reader."""

    num_frames, fps = 24, 8.0

    def get_frames(self, indices):
        return torch.stack([torch.full((3, 182, 182), 10 * i, dtype=torch.uint8) for i in indices])

    def close(self):
        pass


def test_steps_lie_evenly_over_the_video():
    frames = clip_frames(100, 16, DataConfig(num_frames=4, stride=2), 30.0)
    assert frames.shape == (6, 4)
    assert (np.diff(frames[1:-1].mean(1)) > 15).all()
    assert frames.min() >= 0
    assert frames.max() < 100
    assert clip_frames(3, 16, DataConfig(num_frames=4, stride=2), 30.0).max() == 2


@pytest.fixture(scope="module")
def network():
    return vidhub.create_model(EMBEDDED, pretrained=True)


def test_features_are_what_the_classifier_sees(network):
    features = extract_video(network, Pictures(), every=8)
    assert features.values.shape == (3, network.get_classifier().in_features)
    assert features.duration == 3.0
    with pytest.raises(InputError, match="recognition networks on RGB"):
        extract_video(vidhub.create_model("bmn", num_steps=10, num_samples=2), Pictures())


def test_from_videos_to_segments(tmp_path, capsys, monkeypatch):
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    sample = vidhub.cli.importlib.resources.files("vidhub") / "assets" / "sample.mp4"
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(sample.read_bytes())
    assert main(["extract", EMBEDDED, "videos", "--out", "features", "--every", "4"]) == 0
    values = read_features("features/a.npy")
    before = (tmp_path / "features" / "a.npy").stat().st_mtime_ns
    assert extract(EMBEDDED, "videos", "features", every=4) == []
    assert (tmp_path / "features" / "a.npy").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="choose another folder"):
        extract(EMBEDDED, "videos", "features", every=8)
    annotation = {"a": {"duration_second": 2.0, "annotations": [{"segment": [0.5, 1.5], "label": "turn"}]}}
    (tmp_path / "annotations.json").write_text(json.dumps(annotation))
    settings = ["model=actionformer", "model_args={dim: 8}", "dataset=segments", "root=.", "out=run", "epochs=1"]
    settings += ["batch_size=1", "workers=0", "tensorboard=false", "device=cpu"]
    assert main(["train", "--set", *settings]) == 0
    model = vidhub.create_model("local-dir:run")
    assert model.data_config.feature_model == EMBEDDED
    assert model.data_config.feature_dim == values.shape[1]
    capsys.readouterr()
    command = ["predict", "--task", "localization", "videos/a.mp4", "--model", "local-dir:run", "--topk", "2"]
    assert main([*command, "--timeline", "a.png"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["start", "end", "score", "label"]
    assert Image.open("a.png").size[0] > 1000
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["labels"] == ["turn", "turn"]
    assert main(["eval", "local-dir:run", "segments", ".", "--json"]) == 0
    assert "mAP" in json.loads(capsys.readouterr().out)


def test_a_timeline_has_a_row_for_each_class():
    segments = SegmentPrediction("a.mp4", 10.0, [(1, 4), (5, 9), (2, 3)], [0.9, 0.5, 0.1], ["cut", "peel", "cut"])
    two = draw_timeline(segments)
    one = draw_timeline(SegmentPrediction("a.mp4", 10.0, [(1, 4)], [0.9], ["cut"]))
    assert two.size[1] > one.size[1]
