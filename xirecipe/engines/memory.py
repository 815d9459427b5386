"""Memory of a training process: kept between steps, and given back before it is too much."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

#: glibc hands memory back to the kernel and takes it anew at every step; where the first touch of a page is slow, as in
#: virtual machines, that is most of a step's time (20 seconds against 4, Gemma 3 270M on two cores). These keep it.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(20_000_000_000),
    "MALLOC_TOP_PAD_": str(256_000_000),
}
#: What is kept falls to pieces that fit nothing, and grows by some 50 MB a step: above this share of the machine's
#: memory the free pages go back, at the price of one slow step.
MOST_RATIO = 0.4


def give_back(most_ratio: float = MOST_RATIO) -> bool:
    """Hand free pages back to the kernel where this process holds more than that share of the machine's memory.

    Returns whether it did. Does nothing where the C library is not glibc.
    """
    machine = os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, AttributeError):
        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        if held > most_ratio * machine:
            ctypes.CDLL(None).malloc_trim(0)
            return True
    return False
