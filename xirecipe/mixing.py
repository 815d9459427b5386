"""What a mix is made of: which rows are drawn, in which languages, and what becomes of each. Pure.

Every choice is a sha256 over the part's name and seed and what is chosen for, so it is the same on every machine and
under every version of Python, and no choice hangs on how many others were made before it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from xirecipe.diagnostics import user_error
from xirecipe.fingerprint import canonical
from xirecipe.prompts import names_used
from xirecipe.recipe.mixing import ENGLISH, AnswerIn, Mix, Part

Item = TypeVar("Item")

#: One more than the largest number that a hash stands for.
_NUMBERS = 1 << 256


@dataclass(frozen=True)
class Chance:
    """Choices that hang on a key alone."""

    key: tuple[str | int, ...]

    def number(self, *what: str | int) -> int:
        """A whole number from 0 to 2^256 - 1."""
        return int.from_bytes(hashlib.sha256(canonical([*self.key, *what]).encode()).digest(), "big")

    def pick(self, items: Sequence[Item], *what: str | int) -> Item:
        """One of the items; the odds of two of them differ by less than 2^-190 for as many as fit into memory."""
        return items[self.number(*what) % len(items)]

    def happens(self, probability: float, *what: str | int) -> bool:
        return self.number(*what) < int(probability * _NUMBERS)

    def order(self, items: Sequence[str], *what: str | int) -> list[str]:
        """The items shuffled. More items leave the order of the others as it was."""
        return sorted(items, key=lambda item: (self.number(*what, item), item))


@dataclass(frozen=True)
class Pool:
    """What a part may draw from: ids of rows that have all of its languages, sorted."""

    documents: Sequence[str]
    own: Mapping[str, str] | None = None
    """The one language of each row, where rows of different languages have nothing to do with one another."""

    name: str = ""
    """Whose rows these are, where they are not all of the part's dataset."""


@dataclass(frozen=True)
class Draw:
    """A row that was drawn, and the languages it is taken in: each with the other side's, where there may be one."""

    number: int
    document: str
    languages: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Side:
    """A row to make of a draw: which language version gives the instruction, and which the response."""

    direction: str
    instruction: str
    response: str


def sizes(mix: Mix) -> dict[str, int | None]:
    """How many rows each chosen part is to draw; None where it takes all, or the draws of another part.

    Shares of the total are rounded so that they add up to it (largest remainder).
    """
    found = {name: part.rows for name, part in mix.chosen.items()}
    if mix.total is None:
        return found
    shares = {name: p.share for name, p in mix.chosen.items() if p.share is not None and p.replaces is None}
    exact = {name: share * mix.total for name, share in shares.items()}
    whole = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    # Of equal remainders the first part's counts more.
    ordered = sorted(shares, key=lambda name: -round(exact[name] - whole[name], 9))
    for name in ordered[: round(sum(exact.values())) - sum(whole.values())]:
        whole[name] += 1
    for name, part in mix.chosen.items():
        if part.share is not None and part.replaces is not None:
            whole[name] = round(part.share * mix.total)
    return {**found, **whole}


def draw(
    mix: Mix, pools: Mapping[str, Pool], languages: Mapping[str, Sequence[str]], *, at_most: bool = False
) -> dict[str, list[Draw]]:
    """The draws of every chosen part, in the order of the choice. `at_most` holds for all parts, as in a trial.

    `languages` are each part's. Raises UserError `too-few-rows` where a part asks for more rows than there are.
    """
    wanted = sizes(mix)
    found: dict[str, list[Draw]] = {}
    for name, part in mix.chosen.items():
        if part.same_draws_as is None and part.replaces is None:
            found[name] = _drawn(name, part, wanted[name], pools[name], languages[name], at_most)
    for name, part in mix.chosen.items():
        if part.replaces is not None:
            base = found[part.replaces]
            if part.dataset == mix.parts[part.replaces].dataset:
                documents = sorted({each.document for each in base} & set(pools[name].documents))
                there = Pool(documents, pools[name].own, f"part `{part.replaces}`")
                found[name] = _drawn(name, part, wanted[name], there, languages[name], at_most)
                taken = {each.document for each in found[name]}
                found[part.replaces] = [each for each in base if each.document not in taken]
            else:
                drawn = _drawn(name, part, wanted[name], pools[name], languages[name], at_most)
                found[name] = drawn[: len(base)] if part.at_most or at_most else drawn
                found[part.replaces] = base[: _left(name, part, base, found[name])]
    for name, part in mix.chosen.items():
        if part.same_draws_as is not None:
            found[name] = found[part.same_draws_as]
    return {name: found[name] for name in mix.chosen}


def _left(name: str, part: Part, base: Sequence[Draw], instead: Sequence[Draw]) -> int:
    """How many of a part's rows stay where rows of another dataset take the place of its last ones."""
    if len(instead) > len(base):
        message = (
            f"`mix.parts.{name}` replaces {len(instead):,} rows of part `{part.replaces}`, which has {len(base):,}"
        )
        raise user_error("too-few-rows", message, hint="ask for fewer rows, or for more of the other part")
    return len(base) - len(instead)


def _drawn(
    name: str, part: Part, wanted: int | None, pool: Pool, languages: Sequence[str], at_most: bool
) -> list[Draw]:
    chance, there = Chance((name, part.seed)), len(pool.documents)
    count = there if wanted is None else wanted
    if there < count and not (part.replacement and there):
        if not (part.at_most or at_most):
            source = pool.name or f"dataset `{part.dataset}`"
            raise user_error(
                "too-few-rows",
                f"`mix.parts.{name}` asks for {count:,} rows, and {source} has {there:,} that it can take",
                hint="`at_most: true` takes what is there; `replacement: true` draws a row more than once",
            )
        count = there
    if part.replacement:
        picked = [(chance.pick(pool.documents, "row", number), number) for number in range(count)]
    else:
        picked = [(document, 0) for document in chance.order(pool.documents, "row")[:count]]
    # Where every draw has an equal chance of every language, which one it gets hangs on the row and not on its place.
    tokens: list[tuple[str, tuple[str | int, ...]]] = [
        (document, (document, time, again)) for again in range(part.repeat) for document, time in picked
    ]
    return [
        Draw(number, document, _languages(part, languages, pool, chance, number, document, token))
        for number, (document, token) in enumerate(tokens)
    ]


def _languages(
    part: Part, languages: Sequence[str], pool: Pool, chance: Chance, number: int, document: str,
    token: tuple[str | int, ...],
) -> tuple[tuple[str, str | None], ...]:  # fmt: skip
    if pool.own is not None:
        return ((pool.own[document], None),)
    among = open_languages(part, languages)
    match part.spread:
        case "every":
            first = list(among)
        case "even":
            first = [chance.order(among, "language order")[number % len(among)]]
        case "drawn":
            first = [chance.pick(among, "language", *token)]
    return tuple((one, _other(part, among, chance, one, token)) for one in first)


def _other(part: Part, among: Sequence[str], chance: Chance, one: str, token: tuple[str | int, ...]) -> str | None:
    """The language of the other side: another one, or with the probability that the part names the same."""
    rest = [language for language in among if language != one]
    if part.shape == "monolingual" or not rest:
        return one if part.other_answer_probability is not None else None
    if part.other_answer_probability is not None and not chance.happens(
        part.other_answer_probability, "other answer", one, *token
    ):
        return one
    return chance.pick(rest, "other language", one, *token)


def open_languages(part: Part, languages: Sequence[str]) -> list[str]:
    """The languages that are drawn for a row: those that are `x` in the part's directions, or all."""
    return [code for code in languages if code != ENGLISH] if part.directions else list(languages)


def sides(name: str, part: Part, one: Draw) -> list[Side]:
    """The rows to make of a draw, in order."""
    found: list[Side] = []
    chance = Chance((name, part.seed))
    for first, second in one.languages:
        if part.shape == "monolingual":
            found.append(Side("same", first, first))
            continue
        if not part.directions:
            assert second is not None
            found.append(Side(direction_of(first, second), first, second))
        for direction in part.directions:
            match direction:
                case "en->x":
                    pair = (ENGLISH, first)
                case "x->en":
                    pair = (first, ENGLISH)
                case "x->x":
                    assert second is not None
                    pair = (first, second)
            if chance.happens(part.flip_probability, "flip", one.number, direction, first):
                pair = pair[1], pair[0]
            found.append(Side(direction_of(*pair), *pair))
    return found


def direction_of(instruction: str, response: str) -> str:
    """`same`, or which side is English."""
    if instruction == response:
        return "same"
    return "en->x" if instruction == ENGLISH else "x->en" if response == ENGLISH else "x->x"


def turn_of(name: str, part: Part, one: Draw, side: Side) -> str:
    """The template of a row's user turn."""
    return Chance((name, part.seed)).pick(part.turns, "prompt", one.number, side.direction, side.instruction)


def named_languages(part: Part, languages: Sequence[str]) -> set[tuple[str, str]]:
    """Every (language of the prompt, language to name in it) that rows of the part may need; none are named in some."""
    if part.shape != "cross_lingual" or not any("answer_in" in names_used(turn) for turn in part.turns):
        return set()
    among = open_languages(part, languages)
    pairs: set[tuple[str, str]] = set()
    if part.other_answer_probability is not None:
        pairs = {(a, b) for a in among for b in among}
    for direction in part.directions:
        match direction:
            case "en->x":
                pairs |= {(ENGLISH, x) for x in among}
            case "x->en":
                pairs |= {(x, ENGLISH) for x in among}
            case "x->x":
                pairs |= {(a, b) for a in among for b in among if a != b}
    return {(ENGLISH, b) for _, b in pairs} if part.name_answer_in == "english" else pairs


def name_in(
    answer_in: Mapping[str, AnswerIn], english_names: Mapping[str, str], prompt: str, answer: str
) -> str | None:
    """What the answer's language is called in the prompt's, as its phrase needs it; None where nothing says."""
    phrase = answer_in.get(prompt)
    if phrase is None:
        return None
    return phrase.names.get(answer) or (english_names.get(answer) if prompt == ENGLISH else None)
