"""Reading what an OpenAI-compatible server replied. Pure functions over its JSON.

`chat` replies carry `message` and `logprobs.content`; `completion` replies carry `text` and parallel lists. Whatever a
server leaves out or sends as null is taken as not given; a reply without a choice is a `KeyError`, `IndexError` or
`TypeError` for the caller, who asks again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from xirecipe.models.requests import Answer

Reply = dict[str, Any]


def answer_of(reply: Reply) -> Answer:
    """The first choice's text, why it ended, and the tokens it took. An empty text is an answer."""
    choice = reply["choices"][0]
    text = choice["message"].get("content") if "message" in choice else choice["text"]
    usage = reply.get("usage") or {}
    return Answer(
        text=_writable(text or ""),
        finish_reason=choice.get("finish_reason") or "stop",
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
    )


def error_message(text: str) -> str:
    """The server's own words in the body of an error: `error.message` of its JSON where it is that, else all of it."""
    try:
        error = json.loads(text)["error"]
        return _writable(str(error["message"] if isinstance(error, dict) else error))
    except (ValueError, KeyError, TypeError):
        return text


def first_token_log_probs(reply: Reply) -> list[tuple[str, float]] | None:
    """The likeliest first tokens with their log-probabilities (natural), or None where the server gives none."""
    listed = reply["choices"][0].get("logprobs")
    if not listed:
        return None
    found: Iterable[tuple[str | None, float | None]]
    if listed.get("content"):
        entries = listed["content"][0].get("top_logprobs") or []
        found = [(entry.get("token"), entry.get("logprob")) for entry in entries]
    elif listed.get("top_logprobs"):
        found = (listed["top_logprobs"][0] or {}).items()
    else:
        return None
    # JSON has no infinity: servers that put no probability on a token write null.
    return [(token, float(log_prob)) for token, log_prob in found if token is not None and log_prob is not None]


def label_log_probs(listed: Iterable[tuple[str, float]], labels: Sequence[str]) -> dict[str, float]:
    """Log-probability of each label as first token; `3` and ` 3` are one label, their probabilities are added.

    A label that is not listed is left out: with 20 tokens listed its probability is below the last one's, which would
    be an upper bound that gives every unlisted label the same invented weight. So is a label longer than one token.
    """
    found: dict[str, list[float]] = {}
    for token, log_prob in listed:
        if token.strip() in labels:
            found.setdefault(token.strip(), []).append(log_prob)
    return {label: log_sum_exp(found[label]) for label in labels if label in found}


def log_sum_exp(values: Sequence[float]) -> float:
    """log of the sum of exponentials, without underflow."""
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def score_of(reply: Reply, prompt: str, continuation: str) -> tuple[float, int] | None:
    """Summed log-probability and number of the continuation's tokens, from a reply that carries those of its prompt.

    None where it does not. A token that begins in `prompt` and ends in the continuation counts as the continuation's.
    """
    choice = reply["choices"][0]
    if choice.get("prompt_logprobs"):
        pieces = [_prompt_token(position) for position in choice["prompt_logprobs"]]
    else:
        listed = choice.get("logprobs") or {}
        pieces = list(zip(listed.get("tokens") or [], listed.get("token_logprobs") or [], strict=True))
    # The text is looked for from the back: tokenizers put their own in front (BOS), never behind. A server that
    # ignores `echo` lists only what it wrote, where the text is not found.
    whole, listed_text = prompt + continuation, "".join(text for text, _ in pieces)
    at = listed_text.rfind(whole)
    if at < 0:
        # vLLM's own list is silent about the very first token, which without a BOS is the text's.
        if not (choice.get("prompt_logprobs") and listed_text and whole.endswith(listed_text)):
            return None
        at = len(listed_text) - len(whole)
    first, last = at + len(prompt), at + len(prompt) + len(continuation)
    scored: list[float] = []
    for (text, log_prob), end in zip(pieces, accumulate(len(text) for text, _ in pieces), strict=True):
        start = end - len(text)
        # A character of several tokens is the text of its last one; the empty ones before it belong to it.
        if start < last and (end > first or start == first) and log_prob is not None:
            scored.append(log_prob)
    return math.fsum(scored), len(scored)


def _writable(text: str) -> str:
    """JSON can carry half a surrogate pair, which is no text and could not be written down; it becomes `?`."""
    return text.encode("utf-8", "replace").decode()


def _prompt_token(position: dict[str, Any] | None) -> tuple[str, float | None]:
    """vLLM lists, for each prompt token, that token first and then the likelier ones; null for the very first."""
    if not position:
        return "", None
    entry = next(iter(position.values()))
    found = entry.get("logprob")
    return entry.get("decoded_token") or "", None if found is None else float(found)
