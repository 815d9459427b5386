"""Memory is given back only when there is much of it."""

from __future__ import annotations

from xirecipe.engines.memory import give_back


def test_memory_is_kept_until_it_is_a_large_part_of_the_machines() -> None:
    assert not give_back(most_ratio=1.0)
    assert give_back(most_ratio=0.0)
