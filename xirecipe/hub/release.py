"""Publishing a version: what is compared, refused and sent, to the Hub or to a folder registry.

A version is a tag. It is made last, on a commit that was read back, so that whatever fails before leaves the old
versions as they were, and the same command goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from xirecipe.diagnostics import Diagnostic, UserError, user_error
from xirecipe.hub import remote
from xirecipe.hub.candidate import COMPARED, Candidate, Released, candidate, other_content, version_of
from xirecipe.hub.gates import check_gates, not_releasable
from xirecipe.hub.remote import HubRepository, Moved, PullRequest, Unsure
from xirecipe.hub.rights import require_rights
from xirecipe.hub.trees import FileChanges, LocalFile, file_changes
from xirecipe.hub.versions import Version, previous_of
from xirecipe.plan import AnyPlan
from xirecipe.store import Store

#: More changed files than this go through a pull request in commits of this size: the Hub's advice for one commit,
#: whose request must end within a minute (huggingface.co/docs/hub/storage-limits).
FILES_PER_COMMIT = 100

Say = Callable[[str], None]


def release_to_hub(
    plan: AnyPlan, store: Store, *, dry_run: bool = False, as_pull: bool = False, say: Say = lambda text: None
) -> Released:
    """Release a finished plan as `vX.Y.Z` of the recipe's repository on the Hub.

    Raises UserError with every reason why this plan can be no version, the codes of `rights` and `gates`,
    `small-bump`, `older-version`, `tag-exists`, `hub-unreachable`, `hub-refused`, `no-rights`. After any of them the
    Hub has the old versions or the new one, nothing between, and the same call finishes what is left.
    """
    hub = HubRepository(_repository(plan))
    notes: list[str] = []
    author = ""
    try:
        author = require_rights(hub)
    except UserError as error:
        if not dry_run:
            raise
        notes += [d.message for d in error.diagnostics]
    gates = tuple(check_gates(plan, store))
    version, state = version_of(plan), hub.state()
    previous = previous_of(version, state.versions)
    say(f"comparing with {previous.tag if previous else 'nothing'} in {hub.repository}")
    old = hub.fetch(previous.tag, COMPARED) if previous else None
    with candidate(plan, store, version, previous, old) as new:
        if version in state.versions:
            files = _require_same(hub, version, new.files)
            return Released("already released", version, _page(hub, version), previous, None, files, gates=gates)
        try:
            new.check_step()
        except UserError as error:
            if not dry_run:
                raise
            notes += [d.message for d in error.diagnostics]
        files = file_changes(new.files, hub.tree(state.head) if state.head else {})
        found = Released(
            "dry run", version, hub.url, previous, new.difference, files, new.card, gates, tuple(notes)
        )  # fmt: skip
        if dry_run:
            return found
        if state.head is None:
            hub.create()
        publisher = _Publisher(hub, new, author, say)
        pull = publisher.bring(as_pull=as_pull)
        if pull is not None:
            return replace(found, status="in review", place=pull.url)
        return replace(found, status="released", place=_page(hub, version), commit=publisher.tag())


def _repository(plan: AnyPlan) -> str:
    """Where a plan is released to. Raises UserError with every reason why it cannot be, all at once."""
    refused = not_releasable(plan)
    repository = plan.recipe.release.repository
    if repository is None:
        hint = "`release: {repository: you/name}`, or `--to DIR` for a folder"
        refused.append(Diagnostic("no-repository", "the recipe names no `release.repository`", hint=hint))
    if refused or repository is None:
        raise UserError(refused)
    return repository


def _page(hub: HubRepository, version: Version) -> str:
    return f"{hub.url}/tree/{version.tag}"


def _require_same(hub: HubRepository, version: Version, local: dict[str, LocalFile]) -> FileChanges:
    """Raises UserError `tag-exists` where a released version is not what would be released now."""
    changes = file_changes(local, hub.tree(version.tag))
    if changes.count:
        raise other_content(version, hub.repository, changes)
    return changes


@dataclass
class _Publisher:
    """Brings a release tree to a repository's main branch and tags it; every step looks before it acts."""

    hub: HubRepository
    new: Candidate
    author: str
    say: Say

    @property
    def title(self) -> str:
        return f"Release {self.new.version.tag}"

    def bring(self, *, as_pull: bool) -> PullRequest | None:
        """Make main hold the release, by one commit or a merged pull request; or open one for people and return it."""
        patience = _Patience(self.hub.repository)
        while True:
            state = self.hub.state()
            if state.head is None:
                raise user_error("hub-refused", f"{self.hub.repository} is gone, or has no branch `main`")
            changes = file_changes(self.new.files, self.hub.tree(state.head))
            if self.new.version in state.versions or not changes.count:
                return None
            if as_pull:
                return self._pull_request()
            pull = self._pull_request() if changes.count > FILES_PER_COMMIT else None
            with patience.over(changes):
                if pull is not None:
                    self.say(f"merging pull request {pull.number}")
                    self.hub.merge(pull)
                else:
                    self.say(f"uploading {changes.count} files in one commit")
                    self.hub.commit(changes, self.new.files, self.title, state.head)

    def _pull_request(self) -> PullRequest:
        """The open pull request that holds the release whole: an earlier run's, finished, or a new one."""
        patience = _Patience(self.hub.repository)
        while True:
            pull = self.hub.pull_request(self.title, self.author)
            head = self.hub.commit_of(pull.ref if pull else "main")
            changes = file_changes(self.new.files, self.hub.tree(head))
            if pull and not changes.count:
                return pull
            with patience.over(changes):
                part = changes.part(FILES_PER_COMMIT)
                self.say(f"uploading {part.count} of {changes.count} files to a pull request")
                self.hub.commit(
                    part, self.new.files, self.title, head,
                    revision=pull.ref if pull else None, open_pull=pull is None,
                )  # fmt: skip

    def tag(self) -> str:
        """Tag what main holds, read everything back, and return the commit."""
        tag, patience = self.new.version.tag, _Patience(self.hub.repository)
        while self.new.version not in (state := self.hub.state()).versions:
            # Main may have moved since: only a commit that holds the release whole may carry its tag.
            if state.head is None or file_changes(self.new.files, self.hub.tree(state.head)).count:
                message = f"somebody pushed to {self.hub.repository} before {tag} was made"
                raise user_error("moved", message, hint="run the same command again")
            with patience.over(FileChanges()):
                if not self.hub.tag(tag, state.head, f"{self.title} of {self.hub.repository}"):
                    raise Unsure(f"it says that {tag} is there and did not list it")
        _require_same(self.hub, self.new.version, self.new.files)
        self.say(f"read back {len(self.new.files)} files at {tag}: sizes and hashes agree")
        return self.hub.commit_of(tag)


@dataclass
class _Patience:
    """How often a step is tried of which it may stay unknown whether the Hub did it: the next round looks first."""

    repository: str
    failures: int = 0
    cause: Exception | None = None
    done: FileChanges | None = None

    @contextmanager
    def over(self, changes: FileChanges) -> Iterator[None]:
        """One try at some changes; Moved and Unsure are swallowed. Raises UserError after too many in a row.

        Also where the Hub took the same changes before and does not have them.
        """
        if self.failures >= remote.ATTEMPTS:
            hint = "what is uploaded is kept and nothing is half released; run the same command again"
            message = f"{self.repository}: the Hub failed {self.failures} times: {self.cause}"
            raise user_error("hub-unreachable", message, hint=hint) from self.cause
        if self.done == changes:
            shown = ", ".join([*changes.added, *changes.changed, *changes.removed][:5]) or "the tag"
            raise user_error("hub-refused", f"{self.repository}: the Hub said yes and does not have {shown}")
        try:
            yield
        except (Moved, Unsure) as failure:
            time.sleep(remote.WAIT_SECONDS * 2**self.failures)
            self.failures, self.cause = self.failures + 1, failure
        else:
            self.failures, self.done = 0, changes
