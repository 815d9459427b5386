"""Versions of a released dataset, and the least step between two of them that what changed allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, get_args

from xirecipe.diagnostics import user_error

Bump = Literal["PATCH", "MINOR", "MAJOR"]
#: From the smallest step to the largest.
BUMPS: tuple[Bump, ...] = get_args(Bump)
MEANING: dict[Bump, str] = {
    "PATCH": "the same rows",
    "MINOR": "rows, configs or columns were only added",
    "MAJOR": "rows or columns changed or are gone",
}

_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@dataclass(frozen=True, order=True)
class Version:
    """A released version: three numbers, and the tag `v1.2.3` that stands for them."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`1.2.3` or `v1.2.3`; None for everything else, also for `1.2.3-dev`."""
        found = _VERSION.fullmatch(text)
        return cls(*(int(number) for number in found.groups())) if found else None

    @property
    def tag(self) -> str:
        return f"v{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def after(self, bump: Bump) -> Version:
        """The next version by one step."""
        match bump:
            case "PATCH":
                return Version(self.major, self.minor, self.patch + 1)
            case "MINOR":
                return Version(self.major, self.minor + 1, 0)
            case "MAJOR":
                return Version(self.major + 1, 0, 0)


def versions_in(names: Iterable[str]) -> list[Version]:
    """The versions among some tags or folder names, oldest first; names that are no `vX.Y.Z` are left out."""
    return sorted(found for name in names if name.startswith("v") and (found := Version.parse(name)))


def step(old: Version, new: Version) -> Bump:
    """Which of the three numbers moved from one version to a later one."""
    if new.major > old.major:
        return "MAJOR"
    return "MINOR" if new.minor > old.minor else "PATCH"


def previous_of(version: Version, released: Iterable[Version]) -> Version | None:
    """The latest version before this one.

    Raises UserError `older-version` for a version that is not out yet, and would come after a later one.
    """
    known = sorted(released)
    if version not in known and known and known[-1] > version:
        raise user_error(
            "older-version",
            f"version {version} would come after {known[-1]}, which is released already",
            hint=f"`version: {known[-1].after('PATCH')}` or later",
        )
    return max((other for other in known if other < version), default=None)


def check_step(old: Version, new: Version, least: Bump, reasons: Iterable[str]) -> None:
    """Raises UserError `small-bump` where a version says less than what changed."""
    taken = step(old, new)
    if BUMPS.index(taken) >= BUMPS.index(least):
        return
    why = "; ".join(reasons)
    raise user_error(
        "small-bump",
        f"{old} -> {new} is a {taken} version ({MEANING[taken]}), but this is a {least} change: {why}",
        hint=f"`version: {old.after(least)}`",
    )


def wanted_version(asked: str, released: list[Version], where: str) -> Version:
    """The version somebody asked for; the latest for an empty text.

    Raises UserError `no-versions`, or `unknown-version` with the list of those that exist.
    """
    if not released:
        raise user_error("no-versions", f"{where} has no released version", hint="versions are tags such as v1.0.0")
    if not asked:
        return released[-1]
    version = Version.parse(asked)
    if version in released and version is not None:
        return version
    shown = ", ".join(str(other) for other in reversed(released))
    raise user_error("unknown-version", f"{where} has no version {asked}", hint=f"there are: {shown}")
