"""`decontaminate:` of a recipe: the evaluation prompts that no row may repeat."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from xirecipe.recipe.base import PositiveInt, Section
from xirecipe.recipe.corpus import Source

#: Part of a drop reason and of a file name.
EvaluationName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*$")]


class Decontaminate(Section):
    """Candidates that share a run of words with an evaluation prompt are dropped.

    A prompt with fewer words than such a run is looked for whole; one of fewer than four, where a column says nothing
    else.
    """

    evaluations: dict[EvaluationName, Source] = Field(min_length=1)
    """Where the prompts are; `text_column` holds a prompt, or the turns of a conversation. The first evaluation that a
    candidate repeats is the reason for which it goes."""
    ngram_words: PositiveInt = 8
    """Words of a run. GPT-3 took the 5th percentile of a benchmark's example lengths, held between 8 and 13 (arXiv
    2005.14165, appendix C). Prompts of chat benchmarks are short (Vicuna's 80: 5th percentile 9, median 17), so its
    lower bound, which Tulu 3 takes as well (arXiv 2411.15124). datatrove's own default is 12."""
    columns: tuple[Literal["instruction", "response"], ...] = Field(
        ("instruction", "response"), strict=False, min_length=1
    )
    """Where runs are looked for, in this order."""
