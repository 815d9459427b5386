"""Small recipes in a folder of a test: whole ones that check clean, and one place changed."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from xirecipe.cli import main

REPOSITORY = Path(__file__).parents[1]

RECIPE: dict[str, Any] = {
    "name": "tiny-swh",
    "version": "1.0.0-dev",
    "language": "swh_Latn",
    "corpus": {
        "sources": {"web": {"format": "jsonl", "path": "texts.jsonl", "license": "cc0-1.0"}},
        "filters": {"length": {"min_chars": 5, "max_chars": 500}},
    },
    "models": {
        "writer": {"engine": "server", "model": "tiny", "revision": "1", "license": "apache-2.0"},
    },
    "generate": {
        "model": "writer",
        "prompt": "prompts/write.j2",
        "exemplars": {"choice": "fixed", "random_seed": 0, "count": 2},
    },
    "judge": {"model": "writer", "rubric": {"prompt": "prompts/rate.j2", "levels": {"3": 3, "1": 1}}},
    "select": {"min_score": 2},
    "card": {"title": "Tiny", "summary": "s", "uses": "u", "not_for": "n", "biases": "b"},
    "release": {"license": "cc0-1.0"},
    "seed": {"path": "seed.jsonl", "license": "cc0-1.0"},
}
LANGUAGE: dict[str, Any] = {
    "code": "swh_Latn",
    "name": "Swahili",
    "native_name": "Kiswahili",
    "hub_code": "sw",
    "lid_labels": ["sw"],
    "filters": {"language": {"min_score": 0.2}},
    "sources": ["made up for a test"],
}
WRITE = "{% for pair in exemplars %}{{ pair.response }}: {{ pair.instruction }}\n{% endfor %}{{ text }}:"
RATE = "{{ language.name }}: {{ instruction }} {{ text }}"
TEXTS = ("Habari ya leo ni njema.", "Mvua imenyesha sana mjini.", "Chakula kiko tayari mezani.")
SEED = (
    {"id": "a", "instruction": "Describe rain.", "response": "Mvua hunyesha."},
    {"id": "b", "instruction": "Describe food.", "response": "Chakula ni kitamu."},
    {"id": "c", "instruction": "Describe a house.", "response": "Nyumba ni kubwa."},
)


@dataclass
class Folder:
    """A recipe folder on disk."""

    root: Path

    def write(self, name: str, content: str | bytes | dict[str, Any]) -> Path:
        """A file as bytes, as text, or as YAML."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            stream = io.StringIO()
            YAML().dump(content, stream)
            content = stream.getvalue()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def json_lines(self, name: str, rows: Any) -> Path:
        return self.write(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def recipe(self, changes: dict[str, Any] | None = None, name: str = "tiny.yaml") -> Path:
        """The recipe, changed at dotted keys; a value of `...` takes the key away."""
        return self.write(name, changed(RECIPE, changes or {}))

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")


def recipe_folder(root: Path) -> Folder:
    """A folder with a recipe `tiny.yaml` in which nothing is wrong."""
    folder = Folder(root)
    folder.recipe()
    folder.write("languages/swh_Latn.yaml", LANGUAGE)
    folder.write("prompts/write.j2", WRITE)
    folder.write("prompts/rate.j2", RATE)
    folder.json_lines("seed.jsonl", SEED)
    folder.json_lines("texts.jsonl", ({"id": str(i), "text": text} for i, text in enumerate(TEXTS)))
    return folder


def changed(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of `data` with the values at dotted keys set, or taken away where the value is `...`."""
    result = copy.deepcopy(data)
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        at = result
        for key in parents:
            at = at.setdefault(key, {})
        if value is ...:
            del at[last]
        else:
            at[last] = value
    return result


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str


def in_python(*arguments: str, cwd: Path, **environment: str) -> Ran:
    """Run Python with this repository's package in a process of its own."""
    paths = os.pathsep.join(path for path in (str(REPOSITORY), os.environ.get("PYTHONPATH")) if path)
    ran = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def xirecipe(*arguments: str | Path) -> Ran:
    """Run a command of the CLI in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Ran(code, out.getvalue(), err.getvalue())
