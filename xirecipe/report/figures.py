"""The figures of the page, as Plotly figures in JSON.

Plotly and not Vega-Lite: it has a sunburst, and one script of its package, inlined once, draws everything on the page.
Colours of text, grid and paper are left open here; the page's script takes them from its style sheet, light or dark.
Labels that come from texts go through `label`: Plotly reads a few HTML tags in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from xirecipe.report import scores
from xirecipe.report.clusters import LARGEST, ClusterFacts
from xirecipe.report.dataset import Lengths
from xirecipe.report.facts import ReportFacts
from xirecipe.report.funnel import StageLine
from xirecipe.report.language_id import LanguageFacts
from xirecipe.report.marks import (
    BLUE,
    CATEGORIES,
    GREY,
    ROSE,
    SAND,
    extent,
    headroom,
    histogram,
    label,
    line,
    whole,
    wrapped,
)
from xirecipe.report.refining import Evaluator
from xirecipe.report.scores import ScoreFacts
from xirecipe.report.verbs import VerbFacts

#: Bars of the cluster figure.
MAX_BARS = 150


@dataclass(frozen=True)
class Figure:
    """A figure: the id of its element, what a reader who cannot see it is told, and Plotly's data and layout."""

    id: str
    alt: str
    spec: dict[str, Any]


def figures(facts: ReportFacts) -> dict[str, Figure]:
    """Every figure that the facts have the numbers for, by id."""
    found = [_funnel(facts.stages)]
    found += [_score(score) for score in facts.scores]
    if facts.dataset is not None:
        found += [_length(lengths) for lengths in facts.dataset.lengths]
        if facts.dataset.verbs.verbs:
            found.append(_verbs(facts.dataset.verbs))
    if facts.clusters is not None:
        found += [_cluster_sizes(facts.clusters), _cluster_map(facts.clusters)]
    if facts.languages is not None:
        found += [figure for figure in (_language_scores(facts.languages), _confusion(facts.languages)) if figure]
    found += [_calibration(i, evaluator) for i, evaluator in enumerate(facts.evaluators) if evaluator.bins]
    return {figure.id: figure for figure in found}


def _figure(id: str, alt: str, height: int, traces: Sequence[Any], **layout: Any) -> Figure:
    figure = go.Figure(data=list(traces), layout={"template": "none", "height": height, **layout})
    spec = json.loads(figure.to_json())
    spec["layout"].pop("template", None)
    return Figure(id, alt, spec)


def _funnel(stages: Sequence[StageLine]) -> Figure:
    done = [(line.label, line.manifest) for line in stages if line.manifest and not line.beside]
    names = [name for name, _ in done]
    series = {
        "kept": (BLUE, [m.kept for _, m in done]),
        "dropped": (SAND, [sum(m.dropped.values()) for _, m in done]),
        "failed": (ROSE, [sum(m.failed.values()) for _, m in done]),
    }
    traces = [
        go.Bar(
            name=name, y=names, x=values, orientation="h", marker={"color": colour},
            hovertemplate="%{y}: %{x:,} " + name + "<extra></extra>",
        )
        for name, (colour, values) in series.items()
        if any(values) or name == "kept"
    ]  # fmt: skip
    told = "; ".join(f"{name} kept {m.kept:,} of {m.asked:,}" for name, m in done)
    return _figure(
        "figure-funnel", f"Bars of rows kept, dropped and failed at each stage: {told}.", 90 + 30 * len(names), traces,
        barmode="stack", bargap=0.35,
        xaxis={"title": {"text": "rows"}, "tickformat": ",", "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "ticklabelstandoff": 6, "showgrid": False},
    )  # fmt: skip


def _score(score: ScoreFacts) -> Figure:
    colours = {scores.KEPT: BLUE, scores.BELOW: ROSE, scores.OTHER: GREY, scores.CANDIDATES: BLUE}
    lines = [] if score.threshold is None else [line(score.threshold, f"min_score {score.threshold:g}", "dash")]
    alt = (
        f"Histogram of {score.column} over {score.spread.count:,} candidates: mean {score.spread.mean:.3f}, "
        f"median {score.spread.p50:.3f}"
    )
    if score.threshold is not None:
        below = sum(score.bins.counts.get(scores.BELOW, ()))
        alt += f"; {below:,} were dropped below the threshold of {score.threshold:g}"
    return _figure(
        f"figure-{score.column}", alt + ".", 300, histogram(score.bins, colours), barmode="stack",
        shapes=[shape for shape, _ in lines], annotations=[note for _, note in lines],
        xaxis={"title": {"text": score.column}, **extent(score.bins)},
        yaxis={"title": {"text": "candidates"}, "tickformat": ",", "range": headroom(score.bins)},
    )  # fmt: skip


def _length(lengths: Lengths) -> Figure:
    lines = [line(lengths.spread.mean, f"mean {lengths.spread.mean:,.0f}")]
    shapes = []
    alt = f"Histogram of {lengths.what} lengths: mean {lengths.spread.mean:,.1f} characters"
    if lengths.paper_mean is not None:
        # Lower, so that two means close together do not write over each other.
        lines.append(line(lengths.paper_mean, f"paper {lengths.paper_mean:,.0f}", "dash", 0.9))
        alt += f", the paper's is {lengths.paper_mean:,.1f}"
        if lengths.paper_std is not None:
            low, high = max(0.0, lengths.paper_mean - lengths.paper_std), lengths.paper_mean + lengths.paper_std
            shapes.append({
                "type": "rect", "x0": low, "x1": high, "y0": 0, "y1": 0.9, "yref": "paper", "layer": "below",
                "fillcolor": GREY, "opacity": 0.18, "line": {"width": 0},
            })  # fmt: skip
    return _figure(
        f"figure-length-{lengths.what}", alt + ".", 300, histogram(lengths.bins, {}),
        shapes=[*shapes, *(shape for shape, _ in lines)], annotations=[note for _, note in lines], showlegend=False,
        xaxis={"title": {"text": f"{lengths.what}, characters"}, "tickformat": ",", "rangemode": "tozero"},
        yaxis={"title": {"text": "rows"}, "tickformat": ",", "range": headroom(lengths.bins)},
    )  # fmt: skip


def _verbs(facts: VerbFacts) -> Figure:
    ids, labels, parents, values, colours = [], [], [], [], []
    for i, verb in enumerate(facts.verbs):
        ids.append(verb.verb)
        labels.append(label(verb.verb))
        parents.append("")
        values.append(verb.count)
        colours.append(CATEGORIES[i % len(CATEGORIES)])
        for noun, count in verb.objects:
            ids.append(f"{verb.verb}/{noun}")
            labels.append(label(noun))
            parents.append(verb.verb)
            values.append(count)
            colours.append(CATEGORIES[i % len(CATEGORIES)])
    trace = go.Sunburst(
        ids=ids, labels=labels, parents=parents, values=values, branchvalues="total", sort=False, rotation=90,
        marker={"colors": colours, "line": {"width": 1}}, leaf={"opacity": 0.75}, insidetextorientation="radial",
        hovertemplate="%{label}: %{value:,} instructions<extra></extra>",
    )  # fmt: skip
    shown = sum(verb.count for verb in facts.verbs) or 1
    told = ", ".join(f"{v.verb} {v.count / shown:.0%}" for v in facts.verbs[:5])
    return _figure(
        "figure-verbs", f"Sunburst of root verbs and their objects; the commonest verbs are {told}.", 520, [trace],
        margin={"l": 0, "r": 0, "t": 8, "b": 8},
    )  # fmt: skip


def _cluster_sizes(facts: ClusterFacts) -> Figure:
    shown = facts.clusters[:MAX_BARS]
    trace = go.Bar(
        x=list(range(1, len(shown) + 1)), y=[cluster.rows for cluster in shown],
        customdata=[cluster.number for cluster in shown],
        marker={"color": [CATEGORIES[i] if i < LARGEST else GREY for i in range(len(shown))]},
        hovertemplate="cluster %{customdata}: %{y:,} rows<extra></extra>",
    )  # fmt: skip
    alt = f"Bars of cluster sizes, largest first: {shown[0].rows:,} to {shown[-1].rows:,} rows."
    return _figure(
        "figure-cluster-sizes", alt, 420, [trace], bargap=0.15, showlegend=False,
        xaxis={"title": {"text": "clusters by size"}, "showgrid": False, **whole(len(shown))},
        yaxis={"title": {"text": "rows"}, "tickformat": ",", "rangemode": "tozero"},
    )  # fmt: skip


def _cluster_map(facts: ClusterFacts) -> Figure:
    largest = [cluster.number for cluster in facts.clusters[:LARGEST]]
    groups = [("other clusters", GREY, [p for p in facts.points if p.cluster not in largest])]
    groups += [
        (f"cluster {number}", CATEGORIES[i], [p for p in facts.points if p.cluster == number])
        for i, number in enumerate(largest)
    ]
    size = 7 if len(facts.points) < 800 else 5
    traces = [
        go.Scatter(
            name=name, mode="markers", x=[p.x for p in points], y=[p.y for p in points],
            text=[f"{wrapped(p.text)}<br>cluster {p.cluster}" for p in points],
            marker={"color": colour, "size": size, "opacity": 0.85, "line": {"width": 0.5}},
            hovertemplate="%{text}<extra></extra>",
        )
        for name, colour, points in groups
        if points
    ]  # fmt: skip
    axis = {"showticklabels": False, "showgrid": False, "showline": True, "mirror": True, "ticks": ""}
    return _figure(
        "figure-cluster-map", f"Map of {len(facts.points):,} embeddings, the {LARGEST} largest clusters coloured.", 420,
        traces, showlegend=False, xaxis=axis, yaxis=axis, hovermode="closest", margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )  # fmt: skip


def _language_scores(facts: LanguageFacts) -> Figure | None:
    if facts.scores is None or facts.kept is None:
        return None
    lines = [] if facts.threshold is None else [line(facts.threshold, f"min_score {facts.threshold:g}", "dash")]
    return _figure(
        "figure-language-scores",
        f"Histogram of language scores of {facts.kept.count:,} documents kept, median {facts.kept.p50:.3f}.", 300,
        histogram(facts.scores, {"kept": BLUE, "dropped": ROSE}), barmode="stack",
        shapes=[shape for shape, _ in lines], annotations=[note for _, note in lines],
        xaxis={"title": {"text": "score of the expected language"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "documents"}, "tickformat": ",", "range": headroom(facts.scores)},
    )  # fmt: skip


def _confusion(facts: LanguageFacts) -> Figure | None:
    shown = facts.confused[:20]
    if not shown:
        return None
    names = [label(f"{c.label} (too low)" if c.expected else c.label) for c in shown]
    trace = go.Bar(
        y=names, x=[c.documents for c in shown], orientation="h",
        marker={"color": [GREY if c.expected else ROSE for c in shown]},
        hovertemplate="%{y}: %{x:,} documents<extra></extra>",
    )  # fmt: skip
    told = ", ".join(f"{c.label} {c.documents:,}" for c in shown[:5])
    return _figure(
        "figure-confusion", f"Bars of the best label of documents dropped by language: {told}.", 90 + 28 * len(shown),
        [trace], showlegend=False, bargap=0.35,
        xaxis={
            "title": {"text": "documents dropped"}, "tickformat": ",", "rangemode": "tozero",
            **whole(max(c.documents for c in shown)),
        },
        yaxis={"autorange": "reversed", "type": "category", "showgrid": False, "ticklabelstandoff": 6},
    )  # fmt: skip


def _calibration(number: int, evaluator: Evaluator) -> Figure:
    most = max(entry.rows for entry in evaluator.bins) or 1
    traces = [
        go.Scatter(
            name="perfect", x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "width": 1.5, "color": GREY},
            hoverinfo="skip",
        ),
        go.Scatter(
            name="held-out pairs", x=[e.confidence for e in evaluator.bins], y=[e.accuracy for e in evaluator.bins],
            customdata=[e.rows for e in evaluator.bins], mode="lines+markers", line={"color": BLUE, "width": 1.5},
            marker={"color": BLUE, "size": [6 + 12 * (e.rows / most) ** 0.5 for e in evaluator.bins]},
            hovertemplate="confidence %{x:.2f}, right %{y:.2f}, %{customdata:,} pairs<extra></extra>",
        ),
    ]  # fmt: skip
    told = "; ".join(f"{e.confidence:.2f} confident, {e.accuracy:.2f} right" for e in evaluator.bins)
    return _figure(
        f"figure-calibration-{number}", f"Calibration of {evaluator.score} at {evaluator.label}: {told}.", 340, traces,
        xaxis={"title": {"text": "mean confidence"}, "range": [0, 1.03]},
        yaxis={"title": {"text": "share that is right"}, "range": [0, 1.05]},
    )  # fmt: skip
