"""`xirecipe verify`: is a finished run what its manifests say?"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from xirecipe import tables
from xirecipe.commands.common import Session, command_line, open_session
from xirecipe.commands.run import release_folder
from xirecipe.diagnostics import Diagnostic, Span, UserError, user_error
from xirecipe.fingerprint import file_digest
from xirecipe.hub.rows import CONFIG, CONFIGS
from xirecipe.loaded import shown_name
from xirecipe.plan import MixPlan


def run_verify(recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None) -> int:
    """0 when everything agrees. Raises UserError with every disagreement."""
    session = open_session(recipe, profile, overrides, limit)
    final = session.store.artifact("split", session.plan.stages[-1].fingerprint)
    if not final.done:
        raise user_error(
            "not-finished", "this recipe has not been run to its end", hint=command_line(session.plan, "run")
        )
    problems = [*_artifacts(session), *_release(session)]
    if problems:
        raise UserError(problems)
    rows = tables.count(final.data)
    folder = shown_name(release_folder(session))
    print(f"verified: {len(session.plan.stages)} stages add up, {rows:,} rows, {folder} loads")
    return 0


def _artifacts(session: Session) -> Iterator[Diagnostic]:
    kept: dict[str, int] = {}
    for stage in session.plan.stages:
        artifact = session.store.artifact(stage.kind, stage.fingerprint)
        manifest, at = artifact.manifest(), Span(shown_name(artifact.manifest_path))
        lost = {"dropped": manifest.dropped, "failed": manifest.failed}
        if not manifest.balanced:
            yield Diagnostic(
                "unbalanced", f"{stage.label}: kept, dropped and failed do not add up to {manifest.asked}", at
            )
        for name, folder, expected in (
            ("kept", artifact.data, manifest.kept),
            ("dropped", artifact.dropped, sum(lost["dropped"].values())),
            ("failed", artifact.failed, sum(lost["failed"].values())),
        ):
            found = tables.count(folder)
            if found != expected:
                yield Diagnostic(
                    "row-count", f"{stage.label}: {found:,} rows {name} on disk, {expected:,} in the manifest", at
                )
        previous = sum(kept[given.fingerprint] for given in stage.feeding) if stage.feeding else manifest.rows_in
        if manifest.rows_in != previous:
            yield Diagnostic(
                "row-count", f"{stage.label}: {manifest.rows_in:,} rows in, {previous:,} out of the stage before", at
            )
        if manifest.fingerprint != stage.fingerprint:
            yield Diagnostic("fingerprint", f"{stage.label}: the manifest is of another fingerprint", at)
        for file, expected in manifest.facts.get("adapter", {}).get("files", {}).items():
            path = artifact.adapter / file
            if not path.is_file() or file_digest(path) != expected:
                yield Diagnostic("adapter", f"{stage.label}: {file} is not the one in the manifest", at)
        kept[stage.fingerprint] = manifest.kept


def _release(session: Session) -> Iterator[Diagnostic]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from datasets.utils.logging import disable_progress_bar

    folder = release_folder(session)
    session.store.bring(folder)
    at = Span(shown_name(folder))
    if not (folder / "README.md").exists():
        yield Diagnostic("no-release", "the release folder is not there", at, command_line(session.plan, "run"))
        return
    disable_progress_bar()

    for config, wanted in _expected(session).items():
        try:
            with tempfile.TemporaryDirectory() as cache:
                loaded = load_dataset(str(folder), config, cache_dir=cache)
                found = {name: len(split) for name, split in loaded.items()}
        except (DatasetsError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:300]
            yield Diagnostic("unloadable", f"load_dataset cannot read {config}: {said}", at)
            continue
        if found != wanted:
            yield Diagnostic("row-count", f"load_dataset gives {found} of {config}, the rows are {wanted}", at)


def _expected(session: Session) -> dict[str, dict[str, int]]:
    """Rows by split of every config of the release: all of them, or those of a mix that stand in it."""
    rows = [
        (row.get("config"), row["split"])
        for row in tables.read(session.store.artifact("split", session.plan.stages[-1].fingerprint).data, None)
    ]
    if isinstance(session.plan, MixPlan):
        names = [CONFIG, *dict.fromkeys(str(config) for config, _ in rows)]
    else:
        names = [config.name for config in CONFIGS]
    return {
        name: dict(Counter(split for config, split in rows if config in (None, name) or name == CONFIG))
        for name in names
    }
