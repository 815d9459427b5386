"""A recipe folder in a git repository of a test."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.builders import Folder, recipe_folder
from xirecipe.commands.against import compare
from xirecipe.reviewing.review import RecipeReview, Review


@dataclass(frozen=True)
class Repository:
    """`recipes/` with a recipe `tiny.yaml`, committed as the branch `main`."""

    root: Path
    folder: Folder

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a state")

    def review(self) -> Review:
        return compare(self.folder.root, "main")

    def one(self) -> RecipeReview:
        """The review of the only recipe that is touched."""
        (found,) = self.review().recipes
        return found


def repository(root: Path) -> Repository:
    folder = recipe_folder(root / "recipes")
    made = Repository(root, folder)
    made.git("init", "-q", "-b", "main")
    made.commit()
    made.git("checkout", "-q", "-b", "change")
    return made
