"""What a run waits for, with parts whose times are known."""

import time

import pytest
import torch
from clips import fill
from torch import nn
from torch.utils.data import Dataset

from vidhub.cli import main
from vidhub.engine.load_report import LoadReport, report_loading
from vidhub.engine.recipe import Recipe


class Sleepy(Dataset):
    """Samples that take ``seconds``."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 64

    def __getitem__(self, index):
        time.sleep(self.seconds)
        return torch.ones(4), 0


class Slow(nn.Module):
    """A network that takes ``seconds``."""

    def __init__(self, seconds):
        super().__init__()
        self.layer, self.seconds = nn.Linear(4, 2), seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return self.layer(x)


def loss(model, batch):
    return model(batch[0]).square().mean()


def measure(sample, step, workers, **settings):
    recipe = Recipe(batch_size=2, workers=workers, device="cpu", **settings)
    return report_loading(recipe, workers=(0, 2), samples=3, model=Slow(step), train_set=Sleepy(sample), loss=loss)


def test_slow_data():
    report = measure(0.05, 0.0, 0)
    assert report.parts["sample"] >= 0.05
    assert report.rates[0] <= 20
    assert report.waiting > 0.5
    assert "waits for data" in report.advice
    assert "workers=2" in str(report)


def test_a_slow_network():
    report = measure(0.0, 0.2, 2, accumulate=2)
    assert report.step >= 0.4
    assert report.samples == 4
    assert report.waiting == 0
    assert report.advice == "The run waits for the network: data come faster than it takes them; workers=0 would do."


def test_more_workers_are_recommended_where_they_help():
    report = LoadReport({"sample": 0.1}, {0: 10.0, 1: 10.0, 2: 19.0}, step=0.1, samples=8, workers=0)
    assert "set workers=2, and make a sample cheaper" in report.advice
    report = LoadReport({"sample": 0.1}, {0: 10.0, 2: 20.0, 4: 40.0}, step=0.1, samples=2, workers=0)
    assert report.advice.endswith("set workers=2.")


def test_the_dearest_part_is_named():
    parts = {"opening": 0.01, "decoding": 0.07, "transforming": 0.02}
    report = LoadReport(parts, {0: 10.0, 2: 20.0}, step=0.1, samples=8, workers=2)
    assert report.waiting == pytest.approx(0.75)
    assert report.advice.startswith("The network waits for data 75% of the time, and 70% of a sample's time is its dec")
    assert "workers" not in report.advice


def test_parts_of_a_video_sample_by_the_command(tmp_path, capsys):
    fill(tmp_path / "videos" / "train", 4)
    settings = {"root": tmp_path / "videos", "num_frames": 2, "size": 32, "batch_size": 2, "device": "cpu"}
    out = tmp_path / "run"
    options = [f"{key}={value}" for key, value in (settings | {"workers": 1, "out": out}).items()]
    assert main(["train", "--set", *options, "model_args={depth: 0.5}", "--measure-loading"]) == 0
    *lines, advice = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:3] == ["opening", "decoding", "transforming"]
    assert {"workers=0", "workers=1", "network"} <= set(names)
    assert advice.startswith(("The run waits for the network", "The network waits for data"))
    assert not out.exists()
