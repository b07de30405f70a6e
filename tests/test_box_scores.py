"""Scores of action detectors on data sets: what counts, what is told, and what a run that stopped leaves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from figures import CLASSES, CONFIG, brightest, figures, tiny, write_own

import vidhub
from vidhub.cli import main
from vidhub.datasets.boxes import BoxDataset
from vidhub.datasets.dataset import RecordDataset
from vidhub.datasets.records import BoxesRecord, BoxProtocol
from vidhub.engine import box_scores
from vidhub.engine.box_scores import box_validation, measure_boxes, score_records
from vidhub.errors import InputError, VideoError


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return figures(tmp_path_factory.mktemp("figures"), 4)


@pytest.fixture
def own(records, tmp_path):
    return write_own(tmp_path, val=records)


def plain(num_classes=2):
    """A detector for a data set of one's own, which has no background."""
    model = tiny(num_classes)
    model.data_config = replace(CONFIG, background=False, activation="softmax")
    return model


def test_a_data_set_by_name_or_as_such(own):
    by_name = vidhub.evaluate(plain(), "boxes", own, workers=0)
    again = vidhub.evaluate(plain(), vidhub.create_dataset("boxes", own, "val"), workers=0)
    assert by_name.metrics == again.metrics
    assert by_name.rows[0].shape == (1, 4 + 2)
    assert by_name.persons == "annotated"
    assert "with annotated boxes" in str(by_name)


def test_batches_do_not_change_scores(records):
    data = BoxDataset([*records, replace(records[0], boxes=np.zeros((0, 4)), labels=())], CONFIG, CLASSES)
    alone, together = (dict(score_records(tiny(), data, range(5), batch_size=n)) for n in (1, 3))
    for i in range(5):
        np.testing.assert_allclose(together[i], alone[i], atol=1e-5)
    assert together[4].shape == (0, 4 + 3)
    np.testing.assert_allclose(alone[1][:, :4], records[1].boxes, atol=1e-6)


def test_other_precision_is_used(own):
    usual, half = (vidhub.evaluate(plain(), "boxes", own, workers=0, dtype=d) for d in (None, "bfloat16"))
    np.testing.assert_allclose(half.rows[0], usual.rows[0], atol=0.05)
    assert not np.array_equal(half.rows[0], usual.rows[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_videos_are_told_and_the_others_scored(own, workers):
    (own / "videos" / "1.mp4").write_bytes(b"no video")
    (own / "videos" / "2.mp4").unlink()
    result = vidhub.evaluate(plain(), "boxes", own, workers=workers)
    assert (len(result.rows), result.missed) == (2, 2)
    assert [name for name in ("1.mp4", "2.mp4") if any(name in text for text in result.failures)] == ["1.mp4", "2.mp4"]


def test_validation_goes_on_too(records, capsys):
    gone = replace(records[0], path="/no/such/video.mp4")
    assert "mAP" in box_validation(BoxDataset([gone, records[1]], CONFIG, CLASSES))(tiny())
    assert "not scored: there is no video at '/no/such/video.mp4'" in capsys.readouterr().err


def test_nothing_readable_is_an_error(records):
    gone = [replace(record, path="/no/such/video.mp4") for record in records]
    with pytest.raises(VideoError, match="no video of the data set could be read"):
        vidhub.evaluate(tiny(), BoxDataset(gone, CONFIG, CLASSES), workers=0)


def test_errors_of_workers_are_one_sentence(records):
    wrong = replace(records[0], boxes=np.array([[0.5, 0, 0.1, 1]]))
    with pytest.raises(InputError, match=r"^'0' at 0\.6 has the box"):
        vidhub.evaluate(tiny(), BoxDataset([wrong], CONFIG, CLASSES), workers=1)


def test_goes_on_where_it_stopped(own, tmp_path, monkeypatch):
    whole = vidhub.evaluate(plain(), "boxes", own, workers=0)
    original, scored = box_scores.score_records, []

    def stop_after_two(model, data, indices, **settings):
        for number, item in enumerate(original(model, data, indices, **settings | {"batch_size": 1})):
            scored.append(item[0])
            if number == 2:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr("vidhub.engine.evaluate._SAVE_EVERY", 1)
    monkeypatch.setattr(box_scores, "score_records", stop_after_two)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        vidhub.evaluate(plain(), "boxes", own, workers=0, out=out)
    result = vidhub.evaluate(plain(), "boxes", own, workers=0, out=out)
    assert scored == [0, 1, 2, 2, 3]
    assert result.metrics == pytest.approx(whole.metrics)
    assert json.loads((out / "metrics.json").read_text())["mAP"] == pytest.approx(whole.metrics["mAP"])
    with np.load(out / "boxes.npz") as saved:
        assert saved["videos"].tolist() == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]
        assert saved["scores"].shape == (4, 2)
    with pytest.raises(InputError, match="another model, data set or protocol"):
        vidhub.evaluate(plain(), "boxes", own, workers=0, out=out, detector=brightest)


def test_a_person_detector_can_be_wrong(own):
    found = vidhub.evaluate(plain(), "boxes", own, workers=0, detector=brightest)
    assert found.persons == "detected"
    opened = BoxDataset(vidhub.create_dataset("boxes", own, "val").records, plain().data_config, ("disc", "square"))
    assert vidhub.evaluate(plain(), opened, workers=0, detector=brightest).metrics == found.metrics
    with (own / "val.csv").open("a") as file:  # nobody is annotated later, but the figure is still there
        file.writelines(f"{i}.mp4,1.0,,,,,\n" for i in range(4))
    less = vidhub.evaluate(plain(), "boxes", own, workers=0, detector=brightest)
    assert len(less.rows) == 8
    assert less.metrics["mAP"] < found.metrics["mAP"]
    assert len(vidhub.evaluate(plain(), "boxes", own, workers=0).rows) == 4
    with pytest.raises(InputError, match="must be a function"):
        vidhub.evaluate(plain(), "boxes", own, workers=0, detector="rcnn")


def test_what_is_not_for_boxes_is_refused(own, records):
    for settings in ({"views": (3, 1)}, {"match_labels": True}):
        with pytest.raises(InputError, match="views and match_labels are not for data sets with boxes"):
            vidhub.evaluate(plain(), "boxes", own, **settings)
    with pytest.raises(InputError, match="as_mmaction2 only for data sets with boxes"):
        vidhub.evaluate(vidhub.create_model("x3d_xs"), "folder", own, as_mmaction2=True)
    model = plain()
    model.labels = ("disc", "star")
    with pytest.raises(InputError, match="class 1 is 'star' in the model and 'square' in the data set"):
        vidhub.evaluate(model, "boxes", own)
    with pytest.raises(InputError, match="first class is none, and the data set's is 'disc'"):
        vidhub.evaluate(tiny(2), "boxes", own)


def test_the_command_line_says_whose_boxes_these_are(own, capsys, tmp_path):
    vidhub.save_checkpoint(vidhub.create_model("roi_detector", trunk="x3d_xs", num_classes=2), tmp_path / "model")
    (own / "test.csv").write_text((own / "val.csv").read_text())
    (own / "val.csv").unlink()
    command = ["eval", f"local-dir:{tmp_path / 'model'}", "boxes", str(own), "--workers", "0", "--split", "test"]
    assert main(command) == 0
    assert "(with annotated boxes" in capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["persons"] == "annotated"
    assert main([*command, "--data", "pixel=true"]) == 2
    assert "does not take this option" in capsys.readouterr().err
    assert main([*command[:-1], "vla"]) == 2
    assert "unknown split of boxes 'vla'; did you mean 'val'" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------- what counts


def scores_of(*rows):
    """Rows of one box on the whole picture, of these probabilities."""
    return {i: np.array([[0, 0, 1, 1, *row]], np.float32) for i, row in enumerate(rows)}


def data_of(labels, config=CONFIG, **protocol):
    box = np.array([[0, 0, 1, 1]], np.float32)
    made = [BoxesRecord("a", "a", float(i), box, (known,)) for i, known in enumerate(labels)]
    excluded = tuple(BoxesRecord("a", "a", 9.0, box, (known,)) for known in protocol.pop("excluded", ()))
    return BoxDataset(made, config, ("background", "x", "y", "z"), protocol=BoxProtocol(excluded=excluded, **protocol))


def test_only_the_classes_count_that_the_publisher_counts():
    rows = scores_of([0, 0.9, 0, 0], [0, 0, 0, 0.9])
    assert measure_boxes(data_of([(1,), (2,)]), rows)["mAP"] == 50
    assert measure_boxes(data_of([(1,), (2,)], classes=(1, 3)), rows)["mAP"] == 100


def test_mmaction2_counts_excluded_frames_as_missed():
    data, rows = data_of([(1,)], excluded=[(1,), (1,)]), scores_of([0.99, 0.9, 0, 0])
    assert measure_boxes(data, rows)["mAP"] == 100
    assert measure_boxes(data, rows, as_mmaction2=True)["mAP"] == pytest.approx(100 / 3)


def test_mmaction2_leaves_out_what_is_never_found():
    data, rows = data_of([(1,), (2,)]), scores_of([0, 0.9, 0, 0], [0, 0, 0, 0])
    assert measure_boxes(data, rows)["mAP"] == 50
    assert measure_boxes(data, rows, as_mmaction2=True)["mAP"] == 100


def test_of_one_class_a_box_mmaction2_counts_the_likeliest():
    data = data_of([(1,), (2,)], replace(CONFIG, activation="softmax"))
    rows = scores_of([0, 0.7, 0.3, 0], [0, 0.6, 0.4, 0])
    assert measure_boxes(data, rows)["mAP"] == 100
    assert measure_boxes(data, rows, as_mmaction2=True)["mAP"] == 50


def test_a_network_without_a_background_on_classes_with_one(records):
    kinds = [replace(record, labels=((2,),)) for record in records[:2]]
    data = RecordDataset(kinds, classes=CLASSES, protocol=BoxProtocol((1, 2), (records[2],)))
    model = plain()
    torch.nn.init.zeros_(model.head.fc.weight)
    with torch.no_grad():
        model.head.fc.bias.copy_(torch.tensor([-9.0, 9.0]))  # the second of two is the third with a background
    result = vidhub.evaluate(model, data, workers=0)
    assert result.rows[0].shape == (1, 4 + 2)
    assert result.metrics["mAP"] == 100


def test_clips_as_mmaction2_takes_them(records):
    data = RecordDataset(records[:1], classes=CLASSES, protocol=BoxProtocol(mmaction2_offset=1))
    later = RecordDataset([replace(records[0], timestamp=0.7)], classes=CLASSES)
    here, theirs, next_frame = (
        vidhub.evaluate(tiny(), d, workers=0, as_mmaction2=flag).rows[0]
        for d, flag in ((data, False), (data, True), (later, False))
    )
    assert np.array_equal(theirs, next_frame)
    assert not np.array_equal(theirs, here)
