"""What `xirecipe diff` can compare: a recipe, also of a git revision; a stage's artifact; a released version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from xirecipe import tables
from xirecipe.artifact import Artifact, Manifest
from xirecipe.compile import BrokenRecipe, compile_recipe
from xirecipe.diagnostics import UserError, user_error
from xirecipe.hub.checking import read_manifest
from xirecipe.hub.current import MANIFEST
from xirecipe.hub.diffing import layout
from xirecipe.hub.pull import pull
from xirecipe.hub.registry import Registry
from xirecipe.hub.rows import CONFIG, release_row
from xirecipe.hub.versions import wanted_version
from xirecipe.load import load
from xirecipe.loaded import shown_name
from xirecipe.overlay import Tree
from xirecipe.plan import AnyPlan
from xirecipe.recipe.corpus import FileSource
from xirecipe.reviewing.changes import StageState, stages_of
from xirecipe.reviewing.rowsets import Rows
from xirecipe.reviewing.snapshots import Repository, is_plain
from xirecipe.store import Store
from xirecipe.tables import Row

_YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class Side:
    """One of the two. What is not known of it is None or empty."""

    name: str
    kind: Literal["recipe", "artifact", "release"]
    stages: tuple[StageState, ...]
    manifests: dict[str, Manifest] = field(default_factory=dict)
    """Of stages that were run, by label."""
    tree: Tree | None = None
    """The recipe's keys, bases and profile laid over one another."""
    prompts: dict[str, str] = field(default_factory=dict)
    """Texts of its templates by path in the recipe folder."""
    rows: Rows | None = None
    """Rows of the finished dataset in the columns of a release; of an artifact as they are."""
    row_kind: str = ""
    """What the rows are: those of a dataset, or of a stage."""
    release: Path | None = None


@contextmanager
def open_side(asked: str, profile: str | None, store: Store) -> Iterator[Side]:
    """The side that a word on the command line names; it is there while the block lasts.

    `recipe.yaml[@GIT_REVISION]`, a stage's folder in a store, a release folder, or `PLACE[@VERSION]` as `pull` has it.
    Raises UserError `unknown-side`, and as what is opened does.
    """
    path = Path(asked)
    place, _, word = asked.rpartition("@")
    with TemporaryDirectory(prefix="xirecipe-diff-") as temporary:
        if path.suffix in _YAML and path.is_file():
            yield _recipe(asked, compile_recipe(path, profile, hashes=store.root / "hashes.json"), store)
        elif place.endswith(_YAML):
            yield _recipe(asked, _at_revision(Path(place), word, profile, Path(temporary).resolve()), store)
        elif path.is_dir():
            yield _folder(asked, path)
        elif place and Path(place).is_dir() and (registry := Registry.at(Path(place))):
            version = wanted_version("" if word == "latest" else word, registry.versions(), place)
            yield _release(asked, registry.folder(version))
        elif "/" in asked and not asked.startswith((".", "/")) and path.suffix not in _YAML:
            yield _release(asked, pull(asked, Path(temporary) / "pulled").folder)
        else:
            hint = "a recipe, `recipe.yaml@REVISION`, a stage's folder, a release folder, or `owner/name@VERSION`"
            raise user_error("unknown-side", f"{asked} is nothing that can be compared", hint=hint)


def _folder(asked: str, path: Path) -> Side:
    if (path / MANIFEST).is_file():
        return _release(asked, path)
    if (path / "manifest.json").is_file():
        return _artifact(asked, Artifact(path))
    registry = Registry.at(path)
    if registry is not None:
        return _release(asked, registry.folder(registry.versions()[-1]))
    hint = "a stage's folder has a manifest.json, a release folder provenance/manifest.json"
    raise user_error("unknown-side", f"{path} holds neither a stage's rows nor a release", hint=hint)


def _recipe(name: str, plan: AnyPlan, store: Store) -> Side:
    done = {stage.label: store.artifact(stage.kind, stage.fingerprint) for stage in plan.stages}
    last = done[plan.stages[-1].label]

    def rows() -> Iterator[Row]:
        for row in tables.read(last.data):
            yield {**release_row(row), "split": row["split"]}

    tree = load(plan.path, plan.profile or None).tree
    folder = shown_name(plan.root)
    return Side(
        name, "recipe", tuple(stages_of(plan)),
        {label: artifact.manifest() for label, artifact in done.items() if artifact.done},
        _within(tree, folder), {path: text for path, text in plan.files.items() if path.endswith(".j2")},
        rows if last.done else None, "the dataset",
    )  # fmt: skip


def _within(tree: Tree, folder: str) -> Tree:
    """With files named from the recipe folder on, so that both sides name them alike."""
    keys, values = (
        {path: replace(span, file=span.file.removeprefix(f"{folder}/")) for path, span in table.items()}
        for table in (tree.keys, tree.values)
    )
    return Tree(tree.data, keys, values)


def _at_revision(path: Path, revision: str, profile: str | None, to: Path) -> AnyPlan:
    """The plan of a recipe as git has it. Local sources that git does not have are taken as they are now."""
    repository = Repository.of(path.parent)
    snapshot = repository.at(repository.commit(revision), to)
    if path.name not in snapshot.digests:
        raise user_error("missing-file", f"{path} does not exist at {revision}")
    recipe = load(to / path.name, profile).recipe
    for source in vars(recipe)["corpus"].sources.values() if recipe and "corpus" in vars(recipe) else ():
        if isinstance(source, FileSource) and is_plain(source.path):
            copy, now = to / source.path, path.parent / source.path
            if not copy.exists() and now.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(now.resolve())
    try:
        return compile_recipe(to / path.name, profile)
    except BrokenRecipe as error:
        folder = shown_name(to)
        raise UserError(
            replace(d, span=replace(d.span, file=f"{revision}:{d.span.file.removeprefix(folder + '/')}"))
            if d.span else d
            for d in error.diagnostics
        ) from None  # fmt: skip


def _artifact(name: str, artifact: Artifact) -> Side:
    manifest = artifact.manifest()
    state = StageState(manifest.label, manifest.stage, manifest.fingerprint, manifest.payload)

    def rows() -> Iterator[Row]:
        return tables.read(artifact.data)

    return Side(name, "artifact", (state,), {manifest.label: manifest}, rows=rows, row_kind=manifest.stage)


def _release(name: str, folder: Path) -> Side:
    manifest = read_manifest(folder, name)
    try:
        stages = [Manifest(**stage) for stage in manifest["stages"]]
    except (KeyError, TypeError):
        raise user_error("not-a-release", f"{name}: its manifest is of another kind") from None
    states = tuple(StageState(m.label, m.stage, m.fingerprint, m.payload) for m in stages)
    splits = layout(folder).get(CONFIG, {})

    def rows() -> Iterator[Row]:
        for split, files in splits.items():
            for row in tables.read_files(files):
                yield {**row, "split": split}

    tree, prompts = None, dict[str, str]()
    recipe = manifest.get("recipe_file")
    if isinstance(recipe, str) and (folder / recipe).is_file():
        root = folder / "recipe"
        tree = _within(load(folder / recipe, manifest.get("profile") or None).tree, shown_name(root))
        names = sorted(path for path in root.rglob("*.j2") if path.is_file())
        prompts = {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8", errors="replace") for p in names}
    return Side(
        name, "release", states, {m.label: m for m in stages}, tree, prompts, rows, "the dataset", folder
    )  # fmt: skip
