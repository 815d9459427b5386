"""How many requests a server is sent at once: fewer when it says that it has too many, slowly more when it does not."""

from __future__ import annotations

import asyncio

#: What stays of the number in flight after a refusal, and what an unrefused round trip adds (AIMD: Chiu and Jain 1989,
#: doi:10.1016/0169-7552(89)90019-6). Mild, because the limit of a server stands still: it is overshot by one at a time.
_DECREASE, _INCREASE = 0.75, 1.0
#: An answer is quick that comes within this share of the time-out. Whoever doubles the requests in flight doubles an
#: answer's time at most, so that answers which allow a step are still far from the time-out after it.
QUICK_RATIO = 0.25


class Pace:
    """Lets at most `limit` requests be in flight. Use it inside one event loop.

    `limit` starts at `begin`, shrinks once for each round of requests that the server refuses (429), and grows back by
    one for every `limit` answers. Beyond `begin`, up to `most`, it grows by one for every quick answer until the first
    refusal or time-out, and a time-out takes it back to `begin`. It never leaves 1..`most`.
    """

    def __init__(self, begin: int, most: int | None = None, quick_seconds: float = 0.0) -> None:
        self.most = max(begin, most or begin)
        self.limit = float(begin)
        self._begin, self._quick_seconds = begin, quick_seconds
        self._in_flight = 0
        self._round = 0
        self._not_before = 0.0
        self._free = asyncio.Condition()

    async def enter(self) -> int:
        """Wait until one more may be in flight, and until the server's `Retry-After` is over. Returns its round."""
        async with self._free:
            while self._in_flight >= int(self.limit):
                await self._free.wait()
            self._in_flight += 1
        loop = asyncio.get_running_loop()
        try:
            while (wait := self._not_before - loop.time()) > 0:
                await asyncio.sleep(wait)
        except asyncio.CancelledError:
            await self.leave()
            raise
        return self._round

    async def leave(self) -> None:
        """A request is no longer in flight, whatever came of it."""
        async with self._free:
            self._in_flight -= 1
            # Two, because the limit may have grown by one meanwhile.
            self._free.notify(2)

    def answered(self, seconds: float) -> None:
        """The server took a request, and answered after so many seconds."""
        highest = self.most if seconds <= self._quick_seconds else self._begin
        step = _INCREASE / self.limit if self._round else 1.0
        self.limit = max(self.limit, min(float(highest), self.limit + step))

    def refused(self, round: int, wait_seconds: float) -> None:
        """The server had too many. Requests sent before the last refusal was known say nothing new."""
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + wait_seconds)
        if round == self._round:
            self._round += 1
            self.limit = max(1.0, self.limit * _DECREASE)

    def timed_out(self, round: int) -> None:
        """The server did not answer in time. Of requests sent before the last refusal or time-out: see `refused`."""
        if round == self._round and self.limit > self._begin:
            self._round += 1
            self.limit = float(self._begin)
