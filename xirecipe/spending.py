"""What a run may spend on models, and what it has spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from xirecipe.recipe.models import Rates
from xirecipe.recipe.selection import Budget


@dataclass
class Spending:
    """Limits, and what this run has spent so far over all its stages.

    Spent is what was answered in this run: answers found in the completion log cost nothing again, and a request that
    got no answer is not counted, because servers do not bill it.
    """

    limits: Budget
    rates: Mapping[str, Rates] = field(default_factory=dict)
    """By the model's name in the recipe; a model without rates costs no money."""
    calls: int = 0
    tokens: int = 0
    """Of prompts and completions together."""
    dollars: float = 0.0

    def add(self, name: str, calls: int, prompt_tokens: int, completion_tokens: int) -> None:
        """Count answers of the model called `name`."""
        self.calls += calls
        self.tokens += prompt_tokens + completion_tokens
        if rates := self.rates.get(name):
            self.dollars += prompt_tokens * rates.dollars_per_million_prompt_tokens / 1e6
            self.dollars += completion_tokens * rates.dollars_per_million_completion_tokens / 1e6

    def reached(self, in_flight: int = 0) -> bool:
        """Whether no further request may start while `in_flight` are on their way.

        Calls are never overspent. Tokens and dollars are known only from the answer: those in flight may go over.
        """
        limits = self.limits
        return (
            (limits.calls is not None and self.calls + in_flight >= limits.calls)
            or (limits.tokens is not None and self.tokens >= limits.tokens)
            or (limits.dollars is not None and self.dollars >= limits.dollars)
        )

    def __str__(self) -> str:
        """Spent of allowed, for every limit there is: `1,000 of 1,000 calls, $0.12 of $5.00`."""
        limits, parts = self.limits, []
        if limits.calls is not None:
            parts.append(f"{self.calls:,} of {limits.calls:,} calls")
        if limits.tokens is not None:
            parts.append(f"{self.tokens:,} of {limits.tokens:,} tokens")
        if limits.dollars is not None:
            parts.append(f"${self.dollars:,.2f} of ${limits.dollars:,.2f}")
        return ", ".join(parts)

    def to_payload(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "limits": self.limits.model_dump(),
            "rates": {name: rates.model_dump() for name, rates in self.rates.items()},
        }

    @classmethod
    def from_payload(cls, data: dict[str, Any]) -> Self:
        rates = {name: Rates.model_validate(each) for name, each in data["rates"].items()}
        return cls(**{**data, "limits": Budget.model_validate(data["limits"]), "rates": rates})
