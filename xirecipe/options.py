"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xirecipe import __version__

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, such as recipes/swahili.yaml.")]
Profile = Annotated[str | None, typer.Option("--profile", help="A profile of the recipe; `sample` when not given.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Lay one value over the recipe, as if written there. Repeatable."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Read only this many documents.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xirecipe {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]
