"""Rules for `datasets:` that a schema cannot say: files that must be there, revisions that must stand still, paths."""

from __future__ import annotations

from collections.abc import Iterator

from xirecipe.column_path import GRAMMAR, column_path
from xirecipe.diagnostics import Diagnostic, Span, did_you_mean, shortened
from xirecipe.lint import moving
from xirecipe.loaded import Loaded
from xirecipe.prompts import TemplateError, names_used, render
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import ROW_NUMBER, Columns, Dataset, FileVersion
from xirecipe.source_files import may_be_listed, source_files
from xirecipe.yaml import Path_


def datasets(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """Files that are not there, templates and paths that cannot be read, and revisions that can move."""
    yield from moving(recipe, loaded)
    # Without a mix that could be read, every dataset counts as used.
    used = recipe.used_datasets if "mix" in vars(recipe) else tuple(recipe.datasets)
    for name, dataset in recipe.datasets.items():
        place: Path_ = ("datasets", name)
        try:
            unknown = sorted(names_used(dataset.input_template) - {"instruction", "input"})
            if not unknown:
                render(dataset.input_template, {"instruction": "text", "input": "text"})
        except TemplateError as error:
            message = f"`datasets.{name}.input_template`: {shortened(error.message, 200)}"
            yield Diagnostic("bad-prompt", message, loaded.span(*place, "input_template"))
        else:
            for variable in unknown:
                message = f"`datasets.{name}.input_template` reads `{variable}`; there is `instruction` and `input`"
                hint = did_you_mean(variable, ("instruction", "input"))
                yield Diagnostic("unknown-column", message, loaded.span(*place, "input_template"), hint)
        yield from _paths(dataset, place, loaded)
        for code, version in dataset.versions.items():
            here = (*place, "versions", code)
            if isinstance(version, FileVersion) and name in used:
                yield from _file(version, here, loaded)


def _paths(dataset: Dataset, place: Path_, loaded: Loaded) -> Iterator[Diagnostic]:
    """Columns and paths into them that cannot be read."""
    written: list[tuple[str, Span, bool]] = []
    formats = {version.format for version in dataset.versions.values()}
    if dataset.align_on not in (None, ROW_NUMBER):
        written.append((dataset.align_on, loaded.span(*place, "align_on"), formats == {"csv"}))
    given: list[tuple[Path_, Columns | None, bool]] = [((*place, "columns"), dataset.columns, formats == {"csv"})]
    for code, version in dataset.versions.items():
        here, is_csv = (*place, "versions", code), version.format == "csv"
        given.append(((*here, "columns"), version.columns, is_csv))
        written += [(path, loaded.key_span(*here, "where", path), is_csv) for path in version.where]
    for at, columns, is_csv in given:
        for name, path in columns or ():
            if path is not None:
                written.append((path, loaded.span(*at, name), is_csv))
    for path, span, is_csv in written:
        try:
            steps = column_path(path).steps
        except ValueError as error:
            yield Diagnostic("bad-path", f"`{shortened(path)}` leads to no column: {error}", span, GRAMMAR)
            continue
        if steps and is_csv:
            message = f"`{shortened(path)}` leads into a column, and CSV has only text in its columns"
            yield Diagnostic("bad-path", message, span, "JSON Lines and parquet hold lists and mappings")


def _file(version: FileVersion, place: Path_, loaded: Loaded) -> Iterator[Diagnostic]:
    span, shown = loaded.span(*place, "path"), shortened(version.path, 200)
    path = loaded.root / version.path
    try:
        there = path.exists()
    except OSError:
        there = False
    if not there:
        yield Diagnostic("missing-dataset", f"{shown} does not exist", span, "paths start at the recipe's folder")
    elif may_be_listed(loaded.root, version) and not source_files(loaded.root, version):
        yield Diagnostic("missing-dataset", f"{shown} has no *.{version.format} file", span)
