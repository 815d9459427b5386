"""The command line. Each command is a thin door to a function in `xirecipe.commands`, imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xirecipe.options import Json, Limit, Overrides, Profile, RecipePath, Version

app = typer.Typer(
    name="xirecipe",
    help="Instruction-tuning datasets for low-resource languages, declared as recipes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root(version: Version = False) -> None:
    pass


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Recipes, language files, or folders of them.")],
    format: Annotated[
        str, typer.Option("--format", help="text, json or github (annotations in a pull request).")
    ] = "text",
) -> None:
    """Every mistake at once, with file, line and column. Loads no engine, reaches no network."""
    from xirecipe.commands.check import run_check

    raise typer.Exit(run_check(paths, format))


@app.command()
def new(
    language: Annotated[str, typer.Option("--language", metavar="CODE", help="Such as yor_Latn (ISO 639-3, 15924).")],
    base: Annotated[
        str, typer.Option("--from", metavar="BASE", help="The recipe to extend.")
    ] = "bases/x_instruction.yaml",
    name: Annotated[str | None, typer.Option("--name", help="The dataset's name, and the recipe file's.")] = None,
    directory: Annotated[Path, typer.Option("--dir", help="The recipe folder.")] = Path("recipes"),
) -> None:
    """A recipe, its language file and a seed to fill in. Overwrites nothing."""
    from xirecipe.commands.edit import run_new

    raise typer.Exit(run_new(language, base, name, directory))


@app.command()
def bump(
    recipe: RecipePath,
    to: Annotated[str | None, typer.Option("--to", metavar="X.Y.Z[-dev]", help="This very version.")] = None,
    major: Annotated[bool, typer.Option("--major", help="Rows changed or are gone.")] = False,
    minor: Annotated[bool, typer.Option("--minor", help="Rows were only added.")] = False,
    patch: Annotated[bool, typer.Option("--patch", help="The same rows.")] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="Drop -dev.")] = False,
    dev: Annotated[bool, typer.Option("--dev", help="Go on in development, at the next version.")] = False,
) -> None:
    """Change a recipe's version, and no other character of the file."""
    from xirecipe.commands.edit import run_bump, step_of

    raise typer.Exit(run_bump(recipe, to, step_of(major, minor, patch), freeze, dev))


@app.command()
def pin(
    paths: Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="Recipes, or folders of them.")],
) -> None:
    """Write the Hub's commit of today where a recipe names a branch, and no other character."""
    from xirecipe.commands.pin import run_pin

    raise typer.Exit(run_pin(paths))


@app.command()
def fmt(
    paths: Annotated[list[Path], typer.Argument(help="Recipes, language files, or folders of them.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 1 where something would.")] = False,
) -> None:
    """Keys in the schema's order, two spaces a level; comments stay with their keys."""
    from xirecipe.commands.edit import run_fmt

    raise typer.Exit(run_fmt(paths, check))


@app.command()
def plan(
    recipe: RecipePath,
    profile: Profile = None,
    set: Overrides = None,
    limit: Limit = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="GIT_REV", help="What a change since then re-runs and costs; also of a folder."
        ),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="table, json; with --against also markdown.")] = "table",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 2 when something would run.")] = False,
    json: Json = False,
) -> None:
    """What is done, what would run and why, and the cost."""
    from xirecipe.commands.plan import run_plan_command

    shape = "json" if json else format
    raise typer.Exit(run_plan_command(recipe, profile, set or [], limit, exit_code, shape, against))


@app.command()
def run(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE...", help="One recipe, or several in turn.")],
    profile: Profile = None,
    set: Overrides = None,
    limit: Limit = None,
    to: Annotated[str | None, typer.Option("--to", metavar="STAGE", help="Stop after this stage.")] = None,
    enough: Annotated[
        bool, typer.Option("--enough", help="Read only as many documents as `select.rows` needs, in turns.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run stages with failed rows or ratings again.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the dataset: run what is missing, then release it."""
    from xirecipe.commands.run import run_run

    raise typer.Exit(run_run(recipes, profile, set or [], limit, to, retry_failed, enough, json))


@app.command()
def verify(recipe: RecipePath, profile: Profile = None, set: Overrides = None, limit: Limit = None) -> None:
    """Does a finished run add up, and does its release load?"""
    from xirecipe.commands.verify import run_verify

    raise typer.Exit(run_verify(recipe, profile, set or [], limit))


@app.command()
def preview(
    recipe: RecipePath,
    n: Annotated[int, typer.Option("-n", min=1, help="How many documents to take through the stages.")] = 5,
    profile: Profile = None,
    set: Overrides = None,
    json: Json = False,
) -> None:
    """A few rows, and dropped ones with their reasons."""
    from xirecipe.commands.look import run_preview

    raise typer.Exit(run_preview(recipe, n, profile, set or [], json))


@app.command()
def trace(
    recipe: RecipePath,
    document_id: str,
    profile: Profile = None,
    set: Overrides = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """One document and what each stage did with it."""
    from xirecipe.commands.look import run_trace

    raise typer.Exit(run_trace(recipe, document_id, profile, set or [], limit, json))


@app.command()
def rejects(
    recipe: RecipePath,
    stage: Annotated[str | None, typer.Option("--stage", help="Only this stage.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only this reason, such as length.min_chars.")] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many rows to show.")] = 10,
    try_: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="KEY=VALUE", help="What another threshold would change, without a run."),
    ] = None,
    profile: Profile = None,
    set: Overrides = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Dropped and failed rows, and what decided."""
    from xirecipe.commands.look import run_rejects

    raise typer.Exit(run_rejects(recipe, stage, reason, sample, try_ or [], profile, set or [], limit, json))


@app.command()
def card(recipe: RecipePath, profile: Profile = None, set: Overrides = None, limit: Limit = None) -> None:
    """The dataset card, rendered from manifests and rows."""
    from xirecipe.commands.publish import run_card

    raise typer.Exit(run_card(recipe, profile, set or [], limit))


@app.command()
def report(
    recipe: RecipePath,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The HTML file; in the store if not given.")
    ] = None,
    profile: Profile = None,
    set: Overrides = None,
    limit: Limit = None,
) -> None:
    """One HTML page about a run: funnel, scores, clusters, rows. Opens without network."""
    from xirecipe.commands.report import run_report

    raise typer.Exit(run_report(recipe, profile, set or [], limit, to))


@app.command()
def release(
    recipe: RecipePath,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Release to a folder of versions instead of the Hub.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change and be refused; do nothing.")
    ] = False,
    pr: Annotated[bool, typer.Option("--pr", help="Open a pull request on the Hub for people to review.")] = False,
    profile: Profile = None,
    set: Overrides = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Publish a finished dataset as a version: one commit, one tag."""
    from xirecipe.commands.publish import run_release

    raise typer.Exit(run_release(recipe, to, dry_run, pr, profile, set or [], limit, json))


@app.command()
def pull(
    repo: Annotated[
        str, typer.Argument(metavar="REPO[@VERSION]", help="owner/name on the Hub, or a folder of versions.")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Where to put it; NAME-vX.Y.Z when not given.")
    ] = None,
    config: Annotated[str | None, typer.Option("--config", help="Only the data of this config.")] = None,
    json: Json = False,
) -> None:
    """A released version, checked by hashes, with the recipe that made it."""
    from xirecipe.commands.pull import run_pull

    raise typer.Exit(run_pull(repo, to, config, json))


@app.command()
def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="recipe.yaml[@GIT_REV], a stage's folder, a release folder, ...")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="... or a registry folder or owner/name, with @VERSION.")],
    profile: Profile = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Rows shown of each kind of change.")] = 3,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something differs.")] = False,
    json: Json = False,
) -> None:
    """Two recipes, runs or released versions: keys, stages, counts, scores, rows."""
    from xirecipe.commands.diff import run_diff

    raise typer.Exit(run_diff(a, b, profile, examples, json, exit_code))


@app.command()
def evaluate(
    recipe: RecipePath,
    sets: Annotated[
        list[Path],
        typer.Argument(
            metavar="A [B]",
            help="Sets of rows: .jsonl, .parquet, .csv, release folders, or patterns in quotes that name several.",
        ),
    ],
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            help="pairwise (A against B), aspects (of A), consistency (over languages, of A), "
            "learning (what a model learns from A, and B).",
        ),
    ],
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Put the results there as well.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again what got no answer when this was evaluated before.")
    ] = False,
    profile: Profile = None,
    set: Overrides = None,
    json: Json = False,
) -> None:
    """Judge sets of answers, or what a model learns from datasets, as `evaluate` in the recipe says."""
    from xirecipe.commands.evaluate import run_evaluate

    raise typer.Exit(run_evaluate(recipe, metric, sets, profile, set or [], to, retry_failed, json))


@app.command()
def schema(
    write: Annotated[bool, typer.Option("--write", help="Write the JSON Schemas into DIR.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when they are not fresh.")] = False,
    directory: Annotated[Path, typer.Option("--dir", help="Where the schemas lie.")] = Path("schemas"),
) -> None:
    """JSON Schemas for editors."""
    from xirecipe.commands.schema import run_schema

    raise typer.Exit(run_schema(directory, write=write, check=check))
