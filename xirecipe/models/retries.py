"""When a request to a server is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from xirecipe.models.requests import Failure

Result = TypeVar("Result")
_BACK_OFF = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 0.5)


class TryAgain(Exception):
    """An attempt that failed in a way that may pass. `wait_seconds` is the server's own wish."""

    def __init__(
        self,
        failure: Failure,
        wait_seconds: float = 0.0,
        *,
        refused_connection: bool = False,
        too_many: bool = False,
    ) -> None:
        super().__init__(failure.detail)
        self.failure, self.wait_seconds = failure, wait_seconds
        self.refused_connection, self.too_many = refused_connection, too_many


async def retried(attempts: int, attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Calls again after TryAgain, `attempts` times in all, with a growing wait; the last TryAgain is raised."""
    try:
        return await attempt()  # most requests need no more, and tenacity costs a tenth of one
    except TryAgain as error:
        failed: list[TryAgain] = [error]

    async def again() -> Result:
        if failed:
            raise failed.pop()
        return await attempt()

    retrying = AsyncRetrying(
        stop=stop_after_attempt(attempts), wait=_wait, retry=retry_if_exception_type(TryAgain), reraise=True
    )
    return await retrying(again)


def retry_after_seconds(header: str) -> float:
    """`Retry-After` in seconds. The rare form with a date falls back to our own back-off."""
    try:
        return max(0.0, float(header))
    except ValueError:
        return 0.0


def crowded_seconds(refusals: int) -> float:
    """How long to stand back after a refusal for being one too many, at random so that not all come back at once."""
    return min(0.05 * 2.0 ** min(refusals, 10), 5.0) * random.uniform(0.5, 1.0)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wish = error.wait_seconds if isinstance(error, TryAgain) else 0.0
    return max(wish, _BACK_OFF(state))
