"""One run at a time on a store that several machines see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from xirecipe import lease
from xirecipe.diagnostics import UserError, render_text
from xirecipe.remote import Remote


def said(error: pytest.ExceptionInfo[UserError]) -> str:
    return render_text(error.value.diagnostics)


def test_while_one_holds_it_another_is_told_who(elsewhere: str) -> None:
    with lease.held(Remote(elsewhere), "a"), pytest.raises(UserError) as error, lease.held(Remote(elsewhere), "b"):
        pass
    assert f"error[store-in-use]: another run is using {elsewhere}: process " in said(error)


def test_when_one_is_done_another_may(elsewhere: str) -> None:
    with lease.held(Remote(elsewhere), "a") as first:
        pass
    with lease.held(Remote(elsewhere), "b") as second:
        assert second.number == first.number + 1


def test_after_kill_9_the_same_machine_goes_on_at_once_and_another_waits(elsewhere: str) -> None:
    remote = Remote(elsewhere)
    lease._taken(remote, "a")  # what a killed process leaves behind
    with pytest.raises(UserError), lease.held(remote, "b"):
        pass
    with lease.held(remote, "a"):
        pass


def test_a_lease_that_ran_out_is_taken_over_and_its_old_holder_may_write_no_more(
    elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote(elsewhere)
    monkeypatch.setattr(lease, "ALIVE_SECONDS", 0.0)
    old = lease._taken(remote, "a")
    old.check()
    with lease.held(remote, "b") as new:
        with pytest.raises(UserError) as error:
            old.check()
        assert "error[lease-lost]" in said(error)
        new.check()


def test_of_many_that_come_at_once_one_gets_it(elsewhere: str) -> None:
    with ExitStack() as stack:

        def take(machine: int) -> bool:
            try:
                stack.enter_context(lease.held(Remote(elsewhere), str(machine)))
            except UserError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(take, range(8))).count(True) == 1


def test_a_file_that_is_no_lease_is_no_lease(elsewhere: str) -> None:
    Remote(elsewhere).write("leases/.DS_Store", b"from somebody's sync")
    with lease.held(Remote(elsewhere), "m1"):
        pass
