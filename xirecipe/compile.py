"""Recipe to plan. Reads the small files a recipe names; imports no engine and reaches no network."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from xirecipe.diagnostics import Sources, UserError, user_error
from xirecipe.fingerprint import digest, file_digest
from xirecipe.lint import lint
from xirecipe.load import Loaded, inside, load, with_origin
from xirecipe.plan import Plan
from xirecipe.recipe.corpus import FileSource
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import choose, read_pairs
from xirecipe.source_files import source_files
from xirecipe.stage import Stage
from xirecipe.store import write_whole


class BrokenRecipe(UserError):
    """A recipe with errors, and the texts its diagnostics quote."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded.diagnostics)
        self.sources: Sources = loaded.sources


def check(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Loaded:
    """Load and lint one recipe under one profile; everything found is in `diagnostics`."""
    loaded = load(path, profile, overrides)
    loaded.diagnostics += with_origin(lint(loaded), loaded)
    return loaded


def compile_recipe(
    path: Path,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    hashes: Path | None = None,
) -> Plan:
    """The plan of a recipe. `hashes` is a file that remembers content hashes by size and time of change.

    Raises BrokenRecipe with every error.
    """
    loaded = check(path, profile, overrides)
    if any(d.severity == "error" for d in loaded.diagnostics) or not loaded.recipe or not loaded.language:
        raise BrokenRecipe(loaded)
    recipe, language, root = loaded.recipe, loaded.language, loaded.root
    files = dict(loaded.files)

    def prompt(name: str) -> dict[str, str]:
        files[name] = inside(root, name, None, "prompt").read_text(encoding="utf-8")
        return {name: files[name]}

    def stage(kind: str, config: object, *inputs: Stage, **facts: object) -> Stage:
        return Stage(kind, config, language, inputs, root=root, **facts)  # type: ignore[arg-type]

    judge = recipe.judge
    judge_prompts = {
        name: text
        for part in (judge.rubric, judge.likelihood)
        if part is not None
        for name, text in prompt(part.prompt).items()
    }
    seed = inside(root, recipe.generate.exemplars.seed, None, "seed")
    exemplars = choose(read_pairs(seed, seed.name), recipe.generate.exemplars)

    corpus = stage("corpus", recipe.corpus, files=_content(recipe, root, hashes), limit=limit)
    dedup = stage("dedup", recipe.dedup, corpus)
    generate = stage(
        "generate", recipe.generate, dedup, exemplars=exemplars, prompts=prompt(recipe.generate.prompt),
        model_name=recipe.generate.model, model=recipe.models[recipe.generate.model],
    )  # fmt: skip
    judged = stage(
        "judge", judge, generate, prompts=judge_prompts, model_name=judge.model, model=recipe.models[judge.model]
    )
    embed = stage("embed", recipe.embed, judged)
    cluster = stage("cluster", recipe.cluster, embed)
    select = stage("select", recipe.select, cluster)
    split = stage("split", recipe.split, select)
    return Plan(
        recipe, language, loaded.profile or "", root, path,
        (corpus, dedup, generate, judged, embed, cluster, select, split),
        files, tuple(overrides), limit,
    )  # fmt: skip


def _content(recipe: Recipe, root: Path, hashes: Path | None) -> dict[str, str]:
    """sha256 of each file source's content, by `source:<name>`. A folder's is over its files' names and hashes."""
    known = _remembered(hashes)
    fresh: dict[str, str] = {}

    def content(path: Path) -> str:
        stat = path.stat()
        key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        fresh[key] = known.get(key) or file_digest(path)
        return fresh[key]

    found: dict[str, str] = {}
    for name, source in recipe.corpus.sources.items():
        if isinstance(source, FileSource):
            path = root / source.path
            try:
                if path.is_dir():
                    files = source_files(root, source)
                    found[f"source:{name}"] = digest([[p.relative_to(path).as_posix(), content(p)] for p in files])
                else:
                    found[f"source:{name}"] = content(path)
            except OSError as error:
                raise user_error("unreadable-corpus", f"{source.path}: {error.strerror}") from None
    if hashes is not None and hashes.parent.is_dir() and not fresh.items() <= known.items():
        # Only a memory: where it cannot be kept, the files are hashed again next time.
        with contextlib.suppress(OSError):
            write_whole(hashes, json.dumps(known | fresh, indent=0))
    return found


def _remembered(hashes: Path | None) -> dict[str, str]:
    """What was hashed before; nothing where the file is not there or was damaged."""
    if hashes is None:
        return {}
    try:
        known = json.loads(hashes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
