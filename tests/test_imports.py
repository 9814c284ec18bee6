"""The direction of imports, read from the source: streaming -> modalities -> engine; nothing heavy at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAPPED = ("engine", "modalities", "streaming", "configs", "benchmarks")
OPTIONAL = ("xformers", "diffusers", "transformers", "huggingface_hub", "procgen", "ray", "gymnasium")

# What the modules of a folder may import from `unreel`.
ALLOWED = {
    "engine": ("unreel.engine",),
    "modalities": ("unreel.engine", "unreel.modalities", "unreel.configs"),
    "streaming": ("unreel.engine", "unreel.modalities", "unreel.streaming", "unreel.configs"),
}


def module_of(path: Path) -> str:
    """The import name of a source file: engine/plan.py is unreel.engine.plan."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts if parts[0] == "unreel" else ["unreel", *parts])


def imports_of(source: str, module: str, is_package: bool, *, top_level_only: bool = False) -> set[str]:
    """Every module a source text imports; relative imports resolved, `from a import b` given as `a.b`."""
    tree = ast.parse(source)
    found: set[str] = set()
    for node in _top_level(tree) if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")
                package = package[: len(package) - node.level + (1 if is_package else 0)]
                base = ".".join([*package, base] if base else package)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def _top_level(tree: ast.AST) -> list[ast.AST]:
    """Statements that run when the module is imported: everything outside functions and `if TYPE_CHECKING`."""
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        found.append(node)
        found += _top_level(node)
    return found


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


@pytest.mark.parametrize("folder", list(ALLOWED))
def test_imports_point_one_way(folder: str) -> None:
    wrong = []
    for path in sources(folder):
        for name in imports_of(path.read_text(), module_of(path), path.name == "__init__.py"):
            ours = under(name, "unreel")
            if ours and not any(under(name, allowed) for allowed in ALLOWED[folder]):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if name.split(".")[0] in MAPPED:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}: write unreel.{name}")
    assert not wrong, "\n".join(wrong)


def test_modalities_do_not_import_each_other() -> None:
    wrong = []
    for path in sources("modalities"):
        parts = path.relative_to(ROOT / "modalities").parts
        own = f"unreel.modalities.{parts[0]}" if len(parts) > 1 else "unreel.modalities"
        for name in imports_of(path.read_text(), module_of(path), path.name == "__init__.py"):
            allowed = (own, "unreel.modalities.media", "unreel.modalities.skeleton")
            if under(name, "unreel.modalities") and not any(under(name, prefix) for prefix in allowed):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_optional_packages_are_imported_only_where_they_are_used() -> None:
    wrong = []
    for folder in ("unreel", *MAPPED):
        for path in sources(folder):
            if path.is_relative_to(ROOT / "unreel" / "envs"):  # is nothing without gymnasium, and says so
                continue
            names = imports_of(path.read_text(), module_of(path), path.name == "__init__.py", top_level_only=True)
            wrong += [f"{path.relative_to(ROOT)} imports {n}" for n in names if n.split(".")[0] in OPTIONAL]
    assert not wrong, "import these inside the function that needs them:\n" + "\n".join(wrong)


def test_importing_unreel_loads_no_optional_package() -> None:
    probe = (
        "import sys, unreel, unreel.engine, unreel.modalities.video, unreel.streaming; "
        f"print([name for name in {OPTIONAL!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_package_folder_is_importable_by_its_mapped_name() -> None:
    """Catches a folder that setup.py does not list and an editable install that lost its mapping."""
    names = [module_of(p) for folder in ("unreel", *MAPPED) for p in sources(folder) if p.name == "__init__.py"]
    probe = f"import importlib; [importlib.import_module(name) for name in {names!r}]"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd="/")
    assert result.returncode == 0, result.stderr


def test_every_source_folder_is_a_package() -> None:
    """A folder of modules without `__init__.py` would be left out of the wheel."""
    folders = {path.parent for folder in ("unreel", *MAPPED) for path in sources(folder)}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_relative_imports_are_resolved() -> None:
    assert imports_of("from . import b", "unreel.engine.a", False) == {"unreel.engine.b"}
    assert imports_of("from ..engine import c", "unreel.modalities.video", True) == {"unreel.modalities.engine.c"}
    assert imports_of("from ..engine import c", "unreel.modalities.start", False) == {"unreel.engine.c"}
    assert imports_of("from .b import c", "unreel.engine", True) == {"unreel.engine.b.c"}
    assert imports_of("def f():\n    import ray", "unreel.a", False, top_level_only=True) == set()
