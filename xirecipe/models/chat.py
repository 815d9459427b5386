"""What a model's own chat template puts before and after one user message."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from xirecipe.models.llama_cpp import EmbeddedError

#: Stands for the user's words while the template is rendered; no template strips or escapes it.
_WORDS = "\u241fwords\u241f"
_ANSWER = "\u241fanswer\u241f"


@dataclass(frozen=True)
class Frame:
    """Text before and after the user's words. Control tokens are read in the frame only, never in the words."""

    before: str
    after: str
    end: str = ""
    """What ends the assistant's turn; empty where the template does not show an answer."""


def chat_frame(template: str) -> Frame:
    """The frame of a jinja2 chat template, ending where the assistant begins.

    The template comes out of a weights file, so it runs in a sandbox. Raises `EmbeddedError` where it cannot be
    rendered or does not show the user's words exactly once.
    """

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    try:
        shown = environment.from_string(template).render(
            messages=[{"role": "user", "content": _WORDS}], add_generation_prompt=True, bos_token="", eos_token=""
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise EmbeddedError(f"the model's chat template cannot be rendered: {error}") from error
    parts = shown.split(_WORDS)
    if len(parts) != 2:
        raise EmbeddedError("the model's chat template does not show the user's message once")
    return Frame(parts[0], parts[1], _end(environment, template))


def _end(environment: ImmutableSandboxedEnvironment, template: str) -> str:
    """What stands behind an answer, up to the next white space."""
    messages = [{"role": "user", "content": _WORDS}, {"role": "assistant", "content": _ANSWER}]
    try:
        shown = environment.from_string(template).render(
            messages=messages, add_generation_prompt=False, bos_token="", eos_token=""
        )
    except (TemplateError, TypeError, ValueError):
        return ""
    return next(iter(shown.partition(_ANSWER)[2].split()), "")
