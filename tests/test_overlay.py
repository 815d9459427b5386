"""Trees laid over one another, with the place of every value."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xirecipe.overlay import Tree, lay
from xirecipe.yaml import parse


def tree(text: str, file: str) -> Tree:
    return Tree.of(parse(text, file))


def test_mappings_merge_and_everything_else_replaces() -> None:
    base = tree("a: {x: 1, y: [1, 2]}\nb: 1\n", "base.yaml")
    over = tree("a: {y: [3]}\nc: 2\n", "r.yaml")
    assert lay(base, over).data == {"a": {"x": 1, "y": [3]}, "b": 1, "c": 2}


def test_every_value_remembers_the_file_it_is_from() -> None:
    laid = lay(tree("a:\n  x: 1\n  y: [1, 2]\n", "base.yaml"), tree("a:\n  y: [3]\n", "r.yaml"))
    x, y = laid.span(("a", "x")), laid.span(("a", "y"))
    assert x is not None
    assert y is not None
    assert ((x.file, x.line), (y.file, y.line)) == (("base.yaml", 2), ("r.yaml", 2))
    # Of the replaced list nothing is left, not even its second place.
    assert ("a", "y", 1) not in laid.values


def test_a_value_without_a_place_has_that_of_the_key_around_it() -> None:
    laid = tree("a: {x: 1}\n", "r.yaml")
    assert laid.span(("a", "z")) == laid.keys["a",]
    assert laid.span(("b",)) is None


def test_another_kind_replaces_and_the_same_kind_merges() -> None:
    base = tree("m: {engine: vllm, dtype: auto}\n", "base.yaml")
    assert lay(base, tree("m: {engine: server}\n", "r.yaml")).data == {"m": {"engine": "server"}}
    assert lay(base, tree("m: {engine: vllm, model: x}\n", "r.yaml")).data == {
        "m": {"engine": "vllm", "dtype": "auto", "model": "x"}
    }
    assert lay(base, tree("m: {dtype: float16}\n", "r.yaml")).data == {"m": {"engine": "vllm", "dtype": "float16"}}


def test_null_takes_a_slot_away_and_is_a_value_elsewhere() -> None:
    base = tree("models: {a: {x: 1}, b: {x: 1}}\nrubric: {x: 1}\n", "base.yaml")
    assert lay(base, tree("models: {a: null}\nrubric: null\n", "r.yaml")).data == {
        "models": {"b": {"x": 1}},
        "rubric": None,
    }


keys = st.sampled_from(["a", "b", "models", "engine"])
data = st.dictionaries(
    keys,
    st.recursive(st.none() | st.integers(0, 3), lambda v: st.dictionaries(keys, v, max_size=3), max_leaves=6),
    max_size=4,
)


@given(data, data)
def test_laying_changes_neither_tree(base: dict[str, Any], over: dict[str, Any]) -> None:
    import copy

    kept = copy.deepcopy((base, over))
    lay(Tree(base), Tree(over))
    assert (base, over) == kept


@given(data)
def test_laying_a_tree_over_nothing_or_itself_gives_its_values(over: dict[str, Any]) -> None:
    without_slots = {k: v for k, v in over.items() if k != "models"}
    assert lay(Tree(), Tree(without_slots)).data == without_slots
    assert lay(Tree(without_slots), Tree(without_slots)).data == without_slots
