"""The Hub client's progress bars, only where somebody looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hub_progress() -> Iterator[None]:
    """Bars on a terminal; nothing in a pipe or in CI."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    if os.environ.get("CI") or not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
