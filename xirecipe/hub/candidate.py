"""A version before it is out: its tree in a temporary folder, and what it changes for readers of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from xirecipe.diagnostics import UserError, user_error
from xirecipe.hub.diffing import Difference, card_lines, compare
from xirecipe.hub.folder import write_release
from xirecipe.hub.gates import Gate
from xirecipe.hub.trees import FileChanges, LocalFile, local_tree
from xirecipe.hub.version_facts import Since
from xirecipe.hub.versions import Version, check_step
from xirecipe.plan import AnyPlan
from xirecipe.store import Store

#: What of an older version is looked at: its rows, its card, its changelog.
COMPARED = ["*.parquet", "README.md", "CHANGELOG.md"]


@dataclass(frozen=True)
class Released:
    """What `release` did, or with `dry run` would do."""

    status: Literal["released", "already released", "in review", "dry run"]
    version: Version
    place: str
    """A URL, or a folder."""
    previous: Version | None
    difference: Difference | None
    """Against the previous version; None where there is none."""
    files: FileChanges
    card: tuple[str, ...] = ()
    """Changed lines of the card, as a unified diff."""
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    """With `dry run`: what would be refused."""
    commit: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A release tree, complete, with `difference` and `card` against the version before."""

    version: Version
    previous: Version | None
    folder: Path
    files: dict[str, LocalFile]
    difference: Difference | None
    card: tuple[str, ...]

    def check_step(self) -> None:
        """Raises UserError `small-bump`."""
        if self.previous and self.difference:
            check_step(self.previous, self.version, self.difference.least, self.difference.reasons)


@contextmanager
def candidate(
    plan: AnyPlan, store: Store, version: Version, previous: Version | None, old: Path | None
) -> Iterator[Candidate]:
    """The tree of a finished plan. `old` is the tree of the version before, where there is one.

    Raises UserError as `write_release` does. The same plan, rows and version before give the same bytes.
    """
    with TemporaryDirectory(prefix="xirecipe-release-") as temporary:
        folder = write_release(plan, store, Path(temporary) / plan.recipe.name)
        difference = None
        if old and previous:
            difference = compare(old, folder)
            changelog = old / "CHANGELOG.md"
            earlier = changelog.read_text(encoding="utf-8") if changelog.exists() else ""
            since = Since(str(previous), tuple(difference.reasons), earlier)
            # Card and changelog say what changed, which only the rows can tell: written again, now that it is known.
            write_release(plan, store, folder, since)
        yield Candidate(version, previous, folder, local_tree(folder), difference, _card_changes(old, folder))


def _card_changes(old: Path | None, new: Path) -> tuple[str, ...]:
    before = old / "README.md" if old else None
    text = before.read_text(encoding="utf-8") if before and before.exists() else ""
    return tuple(card_lines(text, (new / "README.md").read_text(encoding="utf-8")))


def version_of(plan: AnyPlan) -> Version:
    """The version a plan would be released as; `-dev` versions were refused before."""
    version = Version.parse(plan.recipe.version)
    if version is None:
        raise AssertionError(f"{plan.recipe.version} is no version to release")
    return version


def other_content(version: Version, where: str, changes: FileChanges) -> UserError:
    """A version that is out cannot be made again with another content."""
    paths = [*changes.changed, *changes.added, *changes.removed]
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return user_error(
        "tag-exists",
        f"{version.tag} of {where} is released with other content: {', '.join(paths[:5])}{more}",
        hint=f"a released version never changes; `version: {version.after('PATCH')}` if the rows are the same",
    )
