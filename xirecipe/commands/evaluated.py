"""The summary of an evaluation as tables of at most 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xirecipe.diagnostics import shortened
from xirecipe.terminal import table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Summary = dict[str, Any]
#: Names shown of rows that could not be used; all of them are in summary.json.
_NAMES = 3


def print_summary(summary: Summary, out: Console) -> None:
    """Files, results, results by group, and everything that was not evaluated with its reason."""
    for name, file in summary["files"].items():
        out.print(f"{name.upper()}: {file['path']}, {file['rows']:,} rows", markup=False, soft_wrap=True)
    match summary["metric"]:
        case "pairwise":
            _print_pairwise(summary, out)
        case "aspects":
            _print_aspects(summary, out)
        case "learning":
            _print_learning(summary, out)
        case _:
            _print_consistency(summary, out)


def _print_pairwise(summary: Summary, out: Console) -> None:
    overall = summary["overall"]
    out.print(
        f"{overall['pairs']:,} pairs by {summary['aligned_by']}, {overall['judged']:,} judged by "
        f"{summary['model_name']}: {summary['rule']}",
        markup=False,
        soft_wrap=True,
    )
    for side in ("only_in_a", "only_in_b"):
        _print_left_out(out, f"only in {side[-1].upper()}", summary[side]["count"], summary[side]["rows"])
    if overall["judged"]:
        lines = table("", ">rows", ">value", ">95 % interval")
        for name, shown in (("win", "A wins"), ("tie", "tie"), ("loss", "B wins")):
            lines.add_row(shown, f"{overall[name]:,}", *_share(overall[f"{name}_rate"]))
        lines.add_row("mean score of A", "", *_number(overall["mean_score_a"]))
        lines.add_row("mean score of B", "", *_number(overall["mean_score_b"]))
        lines.add_row("A minus B", "", *_number(overall["mean_difference"], sign="+"))
        lines.add_row("orders disagree", "", *_share(overall["orders_disagree_rate"]))
        lines.add_row("shown first minus second", "", *_number(overall["mean_first_shown_advantage"], sign="+"))
        out.print(lines)
    for kind in ("language", "prompt_set"):
        if groups := summary.get(f"by_{kind}"):
            lines = table(kind.replace("_", " "), ">judged", ">A wins", ">tie", ">B wins", ">A minus B")
            for name, group in groups.items():
                judged = group["judged"]
                rates = [_share(group[f"{v}_rate"])[0] if judged else "" for v in ("win", "tie", "loss")]
                difference = _number(group["mean_difference"], sign="+")[0] if judged else ""
                lines.add_row(shortened(name, 24), f"{judged:,}", *rates, difference)
            out.print(lines)
    _print_failures(summary, out)


def _print_aspects(summary: Summary, out: Console) -> None:
    overall = summary["overall"]
    low, high = summary["scale"]
    out.print(
        f"{overall['answers']:,} answers, {overall['rated']:,} rated by {summary['model_name']} from {low} to {high}; "
        f"rules changed the scores of {overall['forced_by_rules']:,}",
        markup=False,
        soft_wrap=True,
    )
    if overall["rated"]:
        lines = table("aspect", ">mean", ">95 % interval", ">lowest")
        for name, found in overall["aspects"].items():
            lines.add_row(name, *_number(found), f"{found['lowest_rate']:.1%}")
        out.print(lines)
    for kind in ("language", "prompt_set"):
        rated = {name: group for name, group in summary.get(f"by_{kind}", {}).items() if group["rated"]}
        if rated:
            # Languages may be many and aspects are few: languages are the rows, in 80 columns.
            names = list(overall["aspects"])
            lines = table(kind.replace("_", " "), ">rated", *(f">{_initials(name)}" for name in names))
            for group_name, group in rated.items():
                means = [f"{group['aspects'][name]['mean']:.2f}" for name in names]
                lines.add_row(shortened(group_name, 24), f"{group['rated']:,}", *means)
            out.print(lines)
            out.print(", ".join(f"{_initials(name)}: {name}" for name in names), markup=False, soft_wrap=True)
    _print_failures(summary, out)


def _print_consistency(summary: Summary, out: Console) -> None:
    languages = summary["languages"]
    by = f", answered by {summary['model_name']}: {summary['rule']}" if "model_name" in summary else ""
    out.print(f"{summary['items']:,} items in {len(languages)} languages{by}", markup=False, soft_wrap=True)
    for language, missing in summary["missing_items"].items():
        _print_left_out(out, f"not in {language}", missing["count"], missing["items"])
    if summary["no_choice"]:
        out.print(f"no option chosen: {summary['no_choice']:,} rows, counted as wrong and as equal to nothing")
    lines = table("accuracy", ">value", ">95 % interval")
    lines.add_row("all", *_share(summary["accuracy"]))
    for language, found in summary["accuracy_by_language"].items():
        lines.add_row(shortened(language, 24), *_share(found))
    out.print(lines)
    lines = table("languages together", ">consistency", ">95 % interval", ">AC3", ">95 % interval")
    for size, found in summary["subsets"].items():
        lines.add_row(size, *_share(found["consistency"]), *_share(found["ac3"]))
    out.print(lines)
    _print_retry(summary, out)


def _print_learning(summary: Summary, out: Console) -> None:
    overall, rows, students = summary["overall"], summary["rows"], summary["students"]
    out.print(
        f"{summary['model_name']} learnt {rows['each']:,} rows of each set in {len(rows['by_language'])} languages "
        f"and was asked about {overall['answers']:,} answers held out: {summary['rule']}",
        markup=False,
        soft_wrap=True,
    )
    for name, facts in students.items():
        reasons = rows["left_out"][name] | ({"too_long": facts["too_long"]} if facts["too_long"] else {})
        left = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) or "none"
        out.print(
            f"{name.upper()}: {facts['steps']:,} steps, {facts['answer_tokens']:,} tokens of answers, loss "
            f"{facts['first_loss']:.3f} -> {facts['last_loss']:.3f}; rows left out: {left}",
            markup=False,
            soft_wrap=True,
        )
    lines = table("", ">nats/token", ">95 % interval", ">cosine", ">95 % interval")
    for name, found in overall["nats"].items():
        sign, near = "+" if "minus" in name else "", overall["similarity"].get(name)
        shown = _number(near, sign, 3) if near else ("", "")
        lines.add_row(_named(name), *_number(found, sign, 3), *shown)
    out.print(lines)
    columns = list(overall["nats"])
    lines = table(
        "nats/token", ">answers", ">untrained", *(f">{_named(n, short=True)}" for n in columns if "minus" in n)
    )
    for code, group in summary["by_language"].items():
        found = group["nats"]
        differences = [f"{found[name]['mean']:+.3f}" for name in columns if "minus" in name]
        lines.add_row(shortened(code, 24), f"{group['answers']:,}", f"{found['untrained']['mean']:.3f}", *differences)
    out.print(lines)
    _print_left_out(
        out, "not measured, without rows in every set", len(summary["not_measured"]), summary["not_measured"]
    )
    _print_left_out(out, "longer than the model's context", len(summary["too_long"]), summary["too_long"])
    _print_retry(summary, out)


def _named(name: str, *, short: bool = False) -> str:
    """`a_minus_untrained` as `A minus untrained`, or as `A - untr.`."""
    one, _, other = name.partition("_minus_")
    one, other = (each.upper() if len(each) == 1 else each for each in (one, other))
    if not other:
        return one
    return f"{one} - {other.replace('untrained', 'untr.')}" if short else f"{one} minus {other}"


def _print_failures(summary: Summary, out: Console) -> None:
    for name, found in summary["prompt_sets"].items():
        missing = found["unanswered"]
        _print_left_out(out, f"prompts of {name} without an answer", missing["count"], missing["prompts"])
    failed: Mapping[str, int] = summary["overall"]["failed_replies"]
    if failed:
        lines: Table = table("replies without a verdict because of", ">replies")
        for reason, count in failed.items():
            lines.add_row(reason, f"{count:,}")
        out.print(lines)
    _print_retry(summary, out)


def _print_retry(summary: Summary, out: Console) -> None:
    if summary["failed_requests"]:
        out.print("some requests got no answer: `--retry-failed` asks them again")


def _print_left_out(out: Console, what: str, count: int, names: list[str]) -> None:
    if count:
        more = ", ..." if count > _NAMES else ""
        shown = ", ".join(shortened(name, 30) for name in names[:_NAMES])
        out.print(f"{what}: {count:,} ({shown}{more})", markup=False, soft_wrap=True)


def _share(estimate: dict[str, float]) -> tuple[str, str]:
    return f"{estimate['mean']:.1%}", f"{estimate['low']:.1%} to {estimate['high']:.1%}"


def _number(estimate: dict[str, float], sign: str = "", digits: int = 2) -> tuple[str, str]:
    mean, low, high = (f"{estimate[name]:{sign}.{digits}f}" for name in ("mean", "low", "high"))
    return mean, f"{low} to {high}"


def _initials(name: str) -> str:
    """`factual_accuracy` as `fa`; a single word by its first four letters."""
    words = name.split("_")
    return "".join(word[0] for word in words if word) if len(words) > 1 else name[:4]
