"""`xirecipe pin`: names that can move, such as `main`, become the commits that they are today."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xirecipe import yaml
from xirecipe.commands.check import checked_files
from xirecipe.commands.common import said
from xirecipe.compile import BrokenRecipe
from xirecipe.diagnostics import Diagnostic, Span, UserError
from xirecipe.disk import explained, write_whole
from xirecipe.editing.scalars import replaced_at
from xirecipe.load import load
from xirecipe.loaded import Loaded, shown_name
from xirecipe.pins import Pin, pins

Found = dict[Span, Pin]


def run_pin(paths: Sequence[Path]) -> int:
    """Ask the Hub for every commit, then write them all, each where its revision stands; no other character changes.

    0. Raises UserError, and writes nothing, where a recipe cannot be read or the Hub does not know a name.
    """
    moving: Found = {}
    for path in checked_files(paths):
        if path.resolve().parent.name != "languages":
            for loaded in _profiles(path):
                moving |= _moving(loaded)
    commits = _commits(moving)
    by_file: dict[str, dict[Span, tuple[str, str]]] = {}
    for span, pin in moving.items():
        new = commits[pin.kind, pin.repository, pin.revision]
        by_file.setdefault(span.file, {})[span] = (pin.revision, new)
    edited = {Path(name): _edited(Path(name), edits) for name, edits in by_file.items()}
    for path, text in edited.items():
        with explained(path):
            write_whole(path.resolve(), text)
    for span, pin in sorted(moving.items()):
        commit = commits[pin.kind, pin.repository, pin.revision]
        print(f"{span.file}:{span.line}: {pin.repository} {pin.revision} \u2192 {commit}")
    files = f"{len(edited)} file{'' if len(edited) == 1 else 's'}"
    revisions = f"{len(moving)} revision{'' if len(moving) == 1 else 's'}"
    print(f"{revisions} pinned in {files}" if moving else "nothing to pin: every revision is a commit")
    return 0


def _profiles(path: Path) -> Iterator[Loaded]:
    """A recipe under each of its profiles. Raises BrokenRecipe: what stands in it may not be what it will say."""
    first = load(path)
    for name in first.profiles or (None,):
        loaded = first if name in (None, first.profile) else load(path, name)
        if loaded.recipe is None or any(d.severity == "error" for d in loaded.diagnostics):
            raise BrokenRecipe(loaded)
        yield loaded


def _moving(loaded: Loaded) -> Found:
    assert loaded.recipe is not None
    return {loaded.span(*pin.path): pin for pin in pins(loaded.recipe) if pin.moves}


def _commits(moving: Found) -> dict[tuple[str, str, str], str]:
    """The commit of each repository at each name, asked once. Raises UserError with every name that is not there."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    from xirecipe.hub.remote import HubRepository

    commits: dict[tuple[str, str, str], str] = {}
    problems: list[Diagnostic] = []
    for span, pin in sorted(moving.items()):
        asked = (pin.kind, pin.repository, pin.revision)
        if asked in commits:
            continue
        said(f"asking for {pin.repository} at {pin.revision} ...")
        commits[asked] = ""
        try:
            commits[asked] = HubRepository(pin.repository).commit_of(pin.revision, pin.kind)
        except RepositoryNotFoundError:
            message = f"the Hub has no {pin.kind} {pin.repository}, or shows it only to others"
            problems.append(Diagnostic("no-repository", message, span, "HF_TOKEN, where you have been given access"))
        except UserError as error:
            if not isinstance(error.__cause__, RevisionNotFoundError):
                raise
            message = f"{pin.repository} has no `{pin.revision}`"
            problems.append(Diagnostic("no-revision", message, span, "name a branch or a tag of it, such as `main`"))
    if problems:
        raise UserError(problems)
    return commits


def _edited(path: Path, edits: dict[Span, tuple[str, str]]) -> str:
    # Read once for its checks: size, encoding, YAML.
    yaml.read(path, shown_name(path))
    raw = path.read_bytes().decode("utf-8")
    text = raw.removeprefix("\ufeff")
    return raw[: len(raw) - len(text)] + replaced_at(text, edits)
