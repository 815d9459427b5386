"""How a model of a recipe is asked: one protocol, one way to get hold of it."""

from __future__ import annotations

from typing import Protocol, assert_never

from xirecipe.models.embedded_client import EmbeddedClient
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.models.server import ServerClient
from xirecipe.models.vllm import ADAPTED
from xirecipe.recipe.models import Adapter, EmbeddedModel, Model, ServerModel, VllmModel
from xirecipe.settings import PREFIX, Settings


class Client(Protocol):
    """Asks one model. `answer` raises FatalModelError when no request can succeed."""

    async def answer(self, request: Request) -> Answer | Failure: ...

    async def close(self) -> None: ...


#: Requests in flight to a vLLM server that nobody else asks, at most: as many as it decodes together on the largest
#: GPUs by default (vLLM's `max_num_seqs`: 1,024 there, 256 on others, where the rest waits in its queue).
OWN_SERVER_IN_FLIGHT = 1_024


def most_in_flight(settings: Settings, *, own_server: bool) -> int:
    """How many requests a server may have at once: a vLLM server of our own many, unless the setting is there."""
    if own_server and f"{PREFIX}REQUESTS_IN_FLIGHT" not in settings.environment:
        return OWN_SERVER_IN_FLIGHT
    return settings.requests_in_flight


def client_for(model: Model, name: str, settings: Settings, *, own_server: bool = False) -> Client:
    """A client for the model called `name` in the recipe. Raises FatalModelError.

    A vLLM model is reached as the server it is: one that is running (its URL is set), or one that
    `xirecipe.models.vllm.served` has started. In-process vLLM is the engine's, see `xirecipe.engines.llms`.
    """
    most = most_in_flight(settings, own_server=own_server)
    match model:
        case EmbeddedModel():
            return EmbeddedClient(model, settings)
        case VllmModel(adapter=Adapter(path=folder)):
            start = f"start it with `--enable-lora --lora-modules {ADAPTED}={folder}`"
            hint = f"{start}, and `--max-lora-rank` where the rank is above 16"
            return ServerClient(ADAPTED, name, model.prompt_format, settings, if_unknown=hint, most_in_flight=most)
        case ServerModel() | VllmModel():
            return ServerClient(model.model, name, model.prompt_format, settings, most_in_flight=most)
        case _:
            assert_never(model)
