"""From videos to features to segments, with the commands that do it."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from media import render
from PIL import Image

import vidhub
from vidhub.cli import main
from vidhub.datasets.features import read_features
from vidhub.engine import timeline
from vidhub.engine.extract import VideoFeatures, clip_frames, extract, extract_video, read_settings
from vidhub.engine.localization import SegmentPrediction, open_features, predict_segments
from vidhub.engine.timeline import draw_timeline
from vidhub.errors import InputError, VideoError
from vidhub.weights.files import weights_digest
from vidhub.weights.tables import EMBEDDED
from vidhub.weights.types import DataConfig


class Pictures:
    """24 frames of growing brightness, as a reader."""

    num_frames, fps = 24, 8.0

    def get_frames(self, indices):
        return torch.stack([torch.full((3, 182, 182), 10 * i, dtype=torch.uint8) for i in indices])

    def close(self):
        pass


def test_a_network_in_training_gives_its_features_in_evaluation(network):
    expected = extract_video(network, Pictures(), every=8).values
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    np.testing.assert_array_equal(extract_video(network, Pictures(), every=8).values, expected)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()


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
    with pytest.raises(InputError, match="recognition networks on pictures or flow, and BMN is none"):
        extract_video(vidhub.create_model("bmn", num_steps=10, num_samples=2), Pictures())


def test_features_of_networks_of_other_precision(network):
    expected = extract_video(network, Pictures(), every=8).values
    double = vidhub.create_model(EMBEDDED, pretrained=True).double()
    np.testing.assert_allclose(extract_video(double, Pictures(), every=8).values, expected, atol=1e-4)


def test_the_folder_where_one_is_has_its_name(network, tmp_path, monkeypatch):
    (tmp_path / "jump").mkdir()
    for i in range(3):
        Image.new("RGB", (64, 64)).save(tmp_path / "jump" / f"{i}.png")
    monkeypatch.chdir(tmp_path / "jump")
    assert extract(network, ".", tmp_path / "out") == []
    assert (tmp_path / "out" / "jump.npy").exists()


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


@pytest.fixture
def videos(tmp_path):
    (tmp_path / "videos").mkdir()
    for i in range(3):
        render(tmp_path / "videos" / f"{i}.mp4", frames=8 + 4 * i)
    return tmp_path / "videos"


def test_a_killed_extraction_goes_on(network, videos, tmp_path, monkeypatch):
    done = []

    def killed_at_the_second(model, file, **options):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(file.stem)
        return extract_video(model, file, **options)

    monkeypatch.setattr("vidhub.engine.extract.extract_video", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        extract(network, videos, tmp_path / "out", every=4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.npy", "extract.json"]
    monkeypatch.setattr("vidhub.engine.extract.extract_video", lambda m, f, **o: done.append(f.stem) or _two_steps())
    assert extract(network, videos, tmp_path / "out", every=4) == []
    assert done == ["0", "1", "2"]
    assert len(read_features(tmp_path / "out" / "2.npy")) == 2


def _two_steps():
    return VideoFeatures(np.zeros((2, 5), np.float32), 1.0, 8)


def test_processes_share_the_videos(network, videos, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    written = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        extract(network, videos, tmp_path / "out", every=4)
        written.append(sorted(path.stem for path in (tmp_path / "out").glob("*.npy")))
    assert written == [["0", "2"], ["0", "1", "2"]]


def test_h5_holds_the_same_as_npy(network, videos, tmp_path):
    h5py = pytest.importorskip("h5py")
    for format in ("npy", "h5"):
        assert extract(network, videos, tmp_path / format, every=4, format=format) == []
    for i in range(3):
        path = tmp_path / "h5" / f"{i}.h5"
        np.testing.assert_array_equal(read_features(path), read_features(tmp_path / "npy" / f"{i}.npy"))
        with h5py.File(path) as content:
            assert dict(content.attrs) == {"duration": (8 + 4 * i) / 25, "num_frames": 8 + 4 * i}
    annotation = {"0": {"duration_second": 0.32, "annotations": [{"segment": [0, 0.2], "label": "turn"}]}}
    (tmp_path / "annotations.json").write_text(json.dumps(annotation))
    data = vidhub.create_dataset("segments", tmp_path, "train", folder="h5")
    assert data.records[0].path.endswith("0.h5")


def test_features_of_a_data_set_of_videos_are_found_beside_them(tmp_path):
    """THUMOS14's own text files state no durations: they are those of the videos."""
    for name in ("videos", "features", "annotation"):
        (tmp_path / name).mkdir()
    video = "video_validation_0000051"
    render(tmp_path / "videos" / f"{video}.mp4", frames=50)
    np.save(tmp_path / "features" / f"{video}.npy", np.zeros((10, 4), np.float32))
    (tmp_path / "annotation" / "Diving_val.txt").write_text(f"{video}  0.5 1.0\n")
    model = vidhub.create_model("actionformer", dim=8, feature_dim=4, num_classes=20)
    data = open_features(vidhub.create_dataset("thumos14", tmp_path, "val"), model, training=True)
    assert data.duration(0) == pytest.approx(2.0)
    assert data[0].segments.tolist() == [[2.0, 4.5]]
    assert data[0].fractions.tolist() == [[0.25, 0.5]]


def test_options_of_a_data_set_can_be_changed(tmp_path):
    content = {"database": {"a": {"subset": "training", "duration": 3.0, "annotations": []}}}
    (tmp_path / "activity_net.v1-3.json").write_text(json.dumps(content))
    data = vidhub.create_dataset("activitynet", tmp_path, "train", folder="i3d", file_name="{}.npy")
    assert data.records[0].path == str(tmp_path / "i3d" / "a.npy")


def test_h5_is_refused_before_the_work(network, videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="pip install h5py"):
        extract(network, videos, tmp_path / "out", format="h5")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be a positive number, not 0"),
        ({"every": 2.5}, "every must be a positive number, not 2.5"),
        ({"batch_size": -2}, "batch_size must be a positive number, not -2"),
        ({"dtype": "int8"}, "dtype must be one of float32, float16, bfloat16, not 'int8'"),
        ({"format": "csv"}, "npy or h5, not 'csv'"),
    ],
)
def test_wrong_numbers_are_told_before_anything_is_written(network, videos, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        extract(network, videos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_features_made_otherwise_are_not_mixed(network, videos, tmp_path):
    out = tmp_path / "out"
    assert extract(network, videos, out, every=8) == []
    assert read_settings(out)["model"] == EMBEDDED
    other = vidhub.create_model(network.arch, num_classes=2)
    with pytest.raises(InputError, match=r"made otherwise .*weights"):
        extract(other, videos, out, every=8)
    with pytest.raises(InputError, match=r"made otherwise .dtype 'float32', not 'bfloat16'"):
        extract(network, videos, out, every=8, dtype="bfloat16")
    changed = vidhub.create_model(EMBEDDED, pretrained=True)
    changed.data_config = replace(changed.data_config, stride=1)
    with pytest.raises(InputError, match=r"made otherwise .data_config"):
        extract(changed, videos, out, every=8)


def test_a_network_in_a_folder_is_found_from_elsewhere(network, videos, tmp_path, monkeypatch):
    vidhub.save_checkpoint(network, tmp_path / "network")
    monkeypatch.chdir(tmp_path)
    extract("local-dir:network", videos, tmp_path / "out")
    assert read_settings(tmp_path / "out")["model"] == f"local-dir:{tmp_path / 'network'}"


def test_folders_and_files_may_be_mixed(network, videos, tmp_path):
    (tmp_path / "more").mkdir()
    render(tmp_path / "more" / "other.mp4", frames=8)
    assert extract(network, [videos, tmp_path / "more" / "other.mp4"], tmp_path / "out") == []
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.npy")) == ["0", "1", "2", "other"]
    with pytest.raises(InputError, match=r"there is no file or folder 'no\.mp4'"):
        extract(network, [videos, "no.mp4"], tmp_path / "out")


def test_folders_of_pictures_are_videos(network, tmp_path):
    for name in ("a", "b.c"):
        (tmp_path / "frames" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (32, 24), (i, 0, 0)).save(tmp_path / "frames" / name / f"img_{i:05}.jpg")
    assert extract(network, tmp_path / "frames", tmp_path / "out", every=4) == []
    assert sorted(path.name for path in (tmp_path / "out").glob("*.npy")) == ["a.npy", "b.c.npy"]


def test_networks_on_optical_flow_take_features_of_stored_flow(tmp_path):
    model = vidhub.create_model("slowonly_r50", in_chans=2, num_classes=2)
    model.data_config = replace(model.data_config, num_frames=2, stride=1, size=32, resize=32)
    (tmp_path / "flow" / "a").mkdir(parents=True)
    for i in range(11):
        for axis in "xy":
            Image.new("L", (32, 32), 100 + i).save(tmp_path / "flow" / "a" / f"flow_{axis}_{i + 1:05}.png")
    assert extract(model, tmp_path / "flow", tmp_path / "out", every=4) == []
    # eleven flows lie between twelve pictures
    assert read_features(tmp_path / "out" / "a.npy").shape == (3, model.get_classifier().in_features)


class Damaged(Pictures):
    """Of which it turns out that fewer frames are there than the file says."""

    def get_frames(self, indices):
        self.num_frames = 20
        raise InputError("frame 23 is out of range.")


def test_a_damaged_video_is_called_so(network):
    with pytest.raises(VideoError, match="is damaged: only 20 of its 24 frames can be decoded"):
        extract_video(network, Damaged(), every=8)


def test_processes_end_together(network, videos, tmp_path):
    """torchrun ends all processes when one fails: here the one that has the broken video is done at once."""
    vidhub.save_checkpoint(network, tmp_path / "network")
    (videos / "broken.mp4").write_bytes(b"no video")
    render(videos / "2.mp4", frames=400)
    port = str(23000 + os.getpid() % 20000)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    command = ["extract", f"local-dir:{tmp_path / 'network'}", str(videos), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [*launch, "-m", "vidhub", *command, "--every", "4", "--device", "cpu"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert done.stderr.count("broken.mp4' is not a video") == 1
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.npy")) == ["0", "1", "2"]


def test_prediction_asks_for_the_network_that_took_the_features(network, videos, tmp_path):
    folder = tmp_path / "network"
    vidhub.save_checkpoint(network, folder)
    config = {"feature_model": f"local-dir:{folder}", "feature_weights": weights_digest(network.state_dict())}
    model = vidhub.create_model("actionformer", dim=8, num_classes=1, feature_dim=network.get_classifier().in_features)
    model.data_config = replace(model.data_config, **config)
    assert predict_segments(model, videos / "0.mp4", topk=1).duration == pytest.approx(8 / 25)
    vidhub.save_checkpoint(vidhub.create_model(network.arch, num_classes=2), folder)
    with pytest.raises(InputError, match="has other weights now than when it took"):
        predict_segments(model, videos / "0.mp4")
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"cannot be had .*: name it where it is now \(--features\)"):
        predict_segments(model, videos / "0.mp4")
    assert predict_segments(model, videos / "0.mp4", features=network, topk=1).duration == pytest.approx(8 / 25)


def test_a_timeline_has_a_row_for_each_class():
    segments = SegmentPrediction("a.mp4", 10.0, [(1, 4), (5, 9), (2, 3)], [0.9, 0.5, 0.1], ["cut", "peel", "cut"])
    two = draw_timeline(segments)
    one = draw_timeline(SegmentPrediction("a.mp4", 10.0, [(1, 4)], [0.9], ["cut"]))
    assert two.size[1] > one.size[1]


def test_segments_of_a_class_that_overlap_are_told_apart():
    """Three of which the first two overlap: two lanes, and white between bars that touch."""
    apart = draw_timeline(SegmentPrediction("a.mp4", 10.0, [(1, 3), (3, 5), (6, 8)], [0.9] * 3, ["cut"] * 3))
    over = draw_timeline(SegmentPrediction("a.mp4", 10.0, [(1, 4), (3, 5), (6, 8)], [0.9] * 3, ["cut"] * 3))
    assert over.size[1] > apart.size[1]


def test_labels_in_other_scripts_have_their_glyphs():
    segments = [(1, 4)]
    drawn = [
        draw_timeline(SegmentPrediction("a.mp4", 10.0, segments, [0.9], [label])).crop((12, 12, 40, 34)).tobytes()
        for label in ("\u00e9", "\u00fc", "\U0010ffff")
    ]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    ("seconds", "duration", "text"),
    [(12.5, 25, "12.5 s"), (90, 600, "1:30"), (3725, 36000, "1:02:05"), (59.7, 7200, "0:01:00")],
)
def test_ticks_are_times(seconds, duration, text):
    assert timeline._clock(seconds, duration) == text


def test_scores_of_zero_can_be_drawn():
    assert draw_timeline(SegmentPrediction("a.mp4", 0.0, [(0, 0)], [0.0], ["cut"])).size[0] > 1000


@pytest.mark.parametrize("name", ["a.svg", "a.foo", "a"])
def test_a_timeline_is_a_picture(name, tmp_path):
    with pytest.raises(InputError, match=r"\.png, .* not as 'a"):
        draw_timeline(SegmentPrediction("a.mp4", 1.0, [(0, 1)], [0.5], ["cut"]), tmp_path / name)
    assert not list(tmp_path.iterdir())
