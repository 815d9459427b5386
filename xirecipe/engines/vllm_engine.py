"""vLLM in this process: requests go into its engine one by one and come out as each is finished.

`LLM.generate` would hand a whole batch back at its end, and a kill would lose it all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from xirecipe.models.replies import label_log_probs
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request, no_chat_template
from xirecipe.models.server import TOP_TOKENS
from xirecipe.models.vllm import ADAPTED, lora_room, own_arguments
from xirecipe.models.weights import adapter_of
from xirecipe.recipe.models import Sampling, VllmModel
from xirecipe.settings import Settings


class VllmEngine:
    """Wraps a `vllm.LLM`. Raises FatalModelError where the model cannot be asked as the recipe says."""

    def __init__(self, llm: Any, *, chat: bool, adapter: Path | None = None) -> None:
        self._engine = llm.llm_engine
        self._tokenizer = llm.get_tokenizer()
        # A tokenizer without this name has its frame for messages elsewhere.
        if chat and getattr(self._tokenizer, "chat_template", "") is None:
            raise no_chat_template()
        self._chat = chat
        self._lora = _lora(adapter)
        if self._lora is not None:
            # Now, and not with the first request: weights that do not fit would end the engine's process.
            self._engine.add_lora(self._lora)
        self._asked: dict[str, tuple[Request, int]] = {}
        self._over = Event()
        Thread(target=self._watch, daemon=True).start()
        #: As many again as are decoded together: whoever finishes is followed at once, without waiting for us.
        self.room = 2 * self._engine.vllm_config.scheduler_config.max_num_seqs

    @property
    def in_flight(self) -> int:
        return len(self._asked)

    def add(self, key: str, request: Request) -> Failure | None:
        """Hand a request over. A Failure when it does not fit the context.

        Raises FatalModelError when the engine's process died.
        """
        tokens, continued = self._tokens(request)
        params = _params(request)
        needed, room = len(tokens) + params.max_tokens, self._engine.model_config.max_model_len
        if needed > room:
            return Failure("too_long", f"the prompt and what follows it need {needed} tokens; the context holds {room}")
        with _alive():
            self._engine.add_request(key, {"prompt_token_ids": tokens}, params, lora_request=self._lora)
        self._asked[key] = request, continued
        return None

    def step(self) -> list[tuple[str, Answer]]:
        """Let the engine go one step. Returns what it finished. With nothing in flight it would wait for ever.

        Raises FatalModelError when the engine's process died.
        """
        done = []
        with _alive():
            outputs = self._engine.step()
        for output in outputs:
            if output.finished:
                # Keys are hexadecimal; vLLM may append a mark of its own to an id that it was given.
                key = output.request_id.partition("-")[0]
                request, continued = self._asked.pop(key)
                done.append((key, _answer(request, output, continued)))
        return done

    def shut_down(self) -> None:
        """Stop the engine's own process. What distilabel does instead is for an older vLLM."""
        self._over.set()
        self._engine.engine_core.shutdown()

    def _watch(self) -> None:
        """Wake who waits for a step when the engine's process was killed: vLLM 0.32 sees it and lets them wait on."""
        from vllm.v1.engine.exceptions import EngineDeadError

        core = self._engine.engine_core
        # An engine in this very process has none of it, and cannot die alone.
        while hasattr(core, "resources") and not self._over.wait(1):
            if core.resources.engine_dead:
                core.outputs_queue.put_nowait(EngineDeadError())
                return

    def _tokens(self, request: Request) -> tuple[list[int], int]:
        """The request as token ids, and how many of the last ones are a continuation to be scored.

        Prompt and continuation are cut into tokens apart, as the embedded engine does: the seam is then exact.
        """
        if request.kind != "score" and self._chat:
            message = [{"role": "user", "content": request.prompt}]
            encoded = self._tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=True)
            return list(encoded["input_ids"]), 0
        tokens = list(self._tokenizer.encode(request.prompt))
        if request.kind != "score":
            return tokens, 0
        continuation = list(self._tokenizer.encode(request.continuation, add_special_tokens=False))
        return tokens + continuation, len(continuation)


@contextmanager
def _alive() -> Iterator[None]:
    """An engine that died is the machine's doing (memory, most often) and no bug of ours. Raises FatalModelError."""
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except EngineDeadError as error:
        hint = "see the log for its last words; was there enough memory?"
        raise FatalModelError("vllm-died", "vLLM's engine ended while it was asked", hint) from error


def engine_options(model: VllmModel, settings: Settings) -> dict[str, Any]:
    """Keyword arguments of `vllm.LLM` from the model's limits and the setting that otherwise goes to `vllm serve`."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
    defaults = vars(parser.parse_args([]))
    given = vars(parser.parse_args(own_arguments(settings)))
    options = {name: value for name, value in given.items() if value != defaults[name]}
    if model.max_model_tokens is not None:
        options["max_model_len"] = model.max_model_tokens
    if (adapter := adapter_of(model)) is not None:
        room = lora_room(adapter)
        options |= {"enable_lora": True, "max_lora_rank": room.rank, "lora_target_modules": room.modules}
    return options


def _lora(adapter: Path | None) -> Any:
    if adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest(ADAPTED, 1, str(adapter))


def _params(request: Request) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    # What is written so far is of no use here, and costs a text and an object for each token.
    whole = RequestOutputKind.FINAL_ONLY
    match request.kind:
        case "complete":
            sampling = request.sampling or Sampling()
            return SamplingParams(
                output_kind=whole,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k or 0,
                max_tokens=sampling.max_tokens,
                stop=list(sampling.stop),
                seed=sampling.seed + request.draw,
            )
        case "choose":
            return SamplingParams(output_kind=whole, temperature=0, max_tokens=1, logprobs=TOP_TOKENS[0])
        case "score":
            return SamplingParams(output_kind=whole, temperature=0, max_tokens=1, prompt_logprobs=0)


def _answer(request: Request, output: Any, continued: int) -> Answer:
    made = output.outputs[0]
    prompt_tokens = len(output.prompt_token_ids)
    answer = Answer(made.text, made.finish_reason or "stop", prompt_tokens, len(made.token_ids))
    if request.kind == "choose":
        listed = [(entry.decoded_token or "", entry.logprob) for entry in made.logprobs[0].values()]
        return replace(answer, label_log_probs=label_log_probs(listed, request.labels))
    if request.kind == "score":
        positions = zip(output.prompt_token_ids[-continued:], output.prompt_logprobs[-continued:], strict=True)
        # The very first token of a prompt has no probability.
        scored = [entries[token].logprob for token, entries in positions if entries] if continued else []
        return Answer("", "stop", prompt_tokens, 0, log_prob=math.fsum(scored), scored_tokens=len(scored))
    return answer
