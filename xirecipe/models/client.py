"""How a model of a recipe is asked: one protocol, one way to get hold of it."""

from __future__ import annotations

from typing import Protocol, assert_never

from xirecipe.models.embedded_client import EmbeddedClient
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.models.server import ServerClient
from xirecipe.models.vllm import ADAPTED
from xirecipe.recipe.models import Adapter, EmbeddedModel, Model, ServerModel, VllmModel
from xirecipe.settings import Settings


class Client(Protocol):
    """Asks one model. `answer` raises FatalModelError when no request can succeed."""

    async def answer(self, request: Request) -> Answer | Failure: ...

    async def close(self) -> None: ...


def client_for(model: Model, name: str, settings: Settings) -> Client:
    """A client for the model called `name` in the recipe. Raises FatalModelError.

    A vLLM model is reached as the server it is: one that is running (its URL is set), or one that
    `xirecipe.models.vllm.served` has started. In-process vLLM is the engine's, see `xirecipe.engines.distilabel`.
    """
    match model:
        case EmbeddedModel():
            return EmbeddedClient(model, settings)
        case VllmModel(adapter=Adapter(path=folder)):
            start = f"start it with `--enable-lora --lora-modules {ADAPTED}={folder}`"
            hint = f"{start}, and `--max-lora-rank` where the rank is above 16"
            return ServerClient(ADAPTED, name, model.prompt_format, settings, hint)
        case ServerModel() | VllmModel():
            return ServerClient(model.model, name, model.prompt_format, settings)
        case _:
            assert_never(model)
