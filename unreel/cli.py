"""The command line: one file per command in `unreel/commands`, wired together here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from unreel.commands.bench import bench
from unreel.commands.convert import convert
from unreel.commands.forecast import forecast
from unreel.commands.generate import generate
from unreel.commands.inspect import inspect
from unreel.commands.models import models
from unreel.commands.profile import profile
from unreel.commands.serve import serve
from unreel.commands.train import train
from unreel.commands.watch import watch
from unreel.engine.errors import UserError

# What the parser raises, by way of its base: the class's own module depends on typer's version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    help="Live streams out of autoregressive video and 3D models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(models)
app.command()(inspect)
app.command()(convert)
app.command()(generate)
app.command()(forecast)
app.command(context_settings=PASS_ON)(train)
app.command()(bench)
app.command()(profile)
app.command()(serve)
app.command()(watch)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the machine failed (disk full), 2 bad input, 130 interrupted.

    Bad input is one line on stderr, ``error: expected, got, what to do``, and never a traceback.
    """
    try:
        code = app(args=arguments, prog_name="unreel", standalone_mode=False)
    except UserError as error:
        _fail(str(error), 2)
    except UsageError as error:
        message = str(error.format_message())  # type: ignore[attr-defined]
        _fail(f"{message} (see unreel --help)", 2) if message else sys.exit(2)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
