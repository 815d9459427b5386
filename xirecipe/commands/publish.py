"""`xirecipe card` and `xirecipe release`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from xirecipe.commands.common import open_session
from xirecipe.store import explained


def run_card(recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None) -> int:
    from xirecipe.hub.card import render_card

    session = open_session(recipe, profile, overrides, limit)
    print(render_card(session.plan, session.store), end="")
    return 0


def run_release(recipe: Path, to: Path, profile: str | None, overrides: Sequence[str], limit: int | None) -> int:
    from xirecipe.hub.folder import write_release

    session = open_session(recipe, profile, overrides, limit)
    with explained(to):
        folder = write_release(session.plan, session.store, to)
    print(f"dataset and card: {os.path.relpath(folder)}")
    return 0
