"""How many requests a server is sent at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from xirecipe.models.client import OWN_SERVER_IN_FLIGHT, most_in_flight
from xirecipe.models.pacing import Pace
from xirecipe.settings import Settings

QUICK, SLOW = 1.0, 20.0


def paced(act: Callable[[Pace], None], begin: int = 4, most: int = 32) -> float:
    """The limit after some answers and refusals, which need an event loop."""

    async def inside() -> float:
        pace = Pace(begin, most, quick_seconds=10.0)
        act(pace)
        return pace.limit

    return asyncio.run(inside())


def answers(pace: Pace, count: int, seconds: float = QUICK) -> None:
    for _ in range(count):
        pace.answered(seconds)


def test_a_server_that_answers_quickly_gets_more_at_once_with_every_answer_up_to_the_most() -> None:
    assert paced(lambda pace: answers(pace, 4)) == 8
    assert paced(lambda pace: answers(pace, 500)) == 32


def test_one_that_is_slow_gets_no_more_than_at_the_beginning_and_keeps_what_it_had() -> None:
    assert paced(lambda pace: answers(pace, 500, SLOW)) == 4

    def slower(pace: Pace) -> None:
        answers(pace, 6)
        answers(pace, 500, SLOW)

    assert paced(slower) == 10


def test_without_a_higher_most_the_limit_stays() -> None:
    assert paced(lambda pace: answers(pace, 500), begin=4, most=4) == 4


def test_a_time_out_takes_back_what_was_added_and_once_for_all_that_were_on_their_way() -> None:
    def too_much(pace: Pace) -> None:
        answers(pace, 20)
        pace.timed_out(0)
        answers(pace, 3)
        pace.timed_out(0)

    assert 4 < paced(too_much) < 5


def test_a_time_out_of_as_many_as_at_the_beginning_changes_nothing() -> None:
    assert paced(lambda pace: pace.timed_out(0)) == 4


def test_after_a_refusal_it_grows_by_one_a_round_trip() -> None:
    def refused(pace: Pace) -> None:
        answers(pace, 28)
        pace.refused(0, 0.0)
        answers(pace, 24)

    assert 24.5 < paced(refused) < 25.1


def test_a_vllm_server_of_our_own_gets_more_unless_the_setting_names_a_number() -> None:
    named = Settings(requests_in_flight=8, environment={"XIRECIPE_REQUESTS_IN_FLIGHT": "8"})
    assert most_in_flight(Settings(), own_server=True) == OWN_SERVER_IN_FLIGHT
    assert most_in_flight(named, own_server=True) == 8
    assert most_in_flight(Settings(), own_server=False) == Settings().requests_in_flight
