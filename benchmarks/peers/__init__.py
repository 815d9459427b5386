"""Peers: each in an environment of its own, with versions pinned beside it, made once and kept."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def environment(name: str, kept_in: Path) -> Path:
    """The Python of a peer's environment, made from `<name>.txt` where it is not there yet. Needs a package index."""
    pins = HERE / f"{name}.txt"
    mark = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    folder = kept_in / f"{name}-{mark}"
    python = folder / "bin" / "python"
    if (folder / "made").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "-r", pins], check=True)
    compile_bytecode(python)
    (folder / "made").touch()
    return python


def compile_bytecode(python: Path) -> None:
    """What `pip install` does and uv does not, for everything in an environment: nobody compiles while timed."""
    code = "import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2, workers=0)"
    subprocess.run([python, "-c", code], check=True)
