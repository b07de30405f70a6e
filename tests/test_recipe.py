"""Recipes: YAML in and out, settings, errors, and the published ones."""

from dataclasses import asdict, replace

import pytest

import vidhub
from vidhub.datasets.catalog import list_datasets
from vidhub.engine.recipe import Recipe, change_recipe, published_recipes, read_recipe
from vidhub.errors import InputError, UnknownNameError


def write(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_reads_yaml_with_numbers_as_people_write_them(tmp_path):
    recipe = read_recipe(
        write(tmp_path, "model: slowonly_r50\nlr: 1e-4\nviews: [3, 1]\nepochs: 2.0\nwarmup_epochs: 1\n")
    )
    assert (recipe.model, recipe.lr, recipe.views, recipe.epochs) == ("slowonly_r50", 1e-4, (3, 1), 2)
    assert isinstance(recipe.epochs, int)


def test_settings_change_keys_and_parts_of_tables():
    recipe = change_recipe(Recipe(), ["lr=3e-4", "model_args.dropout=0.8", "model_args.depth=1.0", "pretrained=true"])
    assert recipe.lr == 3e-4
    assert recipe.model_args == {"dropout": 0.8, "depth": 1.0}
    assert recipe.pretrained is True


def test_what_is_written_reads_back(tmp_path):
    recipe = Recipe(model="c3d", views=(3, 1), augment={"area": (0.3, 1.0)}, lr=0.5, dataset_args={"file": "1e5"})
    text = recipe.to_yaml()
    assert "epochs" not in text
    again = read_recipe(write(tmp_path, text))
    assert asdict(again) == asdict(replace(recipe, augment={"area": [0.3, 1.0]}))
    assert set(read_recipe(write(tmp_path, recipe.to_yaml(all_keys=True))).to_yaml().split()) == set(text.split())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (["epoch=3"], UnknownNameError, "did you mean 'epochs'"),
        (["lr=fast"], InputError, "lr must be float, not 'fast'"),
        (["epochs=0"], InputError, "epochs must be at least 1"),
        (["epochs=2.5"], InputError, "epochs must be int"),
        (["workers=true"], InputError, "workers must be int"),
        (["precision=fp8"], InputError, "no, fp16 or bf16"),
        (["precision=true"], InputError, "precision must be str"),
        (["batch_size=.inf"], InputError, "batch_size must be int"),
        (["epochs=.nan"], InputError, "epochs must be int"),
        (["workers=-1"], InputError, "workers must be at least 0"),
        (["save_every=-5"], InputError, "save_every must be at least 0"),
        (["mixup=-0.2"], InputError, "mixup must be at least 0"),
        (["lr=.nan"], InputError, "lr must be at least 0"),
        (["freeze_stages=-2"], InputError, "freeze_stages must be at least 0"),
        (["size=0"], InputError, "size must be at least 1"),
        (["device=gpuu"], InputError, "device must be cpu, cuda or cuda:N"),
        (["lr"], InputError, "KEY=VALUE"),
        (["lr.x=3"], InputError, "no parts"),
        (["augment={"], InputError, "cannot be read"),
    ],
)
def test_wrong_settings_are_told_in_one_sentence(settings, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        change_recipe(Recipe(), settings)


@pytest.mark.parametrize("text", ["- a\n- b\n", "model: [\n", ""])
def test_a_file_that_is_no_recipe(tmp_path, text):
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        read_recipe(write(tmp_path, text))


def test_missing_file_and_unknown_name(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(UnknownNameError, match="recipe"):
        read_recipe("no_such_recipe")


def test_values_as_people_and_yaml_write_them():
    recipe = read_recipe("", ["precision=no", "optimizer_args.eps=1e-8", "freeze_stages=-1", "model_args.name='1e5'"])
    assert (recipe.precision, recipe.freeze_stages) == ("no", 0)
    assert recipe.optimizer_args == {"eps": 1e-8}
    assert recipe.model_args == {"name": "1e5"}
    assert read_recipe("", ["precision=bfloat16"]).precision == "bf16"


def test_an_empty_setting_inside_a_table_is_an_empty_text():
    recipe = read_recipe("", ["dataset_args.folder=", "model_args.num_steps=null"])
    assert recipe.dataset_args == {"folder": ""}
    assert recipe.model_args == {"num_steps": None}


@pytest.mark.parametrize("name", ["actionformer_salads50", "actionformer_thumos14", "ssn_thumos14", "tridet_thumos14"])
def test_recipes_of_segments_do_not_choose_by_the_test_set(name):
    recipe = read_recipe(name)
    assert recipe.val_split == "test"
    assert recipe.val_every >= recipe.epochs


@pytest.mark.parametrize("name", published_recipes())
def test_published_recipe_names_what_exists(name):
    recipe = read_recipe(name)
    assert recipe.model.partition(".")[0] in vidhub.list_models()
    vidhub.create_transform(vidhub.DataConfig(num_frames=2), training=True, repeats=recipe.repeats, **recipe.augment)
    assert recipe.dataset in {info.name for info in list_datasets()}


def test_recipes_are_published():
    assert len(published_recipes()) >= 8
