"""The release folder: laid out as a Hub dataset repository, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.disk import explained
from xirecipe.fingerprint import file_digest
from xirecipe.hub.content import AnyFacts, card_of, facts_of, write_rows
from xirecipe.hub.current import MANIFEST, manifest_in, recipe_digest
from xirecipe.hub.facts import manifests_of, recipe_file
from xirecipe.hub.provenance import resolved_yaml
from xirecipe.hub.rows import ReleaseData
from xirecipe.hub.version_facts import Since
from xirecipe.markdown import inline
from xirecipe.plan import AnyPlan
from xirecipe.store import Store


def write_release(plan: AnyPlan, store: Store, to: Path, since: Since | None = None) -> Path:
    """Write a finished plan's dataset into the folder `to`, and return it. `since`: what a release is compared with.

    A release of the same recipe, version and profile that lies there is replaced; anything else is left alone.
    Raises UserError: `not-finished`; `empty-release`; `card-metadata`; `folder-not-empty` for a folder that holds
    something else; `frozen-version` for other rows under a version without `-dev`; `disk-full`, `no-permission`.
    """
    facts = replace(facts_of(plan, store), since=since)
    if not facts.rows:
        hint = "see where they went with `xirecipe rejects` and the same arguments"
        raise user_error("empty-release", f"{plan.recipe.name}: no row is left to release", hint=hint)
    target = to.resolve()
    if not target.name:
        raise user_error("not-a-folder", f"{to} cannot be a release folder", hint="name a folder of its own")
    with explained(target):
        _recover(target)
        existing = _release_at(target, plan)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _partial(target) as folder:
            data = _write(facts, plan, store, folder)
            if existing and not facts.is_dev and existing["rows_sha256"] != data.rows_sha256:
                raise user_error(
                    "frozen-version",
                    f"{to} holds {plan.recipe.version} with other rows; a version without `-dev` never changes",
                    hint="raise `version` in the recipe",
                )
            _swap(folder, target)
    return to


def _write(facts: AnyFacts, plan: AnyPlan, store: Store, folder: Path) -> ReleaseData:
    data = write_rows(plan, store, folder)
    _text(folder, "README.md", card_of(facts, data))
    _text(folder, "recipe.yaml", resolved_yaml(plan.recipe))
    for path, text in plan.files.items():
        _text(folder, f"recipe/{_inside(path)}", text)
    for path, content in plan.attachments.items():
        _bytes(folder, f"recipe/{_inside(path)}", content)
    _text(folder, "CHANGELOG.md", changelog(facts))
    _text(folder, "provenance/funnel.json", _json([asdict(stage) for stage in facts.funnel]))
    _text(folder, "provenance/environment.txt", environment(facts))
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    manifest = {
        "name": plan.recipe.name,
        "version": plan.recipe.version,
        "profile": plan.profile,
        "recipe_file": f"recipe/{recipe_file(plan)}",
        "recipe_sha256": facts.recipe_sha256,
        "recipe_digest": recipe_digest(plan),
        "rows": {split: data.rows(split) for split in data.splits},
        "rows_sha256": data.rows_sha256,
        "files": {path: file_digest(folder / path) for path in written},
        "stages": [asdict(stage) for stage in manifests_of(plan, store).values()],
    }
    _text(folder, MANIFEST, _json(manifest))
    return data


def changelog(facts: AnyFacts) -> str:
    """The entry of this version."""
    splits = ", ".join(f"{split.name} {split.rows:,}" for split in facts.splits)
    heading = f"## {facts.recipe.version} ({facts.date or 'date not recorded'})"
    lines = [f"# Changelog of {facts.recipe.name}", "", heading, "", f"- {facts.rows:,} rows ({splits})"]
    lines += ["- Made with the `sample` profile: not data to train on"] if facts.is_sample else []
    if facts.since:
        lines += [f"- Since {facts.since.version}: {inline(change)}" for change in facts.since.changes]
        # What stands under the title of the earlier changelog: its entries, newest first.
        lines += ["", facts.since.changelog.partition("\n")[2].strip()]
    else:
        lines.append(
            "- First version" if facts.is_first_version else "- Changes from the previous version: not recorded"
        )
    return "\n".join(lines).rstrip() + "\n"


def environment(facts: AnyFacts) -> str:
    """`package==version` a line; a package with several versions over the stages has a line for each."""
    tool = [f"xirecipe=={facts.tool}"] if facts.tool else ["# xirecipe: version not recorded"]
    lines = tool + [f"{package}=={version}" for package, versions in facts.versions.items() for version in versions]
    return "\n".join(lines) + "\n"


def _release_at(target: Path, plan: AnyPlan) -> dict[str, Any] | None:
    """The manifest of the release that may be replaced; None where nothing is in the way."""
    if not target.exists():
        return None
    if not target.is_dir():
        raise user_error("not-a-folder", f"{target.name} is a file", hint="name a folder")
    if not any(target.iterdir()):
        return None
    known = manifest_in(target)
    if known is None:
        message = f"{target.name} holds something else than a release"
        raise user_error("folder-not-empty", message, hint="name another folder")
    mine = (plan.recipe.name, plan.recipe.version, plan.profile)
    theirs = (known["name"], known["version"], known["profile"])
    if mine != theirs:
        shown = " ".join(str(part) for part in theirs if part)
        hint = "name another folder, one for each version"
        raise user_error("folder-not-empty", f"{target.name} holds {shown}", hint=hint)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    strange = sorted(found - {*known["files"], MANIFEST})
    if strange:
        message = f"{target.name} holds files that no release wrote: {', '.join(strange[:5])}"
        raise user_error("folder-not-empty", message, hint="move them away, or name another folder")
    return known


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A folder beside the target to write into, gone afterwards unless it was renamed. A killed run's goes first."""
    folder = target.with_name(f".{target.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _recover(target: Path) -> None:
    """Put back the old release where a run was killed between the two renames of `_swap`."""
    old = _aside(target)
    if old.exists() and not target.exists():
        old.rename(target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced")


def _swap(folder: Path, target: Path) -> None:
    """Put a finished folder where the target is. The old one stands aside until the new one is in place."""
    old = _aside(target)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _inside(path: str) -> str:
    """A path of a plan's file, which must stay below `recipe/`."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise AssertionError(f"a recipe's file lies outside its folder: {path}")
    return path


def _text(folder: Path, path: str, text: str) -> None:
    _bytes(folder, path, text.encode("utf-8"))


def _bytes(folder: Path, path: str, content: bytes) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
