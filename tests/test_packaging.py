"""The wheel holds everything and works by itself."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAPPED = ("engine", "modalities", "streaming", "configs", "benchmarks")
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in", "unreel", *MAPPED)
DATA = (".yaml", ".safetensors", ".npz", ".html", ".js", ".css", ".svg")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, without the network."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    result = subprocess.run([*command, "-w", out, copy], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return next(out.glob("unreel-*.whl"))


def installed_name(path: Path) -> str:
    inside = path.relative_to(ROOT).as_posix()
    return inside if inside.startswith("unreel/") else f"unreel/{inside}"


def test_every_module_and_data_file_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [
        installed_name(path)
        for folder in ("unreel", *MAPPED)
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", *DATA) and "__pycache__" not in path.parts
    ]
    assert [name for name in wanted if name not in names] == []
    assert "unreel/py.typed" in names
    outside = [name for name in names if not name.startswith(("unreel/", "unreel-"))]
    assert outside == []


def test_it_runs_unpacked(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    probe = "import unreel, unreel.engine; print(unreel.engine.__file__); print(sorted(unreel.models()))"
    command = [sys.executable, "-c", probe]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    where, models = result.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert models == str(sorted(path.stem for path in (ROOT / "configs" / "models").glob("*.yaml")))
