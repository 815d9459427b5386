"""What the judged metrics share: the prompt of a recipe's folder, the request, and what is wrong with a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xirecipe.diagnostics import user_error
from xirecipe.evaluating.answers import Answered
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.prompts import TemplateError, render
from xirecipe.recipe.evaluation import Evaluate
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import Sampling


class Unparsable(ValueError):
    """A reply without a verdict. `reason` is a word to count by, the message says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Questioner:
    """Renders one prompt of a recipe into requests."""

    config: Evaluate
    name: str
    """The template's path in the recipe."""
    template: str
    language: Language
    language_names: Mapping[str, str]
    """By the codes that rows carry in `language`; a code that is not here is shown as it is."""

    def request(self, row: Answered, variables: dict[str, object]) -> Request:
        """A question about `row`. Raises UserError for a prompt that fails on it."""
        wanted = self.language.name
        if row.language is not None:
            wanted = self.language_names.get(row.language, row.language)
        shown = {**variables, "language": self.language, "answer_language": wanted}
        try:
            text = render(self.template, shown)
        except TemplateError as error:
            raise user_error("bad-prompt", f"{self.name}: {error}") from None
        sampling = Sampling(temperature=self.config.temperature, top_p=1.0, max_tokens=self.config.max_tokens)
        return Request("complete", text, sampling)


def reply_of(outcome: Answer | Failure) -> str:
    """The text of a whole reply. Raises Unparsable where none came or it was cut off."""
    if isinstance(outcome, Failure):
        raise Unparsable(outcome.reason, outcome.detail)
    if outcome.finish_reason == "length":
        raise Unparsable("cut_off", f"{outcome.completion_tokens:,} tokens were not enough; see `evaluate.max_tokens`")
    return outcome.text
