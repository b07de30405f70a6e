"""The package as a whole: what importing it costs, and who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vidhub

ROOT = Path(vidhub.__file__).parent


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import vidhub", "import vidhub; vidhub.list_models(pretrained=True); vidhub.list_pretrained('*k400*')"],
)
def test_import_and_lists_load_nothing_heavy(statement):
    assert not loaded_after(statement) & {"torch", "timm", "torchvision", "av", "numpy", "huggingface_hub"}


def test_building_a_model_loads_no_more_than_torch():
    loaded = loaded_after("import vidhub; vidhub.create_model('x3d_xs', num_classes=2)")
    assert "torch" in loaded
    assert not loaded & {"timm", "torchvision", "av", "huggingface_hub"}


def test_public_names_exist():
    for name in vidhub.__all__:
        assert getattr(vidhub, name) is not None
    assert set(vidhub.__all__) <= set(dir(vidhub))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vidhub.no_such_name


# each part may import those after it, and errors
LAYERS = {
    "cli": {"engine", "transforms", "datasets", "models", "weights"},
    "engine": {"transforms", "datasets", "models", "metrics", "weights"},
    "models": {"weights"},
    "transforms": {"weights"},
    "datasets": {"transforms", "weights"},
    "metrics": set(),
    "weights": set(),
}


def imported_parts(path: Path) -> set[str]:
    """The parts of vidhub that the file imports."""
    package = ("vidhub", *path.relative_to(ROOT).parts[:-1])
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            full = [*base, *(node.module.split(".") if node.module else [])]
            names = [[*full, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        parts |= {name[1] for name in names if name[0] == "vidhub" and len(name) > 1}
    return parts - {"errors", "_files", "_memory", "__version__"}


@pytest.mark.parametrize("part", LAYERS)
def test_imports_go_one_way(part):
    files = [ROOT / "cli.py"] if part == "cli" else (ROOT / part).rglob("*.py")
    for path in files:
        foreign = imported_parts(path) - {part, *LAYERS[part]}
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"
