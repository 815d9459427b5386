"""Exit codes, and what goes where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import REPOSITORY, in_python, recipe_folder, xirecipe
from xirecipe import __version__


def test_help_and_version_are_results() -> None:
    assert xirecipe("--version").out == f"xirecipe {__version__}\n"
    ran = xirecipe("--help")
    assert (ran.code, ran.err) == (0, "")
    assert "Every mistake at once" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "error[usage]: No such command 'nonsense'"),
        (("check",), "error[usage]: Missing argument"),
        (("plan", "r.yaml", "--nonsense"), "error[usage]: No such option: --nonsense"),
        (("plan", "r.yaml", "--limit", "0"), "error[usage]: Invalid value for '--limit'"),
    ],
)
def test_wrong_usage_exits_2_with_a_hint(arguments: tuple[str, ...], said: str) -> None:
    ran = xirecipe(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.endswith("  = hint: xirecipe --help\n")


def test_a_mistake_of_the_user_exits_1_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("check", "no.yaml"),
        ("plan", "no.yaml"),
        ("plan", "."),
        ("run", "no.yaml"),
        ("card", "no.yaml"),
    ):
        ran = xirecipe(*arguments)
        assert (ran.code, ran.out) == (1, ""), arguments
        assert "error[" in ran.err
        assert "Traceback" not in ran.err


def test_a_bad_setting_exits_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe_folder(tmp_path).root)
    monkeypatch.setenv("XIRECIPE_WORKERS", "many")
    assert xirecipe("plan", "tiny.yaml").err == (
        "error[bad-setting]: XIRECIPE_WORKERS is `many`, which is not a number\n\n1 error\n"
    )


def test_a_bug_of_ours_exits_3_and_says_so(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom xirecipe import cli\nfrom xirecipe.commands import check\n"
        "check.run_check = lambda paths, how: 1 // 0\nsys.exit(cli.main(['check', 'r.yaml']))\n"
    )
    ran = in_python("-c", code, cwd=tmp_path)
    assert ran.code == 3
    assert "ZeroDivisionError" in ran.err
    assert "this is a bug in xirecipe, not in your recipe" in ran.err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "xirecipe", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (0, b"")


def test_output_in_a_poor_encoding_is_not_lost(tmp_path: Path) -> None:
    folder = recipe_folder(tmp_path)
    folder.recipe({"select": {"min_scor…": 2}})
    ran = in_python(
        "-m",
        "xirecipe",
        "check",
        "tiny.yaml",
        "--format",
        "json",
        cwd=tmp_path,
        PYTHONIOENCODING="ascii",
        PYTHONUTF8="0",
    )
    assert ran.code == 1, ran.err
    assert "min_scor\\u2026" in ran.out
