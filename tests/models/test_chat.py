"""The frame that a chat template puts around a user message."""

from __future__ import annotations

import pytest

from xirecipe.models.chat import Frame, chat_frame
from xirecipe.models.llama_cpp import EmbeddedError

CHATML = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content | trim + '<|im_end|>' + '\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)


def test_the_frame_ends_where_the_assistant_begins_and_knows_what_ends_its_turn() -> None:
    assert chat_frame(CHATML) == Frame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")


def test_a_template_that_refuses_is_explained() -> None:
    with pytest.raises(EmbeddedError, match="wants a system message"):
        chat_frame("{{ raise_exception('wants a system message') }}")


@pytest.mark.parametrize("template", ["no words at all", "{{ messages[0].content }} {{ messages[0].content }}"])
def test_a_template_that_does_not_show_the_words_once_is_refused(template: str) -> None:
    with pytest.raises(EmbeddedError, match="once"):
        chat_frame(template)


def test_a_template_cannot_leave_its_sandbox() -> None:
    with pytest.raises(EmbeddedError):
        chat_frame("{{ messages.__class__.__mro__[1].__subclasses__() }}")
