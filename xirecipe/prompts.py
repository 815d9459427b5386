"""Prompt templates: a small part of jinja2, in its sandbox, undefined names refused.

A stranger's prompt can be checked and rendered in bounded time and memory: it shows values, branches, and loops over
what it is given. It assigns nothing, calls nothing and includes nothing, so no text can be made to grow by itself.
"""

from __future__ import annotations

from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, TemplateRuntimeError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from xirecipe.diagnostics import did_you_mean

#: Loops inside one another: over exemplars, and over something inside each.
MAX_LOOPS = 2
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.If,
    nodes.For, nodes.Filter, nodes.Test, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Concat, nodes.Add, nodes.Sub, nodes.Keyword,
)  # fmt: skip
_FILTERS = ("capitalize", "default", "first", "last", "length", "lower", "title", "trim", "truncate", "upper")


class _Missing(StrictUndefined):
    """Says what is not there in the words of a recipe."""

    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, str(self._undefined_name)
        if owner is missing or not hasattr(owner, "__dict__"):
            return f"there is no `{name}`"
        hint = did_you_mean(name, vars(owner))
        kind = type(owner).__name__.lower()
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} has no `{name}`" + (f"; {hint}" if hint else "")


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=_Missing,
    autoescape=False,
    keep_trailing_newline=False,
    trim_blocks=True,
    lstrip_blocks=True,
    # Otherwise jinja2 computes constant expressions while compiling.
    optimized=False,
)
_ENVIRONMENT.globals.clear()
_ENVIRONMENT.filters = {name: _ENVIRONMENT.filters[name] for name in _FILTERS}


@lru_cache(maxsize=64)
def _template(text: str) -> Template:
    _refuse_programs(_ENVIRONMENT.parse(text))
    return _ENVIRONMENT.from_string(text)


def _refuse_programs(node: nodes.Node, loops: int = 0) -> None:
    if not isinstance(node, _NODES):
        word = type(node).__name__.lower()
        raise TemplateSyntaxError(f"a prompt shows values, with `if` and `for`; it has no `{word}`", node.lineno)
    loops += isinstance(node, nodes.For)
    if loops > MAX_LOOPS:
        raise TemplateSyntaxError(f"more than {MAX_LOOPS} loops inside one another", node.lineno)
    for child in node.iter_child_nodes():
        _refuse_programs(child, loops)


def render(text: str, variables: dict[str, object]) -> str:
    """The prompt with its variables filled in. Raises jinja2's TemplateError, whatever goes wrong inside."""
    try:
        return str(_template(text).render(variables))
    except TemplateError:
        raise
    except Exception as error:
        # The template is the user's program: adding a number to a text in it is the user's mistake, not ours.
        raise TemplateRuntimeError(f"{error}") from error


def names_used(text: str) -> set[str]:
    """The variables a template reads. Raises TemplateSyntaxError, with its line, when it is not a prompt."""
    try:
        _template(text)
        return meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except RecursionError:
        raise TemplateSyntaxError("too many brackets or blocks inside one another", 1) from None


def continued(prompt: str, answer: str, *, ends: bool = False) -> str:
    """The answer as it goes on in the line of a prompt without a chat template, and `ends` that line or not."""
    space = "" if prompt[-1:].isspace() else " "
    return f"{space}{answer}\n" if ends else f"{space}{answer}"


__all__ = ["TemplateError", "TemplateSyntaxError", "continued", "names_used", "render"]
