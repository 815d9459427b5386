"""`xirecipe new`, `bump` and `fmt`: files written and edited so that nothing of what people wrote is lost."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from xirecipe import yaml
from xirecipe.diagnostics import Diagnostic, Span, UserError, did_you_mean, render_text, user_error
from xirecipe.disk import explained, write_whole
from xirecipe.editing import skeletons
from xirecipe.editing.layout import formatted
from xirecipe.editing.order import LANGUAGE_FILE, RECIPE_FILE, Schema
from xirecipe.editing.scalars import replaced, top_scalar
from xirecipe.hub.versions import Bump, Version
from xirecipe.loaded import inside, shown_name

_DEV = "-dev"
_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def run_new(language: str, base: str, name: str | None, folder: Path) -> int:
    """Write a recipe, its language file and a seed, whatever of them is not there yet. 0; never overwrites."""
    from xirecipe.engines.languages import language_facts, similar

    if not _CODE.fullmatch(language):
        hint = similar(language) or "ISO 639-3 and ISO 15924, such as `yor_Latn`"
        raise user_error("bad-language", f"`{language}` is no language code", hint=hint)
    if name is not None and not _NAME.fullmatch(name):
        raise user_error("bad-name", f"`{name}` cannot be a dataset's name", hint="small letters, digits and `-`")
    facts = language_facts(language)
    if facts.name is None:
        sys.stderr.write(f"warning: no table knows `{language}`; {similar(language) or 'is it ISO 639-3?'}\n")
    known = skeletons.Known(
        language, facts.name, facts.hub_code, facts.lid_label, facts.direction, in_fineweb=facts.is_known
    )
    data = _base(folder, base)
    dataset = name or f"{Path(base).stem.replace('_', '-')}-{language.partition('_')[0]}"
    method = "-".join(word.capitalize() for word in Path(base).stem.split("_"))
    title = name.replace("-", " ").capitalize() if name else f"{method} {facts.name or language}"
    recipe = folder / f"{name or _file_name(facts.name) or dataset}.yaml"
    if recipe.exists() or recipe.is_symlink():
        hint = "choose another name with `--name`"
        raise user_error("file-exists", f"{shown_name(recipe)} is there already", hint=hint)
    texts = {
        folder / "languages" / f"{language}.yaml": skeletons.language_text(known),
        folder / "sample" / f"{language}.seed.jsonl": skeletons.seed_text(),
        recipe: skeletons.recipe_text(known, dataset, title, base, data),
    }
    for path, text in texts.items():
        if path.exists():
            print(f"kept    {shown_name(path)}")
            continue
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text)
        print(f"written {shown_name(path)}")
    print(f"\nfill in what is empty; `xirecipe check {shown_name(recipe)}` says what is left")
    return 0


def _base(folder: Path, base: str) -> dict[str, object]:
    """What a base says. Raises UserError where it is not there, or cannot be read."""
    path = inside(folder, base, None, "--from")
    if not path.is_file():
        known = [p.relative_to(folder).as_posix() for p in [*folder.glob("*.yaml"), *folder.glob("bases/*.yaml")]]
        hint = did_you_mean(base, known) or "run this where the folder `recipes` is, or name it with `--dir`"
        raise user_error("missing-base", f"there is no {shown_name(folder / base)}", hint=hint)
    return yaml.read(path, shown_name(path)).data


def _file_name(language: str | None) -> str:
    """`yoruba` of Yoruba; empty where the name has letters that a file name should not."""
    found = re.sub(r"[^a-z0-9]+", "-", (language or "").lower()).strip("-")
    return found if _NAME.fullmatch(found) else ""


def run_bump(recipe: Path, to: str | None, step: Bump | None, freeze: bool, dev: bool) -> int:
    """Change a recipe's `version` and no other character. Prints old and new version; 0."""
    if sum((to is not None, step is not None)) > 1 or (freeze and dev) or (to is not None and (freeze or dev)):
        raise user_error("usage", "say one of `--to`, `--major`, `--minor`, `--patch`, and one of `--freeze`, `--dev`")
    shown = shown_name(recipe)
    # Read once for its checks: size, encoding, YAML.
    yaml.read(recipe, shown)
    raw = recipe.read_bytes().decode("utf-8")
    text = raw.removeprefix("\ufeff")
    scalar = top_scalar(text, shown, "version")
    new = _next(scalar.value, scalar.span, to, step, freeze=freeze, dev=dev)
    edited = raw[: len(raw) - len(text)] + replaced(text, scalar, new)
    with explained(recipe):
        write_whole(recipe.resolve(), edited)
    print(f"{shown}: {scalar.value} → {new}")
    return 0


def _next(old: str, span: Span, to: str | None, step: Bump | None, *, freeze: bool, dev: bool) -> str:
    current = Version.parse(old.removesuffix(_DEV))
    if current is None:
        hint = "three numbers, such as 1.0.0, and `-dev` while rows may still change"
        raise UserError([Diagnostic("bad-version", f"`version` is `{old}`", span, hint)])
    is_dev = old.endswith(_DEV)
    if to is not None:
        wanted = Version.parse(to.removesuffix(_DEV))
        if wanted is None or to.startswith("v"):
            raise user_error("bad-version", f"`--to {to}` is no version", hint="such as 1.2.0 or 1.2.0-dev")
        if (wanted, not to.endswith(_DEV)) <= (current, not is_dev):
            raise user_error("bad-version", f"{to} does not come after {old}", hint="versions only go up")
        return to
    if step is None and not freeze and not dev:
        raise user_error("usage", "say how: `--major`, `--minor`, `--patch`, `--freeze`, `--dev` or `--to X.Y.Z`")
    if step is None and freeze and not is_dev:
        raise user_error("bad-version", f"{old} is frozen already", hint="`--patch`, `--minor` or `--major`")
    if step is None and dev and is_dev:
        raise user_error("bad-version", f"{old} is in development already", hint="`--freeze` drops -dev")
    # A frozen version is never opened again: work goes on at the next one.
    after = step or ("PATCH" if dev else None)
    number = current.after(after) if after else current
    return f"{number}{_DEV if dev or (is_dev and not freeze) else ''}"


def run_fmt(paths: Sequence[Path], check: bool) -> int:
    """Write files in canonical layout; with `check` only say which are not, and exit with 1 for any.

    Files that cannot be read or moved about are left as they are, and their mistakes shown: 1.
    """
    files = [file for path in paths for file in _files(path)]
    changed, problems = 0, list[Diagnostic]()
    for file in files:
        shown = shown_name(file)
        try:
            yaml.read(file, shown)
            before = file.read_bytes().decode("utf-8")
            after = formatted(before.removeprefix("\ufeff"), shown, _schema(file))
        except UserError as error:
            problems += error.diagnostics
            continue
        if before == after:
            continue
        changed += 1
        if check:
            print(f"would change {shown}")
            sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), n=1))
        else:
            with explained(file):
                write_whole(file.resolve(), after)
            print(f"formatted {shown}")
    done = "to format" if check else "formatted"
    print(f"{_files_of(changed)} {done}, {_files_of(len(files) - changed)} left as they are")
    if problems:
        sys.stderr.write(render_text(problems))
    return int(bool(problems) or (check and changed > 0))


def _files_of(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _schema(file: Path) -> Schema:
    return LANGUAGE_FILE if file.resolve().parent.name == "languages" else RECIPE_FILE


def _files(path: Path) -> list[Path]:
    """The recipes, bases and language files of a folder, or the file itself."""
    if not path.is_dir():
        return [path]
    found = [p for folder in (path, path / "bases", path / "languages") for p in sorted(folder.glob("*.y*ml"))]
    if not found:
        raise user_error("no-recipes", f"{shown_name(path)} has no *.yaml", span=Span(shown_name(path)))
    return found


def step_of(major: bool, minor: bool, patch: bool) -> Bump | None:
    """The one step that was asked for. Raises UserError for several."""
    named: list[tuple[bool, Bump]] = [(major, "MAJOR"), (minor, "MINOR"), (patch, "PATCH")]
    asked = [step for wanted, step in named if wanted]
    if len(asked) > 1:
        raise user_error("usage", "say one of `--major`, `--minor`, `--patch`")
    return asked[0] if asked else None
