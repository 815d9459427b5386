"""The way into the command line: what went wrong becomes a message and an exit code."""

from __future__ import annotations

import io
import sys
from typing import Any

import typer

from xirecipe.app import app

#: 128 + SIGINT, as shells report it.
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the CLI. 0 fine, 1 the user's input, 2 usage (or `plan --exit-code`), 3 our bug, 130 interrupted."""
    from xirecipe.diagnostics import Sources, UserError, render_text

    try:
        result: Any = app(arguments, standalone_mode=False)
    except UserError as error:
        sys.stderr.write(render_text(error.diagnostics, getattr(error, "sources", Sources())))
        return 1
    except (typer.Abort, KeyboardInterrupt):
        result = INTERRUPTED
    except SystemExit:
        # Only raised, by click, where the reader of our output, such as `head`, has seen enough.
        return 0
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            sys.stderr.write(f"error[usage]: {error.format_message()}\n  = hint: xirecipe --help\n")
            return int(error.exit_code)
        import traceback

        traceback.print_exc()
        sys.stderr.write(
            "\nerror[bug]: this is a bug in xirecipe, not in your recipe; please report the lines above\n"
            "  = hint: what is finished is kept in the store\n"
        )
        return 3
    # typer turns Ctrl-C into an exit code of its own accord.
    if result == INTERRUPTED:
        sys.stderr.write("\ninterrupted; what is finished is kept, and the same command goes on from there\n")
    return int(result or 0)


def entry() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or a pipe that cannot show a character must not cost the answer.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())


if __name__ == "__main__":
    entry()
