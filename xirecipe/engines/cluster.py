"""An existing Ray cluster: connecting to it, and calling a function on its machines."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import xirecipe
from xirecipe.diagnostics import Diagnostic, UserError, user_error
from xirecipe.settings import PREFIX, Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Times that Ray starts a task again whose worker died. Not for errors of the task itself: those would come again.
RETRIES = 3
#: Calls handed to Ray at a time, for each CPU of the cluster: none waits for the next one to be sent.
_AHEAD = 4


def connect(settings: Settings) -> int:
    """Connect this process to the cluster, once. Returns how many CPUs it has.

    Raises UserError: `missing-package` without Ray, `no-cluster` where none answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise user_error(
            "missing-package", f"{PREFIX}EXECUTOR is `ray`, and Ray is not installed",
            hint='pip install "xirecipe[ray]"',
        )  # fmt: skip
    import ray

    if not ray.is_initialized():
        path = [str(Path(xirecipe.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            ray.init(
                address=settings.ray_address,
                # Where the cluster's machines see this code's folder, it is this very code that runs there.
                runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(path)}},
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise user_error(
                "no-cluster",
                f"no Ray cluster answers at `{settings.ray_address}`: {reason}",
                hint=f"start one with `ray start --head`, or set {PREFIX}RAY_ADDRESS",
            ) from None
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def in_order(
    function: Callable[[Any, Item], Result], shared: Any, items: Iterable[Item], settings: Settings
) -> Iterator[Result]:
    """`function(shared, item)` of every item, on one CPU each, results in the order of the items.

    `function` is importable by name; `shared` travels once. A task whose worker dies is started again, so it must
    not mind running twice. Raises what the function raises, and UserError `workers-lost` when workers keep dying.
    """
    ahead = _AHEAD * connect(settings)
    import ray
    from ray.exceptions import RayError, RayTaskError

    task = ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")(_called)
    given = ray.put(shared)
    running: deque[Any] = deque()
    left = iter(items)
    try:
        while True:
            while len(running) < ahead and (item := next(left, running)) is not running:
                running.append(task.remote(xirecipe.__version__, function, given, item))
            if not running:
                return
            result: Result | _Told = ray.get(running[0])
            running.popleft()
            if isinstance(result, _Told):
                raise UserError(result.diagnostics)
            yield result
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise lost(error) from None
    finally:
        for each in running:
            ray.cancel(each, force=True)


def lost(error: Exception) -> Exception:
    """What a cluster whose workers keep dying means to the user."""
    return user_error(
        "workers-lost",
        f"workers of the Ray cluster died {RETRIES + 1} times over the same work: {type(error).__name__}",
        hint="is there enough memory on its machines? what is finished is kept; run again to go on",
    )


def other_version(driver: str) -> tuple[str, str, str]:
    """Code, message and hint for a machine that has another xirecipe than the run: its rows might be others."""
    message = f"a machine of the cluster has xirecipe {xirecipe.__version__}, the run has {driver}"
    return "other-version", message, "install the same version on all machines"


@dataclass(frozen=True)
class _Told:
    """A UserError on its way: exceptions with arguments of their own do not survive pickling."""

    diagnostics: tuple[Diagnostic, ...]


def _called(version: str, function: Callable[[Any, Item], Result], shared: Any, item: Item) -> Result | _Told:
    try:
        if version != xirecipe.__version__:
            code, message, hint = other_version(version)
            raise user_error(code, message, hint=hint)
        return function(shared, item)
    except UserError as error:
        return _Told(tuple(error.diagnostics))
