"""How a process of ours ended, and whose doing it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xirecipe.diagnostics import UserError
from xirecipe.engines.child import MODEL_DIED, Handover, check_ended_well


def ended(folder: Path, program: str) -> None:
    """Check a process that has run a program."""
    given = Handover(folder)
    given.log.write_text("its last words", encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-c", f"import os, sys\n{program}"], env=dict(os.environ))
    process.wait()
    check_ended_well(process, given, "training")


def test_a_process_that_ended_well_is_nobodys_problem(tmp_path: Path) -> None:
    ended(tmp_path, "pass")


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", f"os._exit({MODEL_DIED})"])
def test_a_process_that_was_killed_is_the_machines_doing(tmp_path: Path, death: str) -> None:
    with pytest.raises(UserError) as caught:
        ended(tmp_path, death)
    (problem,) = caught.value.diagnostics
    assert problem.code == "process-died"
    assert "enough memory" in (problem.hint or "")
    assert str(Handover(tmp_path).log) in (problem.hint or "")


def test_any_other_end_is_our_bug_and_its_last_words_are_shown(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the training process ended with code 3\nits last words"):
        ended(tmp_path, "sys.exit(3)")
