"""`learn` of a recipe's sections: how a model comes to do what pairs show it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from xirecipe.recipe.base import LanguageCode, PositiveInt, Section

#: Where a recipe names seeds beside its own.
SEEDS_PLACES: tuple[tuple[str, ...], ...] = (("generate", "learn", "seeds"), ("rating_set", "seeds"))

Precision = Literal["auto", "bfloat16", "float32"]


class InContext(Section):
    """The model is left as it is; its prompt shows exemplars."""

    method: Literal["in_context"] = "in_context"


class LearnSeed(Section):
    """More pairs to learn from, beside the recipe's own; of another language, where it is named."""

    path: str
    """A JSON-lines file of pairs: `id`, `instruction`, `response`. Relative to the recipe's folder."""
    license: str
    language: LanguageCode | None = None
    """What the prompt calls the language of these responses, and where their sentences end; None: the recipe's."""


class FineTune(Section):
    """A low-rank adapter (LoRA, Hu et al. 2021, arXiv 2106.09685) on all linear layers of the section's model.

    Loss is taken on the answer alone. AdamW without weight decay, a warm-up over a tenth of the steps, then a cosine
    down to a twentieth of `learning_rate`; gradients are cut at norm 1.
    """

    method: Literal["fine_tune"]
    rank: PositiveInt = 16
    alpha: PositiveInt = 32
    """The adapter counts `alpha / rank` times."""
    dropout: float = Field(0, ge=0, lt=1)
    learning_rate: float = Field(4e-4, gt=0, lt=1)
    epochs: PositiveInt = 3
    """How often every pair is seen."""
    max_steps: PositiveInt | None = None
    """So many steps of `batch_size` pairs, instead of `epochs`."""
    batch_size: PositiveInt = 8
    random_seed: int = Field(0, ge=0)
    """Of the adapter's first values, the order of the pairs, dropout, and which pairs are drawn or held out."""
    precision: Precision = "auto"
    """Of the base weights while training; the adapter's are always float32. `auto`: bfloat16 where the GPU or the CPU
    (avx512_bf16, amx_bf16) multiplies in it, else float32. The manifest says which it was."""


class StageFineTune(FineTune):
    """Of a stage that shows exemplars to a model that is not trained."""

    exemplars: bool = False
    """Whether prompts show exemplars as well, in training and afterwards."""


class WriterFineTune(StageFineTune):
    """The writer learns to answer a text with the instruction that a person wrote for it.

    Pairs with one instruction, as in seeds of several languages, are learnt from or held out together.
    """

    seeds: dict[str, LearnSeed] = {}  # noqa: RUF012  pydantic copies defaults
    """By names of your choice."""
    max_text_chars: PositiveInt = 300
    """Cut a response after this many characters, at a sentence end; then `max_prompt_chars` cuts as it does texts."""
    held_out_ratio: float = Field(0.1, ge=0, lt=1)
    """Share of the instructions that is not learnt from, but measured on before and after."""


class JudgeFineTune(StageFineTune):
    """The evaluator learns the rubric's labels from the rating set's part to learn from; the other part measures it.

    Without a rubric it learns to write the instructions of the pairs that fit: a label is one token of a whole pair to
    learn from, an instruction is many, and which one it would have written tells right from wrong.
    `rating_set.seeds` gives it rated pairs of other languages to learn from as well.
    """


WriterLearn = Annotated[WriterFineTune | InContext, Field(discriminator="method")]
JudgeLearn = Annotated[JudgeFineTune | InContext, Field(discriminator="method")]
