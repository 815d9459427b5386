"""sha256 digests with a number each, in sorted arrays: 24 bytes an entry, where a dictionary takes 120 and more."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Hexadecimal digits that a digest is known by: 128 bits, no collision among 10^12 digests that are ever met by chance.
_KNOWN_BY = 32
_LOW = 2**64 - 1
#: As many at once are sorted together; fewer are added one by one.
_MANY = 1_000
#: Entries that wait in a dictionary to be sorted in, at least, and one of so many where there are more.
_FEWEST_WAITING, _WAITING_OF = 16_384, 16


class Digests:
    """Hexadecimal digests and their numbers (0 to 2^63 - 1). What is in stays in, with its first number."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.uint64]] = []
        """High half, low half, number: one entry a place, sorted by the high half."""
        self._sorted: tuple[memoryview, ...] = (memoryview(b""),) * 3
        """Views of the arrays: they give Python's own numbers, which compare far faster than numpy's."""
        self._waiting: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._sorted[0]) + len(self._waiting)

    def __contains__(self, digest: str | bytes) -> bool:
        return self.get(digest) is not None

    def get(self, digest: str | bytes) -> int | None:
        return self._get(int(digest[:_KNOWN_BY], 16))

    def add(self, digest: str | bytes, number: int = 0) -> bool:
        """Whether it was not there before."""
        known = int(digest[:_KNOWN_BY], 16)
        if self._get(known) is not None:
            return False
        self._waiting[known] = number
        if len(self._waiting) >= max(_FEWEST_WAITING, len(self._sorted[0]) // _WAITING_OF):
            self._sort_in()
        return True

    def add_all(self, digests: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Many of them, in a quarter of the time that they take one by one."""
        if len(digests) < _MANY:
            for digest, number in zip(digests, numbers, strict=True):
                self.add(digest, number)
            return
        import numpy as np

        self._sort_in()
        raw = bytes.fromhex(b"".join(digest[:_KNOWN_BY] for digest in digests).decode("ascii"))
        halves = np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)
        # Stable: of equal ones the first stays first.
        order = np.lexsort((halves[:, 1], halves[:, 0]))
        halves = halves[order]
        new = np.ones(len(order), bool)
        new[1:] = (halves[1:] != halves[:-1]).any(axis=1)
        highs = self._arrays[0]
        places = np.searchsorted(highs, halves[:, 0])
        inside = np.flatnonzero(places < len(highs))
        for index in inside[highs[places[inside]] == halves[inside, 0]].tolist():
            new[index] &= self._get(int(halves[index, 0]) << 64 | int(halves[index, 1])) is None
        self._insert([halves[new, 0], halves[new, 1], np.array(numbers, np.uint64)[order[new]]])

    def _get(self, known: int) -> int | None:
        if (number := self._waiting.get(known)) is not None:
            return number
        highs, lows, numbers = self._sorted
        high, low = known >> 64, known & _LOW
        place = bisect_left(highs, high)
        while place < len(highs) and highs[place] == high:
            if lows[place] == low:
                return int(numbers[place])
            place += 1
        return None

    def _sort_in(self) -> None:
        import numpy as np

        new = sorted(self._waiting)
        parts = ((k >> 64 for k in new), (k & _LOW for k in new), (self._waiting[k] for k in new))
        columns = [np.fromiter(part, np.uint64, len(new)) for part in parts]
        self._waiting.clear()
        self._insert(columns)

    def _insert(self, columns: list[NDArray[np.uint64]]) -> None:
        """Sorted entries that are not in yet. One array after another, so that only one is there twice."""
        import numpy as np

        self._sorted = (memoryview(b""),) * 3
        self._arrays = self._arrays or [np.empty(0, np.uint64) for _ in columns]
        places = np.searchsorted(self._arrays[0], columns[0])
        for index, column in enumerate(columns):
            self._arrays[index] = np.insert(self._arrays[index], places, column)
        self._sorted = tuple(array.data for array in self._arrays)
