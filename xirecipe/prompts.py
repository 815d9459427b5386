"""Prompt templates: jinja2 in a sandbox, undefined names refused."""

from __future__ import annotations

from functools import lru_cache

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: Longest loop a template may make. A stranger's prompt cannot hold `check` or `plan` up.
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True
)


@lru_cache(maxsize=64)
def _template(text: str):  # type: ignore[no-untyped-def]
    return _ENVIRONMENT.from_string(text)


def render(text: str, variables: dict[str, object]) -> str:
    """The prompt with its variables filled in. Raises jinja2's TemplateError."""
    return str(_template(text).render(variables))


def names_used(text: str) -> set[str]:
    """The variables a template reads. Raises TemplateSyntaxError, with its line, when it is not a template."""
    return meta.find_undeclared_variables(_ENVIRONMENT.parse(text))


__all__ = ["TemplateError", "TemplateSyntaxError", "names_used", "render"]
