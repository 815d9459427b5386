"""Identity: canonical JSON and the sha256 over it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: Hexadecimal digits of a fingerprint in a folder name: 64 bits, no collision among fewer than a billion artifacts.
SHORT = 16


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, real characters and no NaN: equal values give equal text everywhere."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """sha256 (hexadecimal) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 (hexadecimal) of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Default:
    """Stands where a payload has no value: defaults are left out of it."""

    def __repr__(self) -> str:
        return "default"


DEFAULT = _Default()


def differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two payloads differ: (dotted path, old value, new value), in the order of the keys.

    A value that only one of them has stands beside DEFAULT: it is another thing than null.
    """
    # A section that was not there at all differs by each of its keys.
    old, new = (({} if a is DEFAULT and isinstance(b, dict) and b else a) for a, b in ((old, new), (new, old)))
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted({*old, *new}):
            here = f"{path}.{key}" if path else str(key)
            found += differences(old.get(key, DEFAULT), new.get(key, DEFAULT), here)
        return found
    return [] if old == new else [(path, old, new)]
