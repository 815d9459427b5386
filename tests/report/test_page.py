"""The page as a reader gets it: what it says, what it says is missing, and what no text can make it do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.hub.test_trainings import manifests
from tests.report.conftest import DOCUMENTS, TOO_SHORT, Run
from xirecipe.diagnostics import UserError
from xirecipe.hub.trainings import trainings
from xirecipe.report.facts import collect
from xirecipe.report.page import page as whole_page
from xirecipe.report.page import render_report

EVALUATOR = {
    "rows": 90, "held_out": 36, "accuracy": 0.75, "auc": 0.912, "calibration_error": 0.081,
    "bins": [{"confidence": 0.55, "accuracy": 0.5, "rows": 12}, {"confidence": 0.9, "accuracy": 0.875, "rows": 24}],
    "confusion": {"3": {"3": 10, "2": 2, "1": 0}, "2": {"3": 3, "2": 6, "1": 3}, "1": {"2": 1, "1": 11}},
}  # fmt: skip
ROUND = {
    "round": 1, "documents": 40, "flawed": 12, "redrafted": 12, "improved": 7, "changed_ratio": 0.175,
    "agreement": 0.825, "mean_score_before": 2.201, "mean_score_after": 2.389, "yield_before": 0.7,
    "yield_after": 0.875, "stopped": False,
}  # fmt: skip
ANCHORS = {
    "instruction_chars_mean": 100.0, "instruction_chars_std": 85.3, "response_chars_mean": 1210.6,
    "response_chars_std": 524.0, "source": "Li et al. 2024, appendix",
}  # fmt: skip


class Page(HTMLParser):
    """What an HTML reader makes of a page: its elements with attributes, and its text outside scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._in: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = tag
            self.scripts += [""] if tag == "script" else []

    def handle_endtag(self, tag: str) -> None:
        self._in = None if tag == self._in else self._in

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in is None:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def having(self, **wanted: str) -> list[tuple[str, dict[str, str | None]]]:
        return [e for e in self.elements if all(e[1].get(k) == v for k, v in wanted.items())]


def render(run: Run) -> str:
    plan, store = run.build()
    return render_report(plan, store, command="xirecipe report tiny.yaml", run_command="xirecipe run tiny.yaml")


def page(run: Run) -> Page:
    return Page(render(run))


def test_the_head_gives_name_language_and_totals(run: Run) -> None:
    text = page(run).text
    assert "tiny-swh 1.0.0-dev" in text
    assert "Swahili ( Kiswahili , swh_Latn )" in text
    assert f"Documents read {DOCUMENTS + TOO_SHORT + 4}" in text
    assert "Rows 35" in text


def test_the_funnel_names_every_reason_with_its_count(run: Run) -> None:
    text = page(run).text
    assert "length.min_chars 12 21.4%" in text
    assert "language.expected 3 5.4%" in text
    assert "select.min_score 5 12.2%" in text


def test_a_reason_opens_to_at_most_ten_of_its_rows(run: Run) -> None:
    html = render(run)
    samples = html.split("<code>length.min_chars</code>")[1].split("</details>")[0]
    assert len(re.findall(r"<code>short\d\d</code>", samples)) == 10
    assert "value <b>3</b>" in samples
    assert "threshold <b>5</b>" in samples


def test_scores_are_split_at_the_threshold(run: Run) -> None:
    figures = json.loads(page(run).scripts[0])
    bars = {trace["name"]: trace for trace in figures["figure-rubric_score"]["data"]}
    assert sum(bars["kept"]["y"]) == 35
    assert sum(bars["dropped: below the threshold"]["y"]) == 5
    assert figures["figure-rubric_score"]["layout"]["shapes"][0]["x0"] == 2
    kept_from = min(x for x, y in zip(bars["kept"]["x"], bars["kept"]["y"], strict=True) if y)
    assert kept_from > 2 > max(
        x for x, y in zip(*(bars["dropped: below the threshold"][k] for k in "xy"), strict=True) if y
    )  # fmt: skip


def test_lengths_stand_beside_the_papers(run: Run) -> None:
    run.changes = {"anchors": {"swh_Latn": ANCHORS}}
    text = page(run).text
    assert "100.0 ± 85.3" in text
    assert "1,210.6 ± 524.0" in text
    assert "Li et al. 2024, appendix" in text


def test_a_recipe_without_anchors_says_so(run: Run) -> None:
    assert "lengths are not recorded in this recipe for Swahili" in page(run).text


def test_the_sunburst_shows_verbs_with_their_objects(run: Run) -> None:
    sunburst = json.loads(page(run).scripts[0])["figure-verbs"]["data"][0]
    assert sunburst["type"] == "sunburst"
    assert "write" in sunburst["labels"]
    assert "write/text" in sunburst["ids"]
    assert len([parent for parent in sunburst["parents"] if parent == ""]) <= 16


def test_clusters_come_with_sizes_and_nearest_instructions(run: Run) -> None:
    html = page(run)
    assert "4 clusters over the 35 rows of split" in html.text
    assert "4 largest hold 100.0%" in html.text
    points = json.loads(html.scripts[0])["figure-cluster-map"]["data"]
    assert sum(len(trace["x"]) for trace in points) == 35


def test_dropped_documents_are_counted_by_their_best_label(run: Run) -> None:
    text = page(run).text
    assert "sw en 2 3.6% 0.950 0.020" in text
    assert "sw ar 1 1.8% 0.990 0.020" in text
    assert "sw (score too low) 1 1.8% 0.050 0.050" in text


def refined(run: Run) -> Run:
    run.changes = {"rating_set": {}, "refine": {"rounds": 1, "min_score": 2}}
    run.facts = {"judge": {"evaluators": {"rubric": EVALUATOR}}, "refine 1": {"round": ROUND}}
    return run


def test_rounds_and_evaluator_are_tables_with_the_manifests_numbers(run: Run) -> None:
    text = page(refined(run)).text
    assert "refine 1 40 12 12 7 17.5% 82.5% 2.201 → 2.389 70.0% → 87.5%" in text
    assert "judge rubric 90 36 75.0% 0.912 0.081" in text
    assert "rated 3 rated 2 rated 1 3 10 2 0 2 3 6 3 1 0 1 11" in text


def test_a_round_that_was_passed_on_says_why(run: Run) -> None:
    refined(run).facts["refine 1"] = {"round": {"round": 1, "stopped": True}}
    assert "refine 1 stopped: the round before changed too little" in page(run).text


def test_trainings_before_rounds_say_how_many_best_rows_were_learnt(run: Run) -> None:
    plan, store = run.build()
    facts = replace(collect(plan, store, "", ""), trainings=trainings(manifests()))
    text = Page(whole_page(facts)).text
    assert "of them best rows so far" in text
    assert "writer, before round 1 120 30 10 24 4.000 2.500" in text
    assert "writer 90 0 10 24" in text


def test_a_round_with_half_its_facts_says_what_is_not_recorded(run: Run) -> None:
    refined(run).facts = {"refine 1": {"round": {"round": 1, "documents": 40, "agreement": None}}}
    text = page(run).text
    assert "refine 1 40 not recorded not recorded" in text


def test_decontamination_counts_are_shown(run: Run) -> None:
    run.facts = {"select": {"evaluations": {"vicuna": {"prompts": 80, "rows": 2}}}}
    assert "vicuna 80 2" in page(run).text


def test_worst_rows_begin_with_the_lowest_score(run: Run) -> None:
    worst = render(run).split("<h3>The worst</h3>")[1]
    scores = [float(score) for score in re.findall(r"rubric_score <b>([\d.]+)</b>", worst)]
    assert len(scores) == 20
    assert scores == sorted(scores)
    assert scores[0] == 2.0


def test_examples_are_the_same_every_time(run: Run) -> None:
    assert render(run) == render(run)


def test_an_unfinished_run_is_reported_as_far_as_it_is(run: Run) -> None:
    run.stops_before = "embed"
    text = page(run).text
    assert "Not finished." in text
    assert "missing: embed, cluster, select, messages, split. The rest" in text
    assert "xirecipe run tiny.yaml" in text
    assert "Clusters: not recorded" in text
    assert "Rows so far 40" in text


def test_a_run_with_only_a_corpus_still_has_a_funnel(run: Run) -> None:
    run.stops_before = "dedup"
    text = page(run).text
    assert "length.min_chars 12" in text
    for section in ("Scores", "Lengths", "Verbs", "Clusters", "Rows", "Evaluator"):
        assert f"{section}: not recorded" in text


def test_a_run_that_was_never_started_is_an_error_with_a_hint(run: Run) -> None:
    run.stops_before = "corpus"
    with pytest.raises(UserError, match="no stage") as caught:
        render(run)
    assert caught.value.diagnostics[0].hint == "`xirecipe run tiny.yaml`"


def test_urdu_is_set_from_right_to_left_and_named_as_urdu(run: Run) -> None:
    run.in_urdu()
    html = page(run)
    texts = html.having(lang="ur", dir="rtl")
    assert len([e for e in texts if "text" in (e[1].get("class") or "")]) >= 40
    assert html.having(lang="en", dir="auto")


HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)> {{ 7*7 }} %{x} <!-- '


def hostile(row: dict[str, object]) -> dict[str, object]:
    changed = {name: f"{HOSTILE}{row[name]}" for name in ("document_id", "source", "instruction", "text")}
    keeps_id = {"document_id": row["document_id"]} if "reason" not in row else {}
    return {**row, **changed, **keeps_id, **({"detail": HOSTILE} if "detail" in row else {})}


def test_no_text_becomes_markup_or_script(run: Run) -> None:
    clean = page(run)
    run.change_row = hostile
    html = page(run)
    assert len(html.scripts) == len(clean.scripts) == 3
    assert not [tag for tag, _ in html.elements if tag == "img"]
    assert not [attributes for _, attributes in html.elements if any(name.startswith("on") for name in attributes)]
    assert "{{ 7*7 }}" in html.text


def test_labels_of_figures_are_escaped_for_plotly_which_reads_tags(run: Run) -> None:
    run.change_row = hostile
    points = json.loads(page(run).scripts[0])["figure-cluster-map"]["data"]
    texts = [text for trace in points for text in trace["text"]]
    assert all("<img" not in text and "&lt;" in text for text in texts)


def test_marks_that_turn_a_line_around_are_written_out(run: Run) -> None:
    run.change_row = lambda row: {**row, "text": f"\u202e{row['text']}"}
    html = render(run)
    assert "\u202e" not in html
    assert "\\u202e" in html


def test_the_page_may_fetch_nothing_and_run_only_its_own_scripts(run: Run) -> None:
    html = render(run)
    elements = Page(html).elements
    policy = next(a["content"] for tag, a in elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert not [a for _, a in elements if "src" in a or (a.get("href") or "#")[0] != "#"]


def test_every_figure_has_words_for_who_cannot_see_it(run: Run) -> None:
    html = page(refined(run))
    plots = html.having(role="img")
    assert {a["id"] for _, a in plots} == set(json.loads(html.scripts[0]))
    assert all(a["aria-label"] for _, a in plots)
