"""``vidhub.predict``: every kind of source, and scores that equal the steps done by hand."""

import dataclasses
import functools
import io

import numpy as np
import pytest
import torch
from media import draw, plain_decode, render

import vidhub
from vidhub.engine.predict import Prediction
from vidhub.errors import InputError, UnknownNameError, VideoError
from vidhub.weights import tables

predict = functools.partial(vidhub.predict, device="cpu")  # the same numbers everywhere


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = vidhub.create_model("x3d_xs", num_classes=3)
    torch.nn.init.normal_(model.get_classifier().weight, std=0.5)
    small = {"size": 64, "resize": 64, "test_size": 64, "num_frames": 4, "stride": 2, "views": (2, 3)}
    model.data_config = dataclasses.replace(model.data_config, **small)
    return model


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Six videos of different pictures and lengths."""
    folder = tmp_path_factory.mktemp("videos")
    return [render(folder / f"{frames}.mp4", frames=frames, options={"bf": "0"}) for frames in (9, 14, 22, 31, 40, 55)]


@pytest.fixture
def batches(model):
    """How many views went through the network in each call."""
    sizes = []
    handle = model.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[0]))
    yield sizes
    handle.remove()


def scores_of(prediction):
    """In the order of the classes."""
    return [score for _, score in sorted(zip(prediction.indices, prediction.scores, strict=True))]


@pytest.mark.parametrize("average", ["prob", "score"])
@pytest.mark.parametrize("views", [None, 3, "test"])
def test_scores_are_those_of_the_steps_done_by_hand(model, videos, views, average, monkeypatch):
    monkeypatch.setattr(model, "data_config", dataclasses.replace(model.data_config, average=average))
    with vidhub.VideoReader(videos[3]) as reader, torch.inference_mode():
        logits = model(vidhub.create_transform(model.data_config, views=views).load(reader))
    expected = logits.softmax(1).mean(0) if average == "prob" else logits.mean(0).softmax(0)

    prediction = predict(model, videos[3], views=views)
    assert scores_of(prediction) == pytest.approx(expected.tolist(), abs=1e-6)
    assert prediction.indices == expected.argsort(descending=True).tolist()
    assert sum(prediction.scores) == pytest.approx(1)


def test_every_kind_of_source_gives_the_same(model, videos, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(model, "data_config", dataclasses.replace(model.data_config, target_fps=None))
    frames = np.stack(plain_decode(videos[2]))
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    with vidhub.VideoReader(videos[2]) as reader, videos[2].open("rb") as file:
        sources = {
            str(videos[2]): str(videos[2]),
            "bytes": videos[2].read_bytes(),
            "BytesIO": io.BytesIO(videos[2].read_bytes()),
            "ndarray": frames,
            "Tensor": torch.from_numpy(frames).permute(0, 3, 1, 2),
            "VideoReader": reader,
            str(tmp_path): tmp_path,
        }
        predictions = predict(model, [videos[2], file, *sources.values()])
    assert [p.source for p in predictions] == [str(videos[2])] * 2 + list(sources)
    assert all(scores_of(p) == pytest.approx(scores_of(predictions[0]), abs=1e-6) for p in predictions)


def test_a_list_gives_a_list_in_its_order(model, videos):
    alone = [predict(model, video) for video in videos]
    together = predict(model, videos)
    assert [p.source for p in together] == [str(video) for video in videos]
    assert len({round(p.scores[0], 4) for p in alone}) == len(videos)
    for one, other in zip(alone, together, strict=True):
        assert scores_of(one) == pytest.approx(scores_of(other), abs=1e-5)
    assert isinstance(predict(model, tuple(videos[:1])), list)
    assert predict(model, []) == []


def test_one_reader_listed_often(model, videos):
    with vidhub.VideoReader(videos[4]) as reader:
        predictions = predict(model, [reader] * 8, views=3)
        assert reader.get_frames([0]).shape[0] == 1  # it stays open
    assert len({p.scores[0] for p in predictions}) == 1


@pytest.mark.parametrize("batch_size", [1, 4, 5, 100])
def test_the_batch_size_changes_no_score(model, videos, batch_size):
    expected = predict(model, videos[:3], views=2)
    for one, other in zip(expected, predict(model, videos[:3], views=2, batch_size=batch_size), strict=True):
        assert scores_of(one) == pytest.approx(scores_of(other), abs=1e-5)


@pytest.mark.parametrize(
    ("count", "views", "batch_size", "expected"),
    [
        (1, None, 8, [1]),
        (1, "test", 8, [6]),
        (1, "test", 4, [4, 2]),
        (1, 5, 2, [2, 2, 1]),
        (6, None, 4, [4, 2]),
        (3, (2, 3), 8, [8, 4, 6]),
    ],
)
def test_views_fill_batches_across_videos(model, videos, batches, count, views, batch_size, expected):
    predict(model, videos[:count], views=views, batch_size=batch_size)
    assert batches == expected


def test_names(model, videos, monkeypatch):
    assert predict(model, videos[0], topk=1).labels[0].startswith("class ")
    monkeypatch.setattr(model, "labels", ("run", "sit", "swim"))
    prediction = predict(model, videos[0], topk=10)
    assert prediction.labels == [model.labels[i] for i in prediction.indices]
    assert predict(model, videos[0], labels="abc").labels == ["abc"[i] for i in prediction.indices]
    monkeypatch.setattr(model, "labels", ("names", "of another", "data set", "with more classes"))
    assert all(label.startswith("class ") for label in predict(model, videos[0]).labels)


def test_prediction_as_text_and_data():
    prediction = Prediction("a.mp4", ["run", "sit"], [0.91234, 0.08766], [7, 2])
    assert str(prediction) == "0.912  run\n0.088  sit"
    expected = {"source": "a.mp4", "labels": ["run", "sit"], "scores": [0.91234, 0.08766], "indices": [7, 2]}
    assert prediction.to_dict() == expected


def test_the_model_is_left_in_the_mode_it_was_in(videos):
    model = vidhub.create_model("x3d_xs", num_classes=3)
    model.data_config = dataclasses.replace(model.data_config, size=64, resize=64)
    frozen = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d))
    model.train()
    frozen.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = predict(model, videos[:2]), predict(model, videos[:2])
    assert first == second  # no dropout
    assert all(m.training is (m is not frozen) for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and not p.is_inference() for p in model.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16, "float32"])
def test_precision(model, videos, dtype):
    expected = predict(model, videos[1])
    found = predict(model, videos[1], dtype=dtype)
    assert scores_of(found) == pytest.approx(scores_of(expected), abs=0.02)
    assert (found.scores == expected.scores) is (dtype == "float32")


def test_a_model_by_name(model, videos, tmp_path, monkeypatch):
    vidhub.save_checkpoint(model, tmp_path / "saved")
    expected = predict(model, videos[0])
    assert predict(f"local-dir:{tmp_path}/saved", videos[0]) == expected
    monkeypatch.setattr(tables, "EMBEDDED", f"local-dir:{tmp_path}/saved", raising=False)
    assert predict(None, videos[0]) == expected
    with pytest.raises(UnknownNameError, match="x3d_xs"):
        predict("x3d_xxs", videos[0])


def test_progress(model, videos, capfd):
    predict(model, videos[:2])
    assert capfd.readouterr() == ("", "")
    predict(model, videos[:2], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err


WRONG_OPTIONS = {
    "topk": ({"topk": 0}, "topk must be a positive number"),
    "batch size": ({"batch_size": -1}, "batch_size must be a positive number"),
    "views": ({"views": "tset"}, "views must be"),
    "device name": ({"device": "gpu"}, "device 'gpu' cannot be used; this machine has cpu"),
    "device number": ({"device": "cuda:99"}, "device 'cuda:99' cannot be used"),
    "no real device": ({"device": "meta"}, "device 'meta' cannot be used"),
    "dtype name": ({"dtype": "float8"}, "dtype must be one of float32, float16, bfloat16"),
    "dtype": ({"dtype": torch.int8}, "dtype must be one of"),
    "labels": ({"labels": ["a", "b"]}, "labels must be 3 names, one a class, not 2"),
}


@pytest.mark.parametrize("case", WRONG_OPTIONS)
def test_wrong_options(model, videos, case):
    options, message = WRONG_OPTIONS[case]
    with pytest.raises(InputError, match=message):
        predict(model, videos[0], **options)


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((4, 3, 64, 64), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((4, 64, 64, 3), np.float32),
        np.zeros((0, 64, 64, 3), np.uint8),
        torch.zeros(1, 4, 3, 64, 64, dtype=torch.uint8),
        torch.zeros(4, 1, 64, 64, dtype=torch.uint8),
        17,
        None,
    ],
    ids=lambda source: f"{type(source).__name__} {getattr(source, 'shape', '')}",
)
def test_sources_of_the_wrong_kind_or_shape(model, source):
    with pytest.raises(InputError):
        predict(model, source)


def test_one_bad_video_among_good_ones(model, videos, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    sources = [videos[0], tmp_path / "empty.mp4", draw(1)[None], tmp_path / "missing.mp4", np.zeros(3), videos[1]]
    with pytest.raises(VideoError, match=r"empty\.mp4"):
        predict(model, sources)
    results = predict(model, sources, errors="return", batch_size=2)
    kinds = [Prediction, VideoError, Prediction, FileNotFoundError, InputError, Prediction]
    assert [type(result) for result in results] == kinds
    assert scores_of(results[5]) == pytest.approx(scores_of(predict(model, videos[1])), abs=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: torch.nn.Linear(3, 3), "this Linear is none"),
        (lambda: torch.nn.Identity(), "this Identity is none"),
        (lambda: vidhub.create_model("x3d_xs", num_classes=0), "this X3D is none"),
        (lambda: vidhub.create_model("x3d_xs", features_only=True), "is none"),
    ],
)
def test_models_that_cannot_name_anything(videos, build, message):
    with pytest.raises(InputError, match=message):
        predict(build(), videos[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
def test_gpu(model, videos, dtype):
    expected = predict(model, videos, views="test")
    found = vidhub.predict(model, videos, views="test", dtype=dtype)
    assert next(model.parameters()).is_cuda
    assert vidhub.predict(model, videos, views="test", dtype=dtype) == found
    model.cpu()
    for one, other in zip(expected, found, strict=True):
        assert scores_of(one) == pytest.approx(scores_of(other), abs=0.02 if dtype else 2e-3)
