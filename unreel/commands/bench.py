"""`unreel bench`: measure, and write down what was measured."""

from __future__ import annotations

import inspect
import json as jsonlib
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from unreel import benchmarks, catalogue
from unreel.benchmarks._tables import insert
from unreel.engine.errors import UserError
from unreel.report import check_json, write_json


def bench(
    what: Annotated[str, typer.Argument(help="A benchmark's name; `list` shows them.")],
    json: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
    quick: Annotated[bool, typer.Option(help="Shorter runs: for a look, not for the record.")] = False,
    saved: Annotated[Path | None, typer.Option("--from", help="Do not measure: take the results of this file.")] = None,
    readme: Annotated[Path | None, typer.Option(help="Put the table between its markers in this document.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Draw into this folder (needs unreel[bench]).")] = None,
    calibrate: Annotated[bool, typer.Option(help="reuse: find thresholds, write them into the model's card.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of real data; plan: of the game's environment.")] = None,
    model: Annotated[
        str | None, typer.Option(help="panorama, rig, motion, forecast: a model of yours, by its folder.")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="panorama, motion, forecast: only this part (repeatable); --json keeps the others."),
    ] = None,
) -> None:
    """Run a benchmark and print its table.

    Example:  unreel bench dream --json bench-dream.json
    """
    known = find_benchmarks()
    if what == "list":
        for name, module in known.items():
            print(f"{name:<16} {(import_module(module).__doc__ or '').strip().partition(chr(10))[0]}")
        return
    if what not in known:
        raise UserError(f"there is no benchmark {what!r}: known are {', '.join(known) or 'none'}")
    check_json(json)
    benchmark = import_module(known[what])
    if calibrate:
        if not hasattr(benchmark, "calibrate"):
            raise UserError(f"{what} has nothing to calibrate: use `unreel bench reuse --calibrate`")
        print(benchmark.calibrate(quick=quick))
        return
    own = catalogue.load(model) if model is not None and saved is None else None
    wishes = _wishes(what, benchmark.run, {"data": data, "parts": part or None, "model": own}, json)
    if plots is not None and "pictures" in inspect.signature(benchmark.run).parameters:
        wishes["pictures"] = plots
    results: dict[str, Any] = benchmark.run(quick=quick, **wishes) if saved is None else _read(saved)
    if json is not None:
        write_json(json, results)
    if readme is not None:
        tables = benchmark.tables(results) if hasattr(benchmark, "tables") else {what: benchmark.table(results)}
        for name, text in tables.items():
            insert(readme, name, text)
    if plots is not None and hasattr(benchmark, "plots") and not benchmark.plots(results, plots):
        print("no plots: they need `pip install unreel[bench]`")
    print(benchmark.table(results) if hasattr(benchmark, "table") else jsonlib.dumps(results, indent=2))


def _wishes(what: str, run: Any, given: dict[str, Any], json: Path | None) -> dict[str, Any]:
    """What a benchmark is asked for besides speed; ``json`` goes to those that save part by part."""
    taken = inspect.signature(run).parameters
    wishes = {name: value for name, value in given.items() if value is not None}
    if unfit := [name for name in wishes if name not in taken]:
        raise UserError(f"{what} takes no --{unfit[0].removesuffix('s')}: `unreel bench panorama` does")
    return {**wishes, "json": json} if "json" in taken else wishes


def _read(path: Path) -> dict[str, Any]:
    """Results that a run wrote with --json."""
    try:
        found: dict[str, Any] = jsonlib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} does not hold results of `unreel bench --json`: {error}") from None
    return found


def find_benchmarks() -> dict[str, str]:
    """Names and modules of all benchmarks: those modules of `benchmarks/` that do not begin with an underscore."""
    modules = pkgutil.iter_modules(benchmarks.__path__, "unreel.benchmarks.")
    names = {module.name.rpartition(".")[2]: module.name for module in modules}
    return {name.replace("_", "-"): path for name, path in names.items() if not name.startswith("_")}
