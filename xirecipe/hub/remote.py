"""A dataset repository on the Hub, through huggingface_hub; what goes wrong is said in the user's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from xirecipe import __version__
from xirecipe.diagnostics import UserError, user_error
from xirecipe.hub.trees import FileChanges, LocalFile, RemoteFile
from xirecipe.hub.versions import Version, versions_in

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Answer = TypeVar("Answer")

#: Tries of a request that may be repeated, and the seconds before the second; each wait is twice the one before.
ATTEMPTS, WAIT_SECONDS = 3, 1.0
#: A request that ends so may have been carried out or not: look, then try again.
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}


class Moved(Exception):
    """The branch is no longer where it was when the commit was made: somebody else was faster."""


class Unsure(Exception):
    """The Hub or the way to it failed; whether the request was carried out is not known."""


@dataclass(frozen=True)
class State:
    """A repository's main branch and released versions; `head` is None where there is no repository."""

    head: str | None
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class PullRequest:
    """An open pull request: where to read it, and the ref its commits go to."""

    number: int
    url: str

    @property
    def ref(self) -> str:
        return f"refs/pr/{self.number}"


class HubRepository:
    """One dataset repository. The token is that of the environment or of the Hub's login, never another."""

    def __init__(self, repository: str) -> None:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        try:
            validate_repo_id(repository)
        except HFValidationError as error:
            raise user_error("bad-repository-name", f"the Hub refuses the name {repository}: {error}") from None
        self.repository = repository

    @cached_property
    def api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(library_name="xirecipe", library_version=__version__)

    @property
    def url(self) -> str:
        return f"{self.api.endpoint}/datasets/{self.repository}"

    def state(self) -> State:
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            refs = self._asked(lambda: self.api.list_repo_refs(self.repository, repo_type="dataset"))
        except RepositoryNotFoundError:
            return State(None, ())
        head = next((branch.target_commit for branch in refs.branches if branch.name == "main"), None)
        return State(head, tuple(versions_in(tag.name for tag in refs.tags)))

    def commit_of(self, revision: str, kind: Literal["dataset", "model"] = "dataset") -> str:
        """The full hash of a branch or tag, as downloads resolve it."""
        info = self._asked(lambda: self.api.repo_info(self.repository, revision=revision, repo_type=kind))
        return str(info.sha)

    def tree(self, revision: str) -> dict[str, RemoteFile]:
        """Every file at a revision."""
        from huggingface_hub.hf_api import RepoFile

        def listed() -> list[RepoFile]:
            items = self.api.list_repo_tree(self.repository, recursive=True, revision=revision, repo_type="dataset")
            return [item for item in items if isinstance(item, RepoFile)]

        return {
            file.path: RemoteFile(file.size, file.lfs.sha256 if file.lfs else None, None if file.lfs else file.blob_id)
            for file in self._asked(listed)
        }

    def fetch(self, revision: str, patterns: list[str] | None = None, *, again: bool = False) -> Path:
        """A local copy of the files at a revision, in the Hub's own cache; by commit, so a moved tag changes nothing.

        `again`: download files that are in the cache already.
        """
        from huggingface_hub import snapshot_download

        commit = self.commit_of(revision)
        return Path(
            self._asked(
                lambda: snapshot_download(
                    self.repository, repo_type="dataset", revision=commit, allow_patterns=patterns,
                    force_download=again, endpoint=self.api.endpoint, library_name="xirecipe",
                )
            )
        )  # fmt: skip

    def create(self) -> None:
        self._asked(lambda: self.api.create_repo(self.repository, repo_type="dataset", exist_ok=True))

    def commit(
        self, changes: FileChanges, local: dict[str, LocalFile], message: str, parent: str,
        revision: str | None = None, *, open_pull: bool = False,
    ) -> PullRequest | None:  # fmt: skip
        """All changes in one commit on top of `parent`; a pull request where `open_pull` asks for one.

        Raises Moved, Unsure; UserError for what the Hub refuses for good.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path, local[path].path) for path in (*changes.added, *changes.changed)
        ]
        operations += [CommitOperationDelete(path, is_folder=False) for path in changes.removed]
        with self._once():
            done = self.api.create_commit(
                self.repository, operations, commit_message=message, repo_type="dataset", parent_commit=parent,
                revision=revision, create_pr=open_pull,
            )  # fmt: skip
        return PullRequest(int(done.pr_num), str(done.pr_url)) if done.pr_num else None

    def tag(self, tag: str, commit: str, message: str) -> bool:
        """False where the tag is there already. Raises Unsure, UserError."""
        from huggingface_hub.errors import HfHubHTTPError

        try:
            with self._once():
                # Not `exist_ok`: it hides that the tag stands on another commit.
                self.api.create_tag(self.repository, tag=tag, tag_message=message, revision=commit, repo_type="dataset")
        except UserError as error:
            if isinstance(error.__cause__, HfHubHTTPError) and error.__cause__.response.status_code == 409:
                return False
            raise
        return True

    def pull_request(self, title: str, author: str) -> PullRequest | None:
        """The open pull request of this title by this author: a stranger's is none of ours."""
        found = self._asked(
            lambda: list(
                self.api.get_repo_discussions(
                    self.repository, repo_type="dataset", discussion_type="pull_request", discussion_status="open",
                    author=author,
                )
            )
        )  # fmt: skip
        mine = [pull for pull in found if pull.title == title and pull.author == author and pull.status == "open"]
        return PullRequest(mine[0].num, mine[0].url) if mine else None

    def merge(self, pull: PullRequest) -> None:
        with self._once():
            self.api.merge_pull_request(self.repository, pull.number, repo_type="dataset")

    def read(self, request: Callable[[], Answer]) -> Answer:
        """A request that changes nothing, tried again where the Hub or the network fails."""
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

        again = Retrying(
            stop=stop_after_attempt(ATTEMPTS), wait=wait_exponential(WAIT_SECONDS), reraise=True,
            retry=retry_if_exception(transient),
        )  # fmt: skip
        try:
            return again(request)
        except Exception as error:
            if transient(error):
                raise unreachable(self.api.endpoint, error) from error
            raise

    def _asked(self, request: Callable[[], Answer]) -> Answer:
        """`read`, with what the Hub refuses as UserError; a missing repository passes for the caller to explain."""
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

        try:
            return self.read(request)
        except RepositoryNotFoundError:
            raise
        except HfHubHTTPError as error:
            raise user_error("hub-error", f"{self.repository}: the Hub refused: {said(error)}") from error

    @contextmanager
    def _once(self) -> Iterator[None]:
        """A request that changes something, sent once: the caller looks at what became of it before trying again."""
        from huggingface_hub.errors import HfHubHTTPError

        try:
            yield
        except Exception as error:
            # Uploads run in threads, which wrap what went wrong.
            cause = error.__cause__ if isinstance(error, RuntimeError) else error
            if transient(cause):
                raise Unsure(said(cause or error)) from error
            if isinstance(cause, HfHubHTTPError):
                status = cause.response.status_code
                if status == 412:
                    raise Moved("somebody pushed at the same time") from error
                code = "no-rights" if status in (401, 403) else "hub-refused"
                raise user_error(code, f"{self.repository}: the Hub refused: {said(cause)}") from cause
            if isinstance(cause, ValueError):
                raise user_error("hub-refused", f"{self.repository}: the Hub refused: {cause}") from error
            raise


def transient(error: BaseException | None) -> bool:
    """Whether an error is the network's or the Hub's and may be gone in a moment. Causes count: uploads wrap theirs."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if error is None:
        return False
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _TRANSIENT
    if isinstance(error, httpx2.TransportError | ConnectionError | TimeoutError):
        return True
    # What a download raises where it found nothing in its cache to fall back on.
    return isinstance(error, RuntimeError | LocalEntryNotFoundError) and transient(error.__cause__)


def unreachable(endpoint: str, error: BaseException) -> UserError:
    """The Hub did not answer, or only with errors of its own."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    hint = "nothing was lost; try again later"
    return user_error("hub-unreachable", f"{endpoint} does not work now: {said(cause)}", hint=hint)


def said(error: BaseException) -> str:
    """An error in one line: what the server said, and its status."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"{status} {error.server_message or error.response.reason_phrase}".strip()
    return " ".join((str(error) or type(error).__name__).split())[:300]
