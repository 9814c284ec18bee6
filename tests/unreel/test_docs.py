"""The documentation runs: its Python, its YAML, and the commands and files that it names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_adding_a_model_runs_as_it_is_written(tmp_path: Path) -> None:
    """The page's Python blocks, one after the other, beside its model.yaml."""
    (tmp_path / "ripple").mkdir()
    (tmp_path / "ripple" / "model.yaml").write_text(blocks("docs/adding-a-model.md", "yaml")[0])
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks("docs/adding-a-model.md", "python")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 10  # 20 frames, 2 a chunk
    assert "(2, 16, 16, 3)" in result.stdout


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_whole(page: str) -> None:
    """Python parses and YAML loads."""
    for block in blocks(page, "python"):
        compile(block, page, "exec")
    for block in blocks(page, "yaml"):
        yaml.safe_load(block)


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", (ROOT / page).read_text())
    inside = [target for target in targets if "://" not in target]
    missing = [target for target in inside if not ((ROOT / page).parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    named = set(re.findall(r"`?make ([a-z][a-z-]+)", " ".join(re.findall(r"`[^`]+`", (ROOT / page).read_text()))))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
