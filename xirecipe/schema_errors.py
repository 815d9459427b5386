"""pydantic's findings said in the words of a recipe: no type names of the library, a span, a hint."""

from __future__ import annotations

import re
import types
import typing
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

from xirecipe.diagnostics import Diagnostic, Span, did_you_mean, shortened
from xirecipe.overlay import Tree
from xirecipe.yaml import Path_

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "model": "a mapping",
    "tuple": "a list",
    "list": "a list",
}
#: What people call a model whose class has another name.
_CALLED = {"MixRecipe": "mixing recipe"}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def diagnose(error: ValidationError, model: type[BaseModel], tree: Tree, file: str) -> list[Diagnostic]:
    """One diagnostic per finding. `file` stands in where a finding has no place (a key missing at the top)."""
    found = [dict(item) for item in error.errors(include_url=False)]
    return [_one(item, model, tree, file) for item in found if not _only_follows(item)]


def _only_follows(item: dict[str, Any]) -> bool:
    """A list that pydantic calls too short because wrong items, which have findings of their own, do not count."""
    value, least = item.get("input"), item.get("ctx", {}).get("min_length", 1)
    return item["type"] == "too_short" and isinstance(value, list | tuple | dict) and len(value) >= least


def offending_path(item: dict[str, Any], data: Any) -> Path_:
    """The finding's path in the data: pydantic's location without the tags of unions."""
    path: list[str | int] = []
    loc = tuple(item["loc"])
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        missing = last and item["type"] in ("missing", "union_tag_not_found")
        if isinstance(data, dict) and (part in data or missing):
            path.append(part)
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


def _one(item: dict[str, Any], model: type[BaseModel], tree: Tree, file: str) -> Diagnostic:
    path = offending_path(item, tree.data)
    name = dotted(path)
    kind, context, value = str(item["type"]), item.get("ctx", {}), item.get("input")
    here = tree.span(path) or Span(file)
    at_key = tree.key_span(path) or Span(file)
    parent = dotted(path[:-1])
    match kind:
        case "extra_forbidden":
            owner = f"`{parent}`" if parent else f"a {_CALLED.get(model.__name__, model.__name__.lower())}"
            hint = did_you_mean(str(path[-1]), _fields_at(model, path[:-1], tree.data))
            return Diagnostic("unknown-key", f"`{path[-1]}` is not a key of {owner}", at_key, hint)
        case "missing":
            owner = f" in `{parent}`" if parent else ""
            span = (tree.key_span(path[:-1]) if len(path) > 1 else None) or Span(file)
            return Diagnostic("missing-key", f"`{path[-1]}` is required{owner}", span, f"add `{path[-1]}: ...`")
        case "union_tag_not_found":
            tag = str(context.get("discriminator", "")).strip("'")
            return Diagnostic("missing-key", f"`{tag}` is required in `{name}`", at_key, f"add `{tag}: ...`")
        case "union_tag_invalid":
            tag = str(context.get("discriminator", "")).strip("'")
            known = [word.strip().strip("'") for word in str(context.get("expected_tags", "")).split(",")]
            span = tree.span((*path, tag)) or at_key
            message = f"`{shortened(context.get('tag'))}` is not a value of `{dotted((*path, tag))}`"
            return Diagnostic("bad-value", message, span, did_you_mean(str(context.get("tag")), known))
        case "literal_error":
            expected = str(context.get("expected", "")).replace(" or ", ", ")
            known = [word.strip().strip("'") for word in expected.split(",")]
            shown = f"`{shortened(value)}`" if isinstance(value, str) else _found(value)
            message = f"{shown} is not a value of `{name}`"
            return Diagnostic("bad-value", message, here, did_you_mean(str(value), known))
        case "value_error":
            return _rule(item, path, tree, file)
        case "string_pattern_mismatch":
            message = f"`{shortened(value)}` is not a valid `{name}`"
            return Diagnostic("bad-value", message, here, f"must match {context.get('pattern')}")
        case "too_short" | "string_too_short":
            least = context.get("min_length", 1)
            message = f"`{name}` is empty" if not value else f"`{name}` has only {len(value)}"
            return Diagnostic("bad-value", message, here, f"give at least {'one' if least == 1 else least}")
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return Diagnostic("out-of-range", f"`{name}` must be {words} {context.get(key):g}, not {value}", here)
    wanted = next((words for prefix, words in _KINDS.items() if kind.startswith(prefix)), None)
    if wanted:
        number = kind == "string_type" and isinstance(value, (int, float))
        written = _written(value)
        hint = f'in quotes it is text: `"{written}"`' if number else None
        return Diagnostic("wrong-type", f"`{name}` must be {wanted}, not {_found(value)}", here, hint)
    return Diagnostic("bad-value", f"`{name}`: {item['msg']}", here)


def _rule(item: dict[str, Any], path: Path_, tree: Tree, file: str) -> Diagnostic:
    """A rule between keys: point at the key that was written last, note where the others are."""
    message = str(item["msg"]).removeprefix("Value error, ")
    section: Any = tree.data
    for part in path:
        section = section[part]
    words = set(re.findall(r"\w+", message))
    named = [key for key in section if key in words] if isinstance(section, dict) else []
    spans = {key: span for key in named if (span := tree.key_span((*path, key)))}
    own = [key for key, span in spans.items() if span.file == file] or list(spans)
    notes = tuple(f"`{k}` is written at {s.file}:{s.line}" for k, s in spans.items() if own and k != own[-1])
    span = spans[own[-1]] if own else tree.key_span(path) or Span(file)
    return Diagnostic("bad-value", f"`{dotted(path)}`: {message}" if path else message, span, None, notes)


def dotted(path: Path_) -> str:
    text = ""
    for part in path:
        shown = part if isinstance(part, int) else shortened(part)
        text += f"[{shown}]" if isinstance(part, int) else f".{shown}" if text else str(shown)
    return text


def _written(value: Any) -> str:
    """A scalar as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else shortened(value)


def _found(value: Any) -> str:
    match value:
        case None:
            return "null"
        case str():
            return f"text (`{shortened(value)}`)"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f"`{_written(value)}`"


def _fields_at(model: type[BaseModel], path: Path_, data: Any) -> list[str]:
    """The keys that the schema allows at `path`; the data's own `format` or `engine` picks among the kinds."""
    annotation: Any = model
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
        models, inner = _unwrap(annotation)
        found = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
        annotation = found[0] if found else inner
    models, _ = _unwrap(annotation)
    if len(models) > 1 and isinstance(data, dict):
        models = [m for m in models if _is_kind(m, data)] or models
    return [field for m in models for field in m.model_fields]


def _is_kind(model: type[BaseModel], data: dict[str, Any]) -> bool:
    tags = [f for f in ("format", "engine") if f in model.model_fields]
    return any(data.get(tag) in typing.get_args(model.model_fields[tag].annotation) for tag in tags)


def _unwrap(annotation: Any) -> tuple[list[type[BaseModel]], Any]:
    """The models inside an annotation, and the value type where it is a dict."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _unwrap(typing.get_args(annotation)[0])
    if origin is dict:
        return [], typing.get_args(annotation)[1]
    if origin is typing.Union or origin is types.UnionType:
        models, inner = [], None
        for argument in typing.get_args(annotation):
            more, value = _unwrap(argument)
            models += more
            inner = inner or value
        return models, inner
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], None
    return [], None
