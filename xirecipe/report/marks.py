"""Parts that several figures are made of: the palette, histograms and their axes, lines, labels."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

from xirecipe.report.bins import Bins

#: One palette for the page, after Paul Tol's `muted`: colour-blind readers tell it apart, on light and dark paper.
BLUE, SAND, ROSE, GREY = "#3d7ea6", "#d1a94a", "#c0576b", "#a3a8ae"
CATEGORIES = (
    BLUE, ROSE, "#44aa99", SAND, "#8a6bb1", "#8a9a3b", "#5aa7d6", "#a5527f", "#c9794a", "#4f8a5b",
)  # fmt: skip


def histogram(bins: Bins, colours: dict[str, str]) -> list[Any]:
    centres = [(low + high) / 2 for low, high in zip(bins.edges, bins.edges[1:], strict=False)]
    widths = [high - low for low, high in zip(bins.edges, bins.edges[1:], strict=False)]
    ranges = [f"{low:.4g} to {high:.4g}" for low, high in zip(bins.edges, bins.edges[1:], strict=False)]
    return [
        go.Bar(
            name=name, x=centres, y=list(counts), width=widths, customdata=ranges,
            marker={"color": colours.get(name, BLUE), "line": {"width": 0.5}},
            hovertemplate="%{customdata}: %{y:,} rows<extra>" + name + "</extra>",
        )
        for name, counts in bins.counts.items()
    ]  # fmt: skip


def whole(most: int) -> dict[str, Any]:
    """Ticks at whole numbers, which small counts would not get."""
    return {"dtick": 1} if most <= 10 else {}


def extent(bins: Bins) -> dict[str, Any]:
    """Room around a single bar, which would fill the figure; nothing for more."""
    if len(bins.edges) > 2:
        return {}
    low, high = bins.edges
    return {"range": [low - 5 * (high - low), high + 5 * (high - low)]}


def headroom(bins: Bins) -> list[float]:
    """The range of a histogram's counts with room on top for the names of its lines."""
    return [0, 1.18 * max(sum(column) for column in zip(*bins.counts.values(), strict=True))]


def line(at: float, text: str, dash: str = "solid", height: float = 1.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """A vertical line and its name, to its right at the top: shape and annotation."""
    line = {"dash": dash, "width": 1.5}
    shape = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": height, "yref": "paper", "line": line}
    note = {
        "x": at, "y": height, "yref": "paper", "text": text, "showarrow": False, "xanchor": "left", "xshift": 3,
        "yanchor": "top", "font": {"size": 11},
    }  # fmt: skip
    return shape, note


def wrapped(text: str, width: int = 48) -> str:
    """Lines for a hover box, escaped."""
    lines = [""]
    for word in text.split():
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
    return "<br>".join(label(line) for line in lines if line)


def label(text: str) -> str:
    """A text that Plotly shows as it is."""
    return html.escape(text, quote=False)
