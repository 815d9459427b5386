"""An artifact: the folder of one stage and fingerprint, its manifest written last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from xirecipe.columns import StageKind
from xirecipe.diagnostics import user_error
from xirecipe.disk import write_whole

if TYPE_CHECKING:
    from xirecipe.mirror import Mirror


@dataclass(frozen=True)
class Manifest:
    """What a stage did. Its existence means the stage is done.

    Counts are rows; `asked` is how many rows the stage owed an outcome for (documents x draws for generate), so
    asked = kept + sum(dropped) + sum(failed).
    """

    stage: StageKind
    fingerprint: str
    payload: dict[str, Any]
    """What was hashed into the fingerprint, kept so that a later change can be explained."""
    rows_in: int
    asked: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    """Model answers received while this artifact was made; answers found in the completion log are `reused`."""
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the engine measured, for card and report."""
    recipe: str = ""
    tool: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    finished: str = ""

    @property
    def label(self) -> str:
        """What people call the stage: its kind, and which round it was, which dataset it was for, or whom it taught."""
        identity = self.payload.get("identity", {})
        which = (identity.get("dataset"), identity.get("role"), identity.get("round"))
        return " ".join([self.stage, *(str(each) for each in which if each)])

    @property
    def balanced(self) -> bool:
        return self.asked == self.kept + sum(self.dropped.values()) + sum(self.failed.values())

    @property
    def lacks_answers(self) -> bool:
        """Whether rows failed, or a rating never came: what `run --retry-failed` makes again."""
        return bool(self.failed or self.facts.get("unrated"))

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Artifact:
    """The folder of a finished or unfinished stage; of a mirrored store, what is asked for is brought first."""

    folder: Path
    mirror: Mirror | None = field(default=None, repr=False, compare=False)

    @property
    def data(self) -> Path:
        return self._part("data")

    @property
    def dropped(self) -> Path:
        return self._part("dropped")

    @property
    def failed(self) -> Path:
        return self._part("failed")

    def _part(self, name: str) -> Path:
        if self.mirror is not None:
            self.mirror.fetch(self.folder.name, name)
        return self.folder / name

    def address(self, part: str) -> str:
        """Where other machines find a part of a finished artifact; of a local store, if they share the file system."""
        if self.mirror is not None:
            return self.mirror.remote.at(f"{self.folder.name}/{part}")
        return str((self.folder / part).absolute())

    @property
    def adapter(self) -> Path:
        """Of a train stage: the trained adapter, as a PEFT folder."""
        return self._part("adapter")

    @property
    def manifest_path(self) -> Path:
        if self.mirror is not None:
            self.mirror.look(self.folder.name)
        return self.folder / "manifest.json"

    @property
    def done(self) -> bool:
        return self.manifest_path.exists()

    def manifest(self) -> Manifest:
        """Raises UserError when the manifest cannot be read: the artifact must then be made again."""
        try:
            return Manifest.from_json(self.manifest_path.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise user_error(
                "broken-manifest",
                f"{self.manifest_path} cannot be read: {error}",
                hint=f"remove {self.folder} and run again; answers in the completion log are kept",
            ) from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write it whole or not at all: a temporary file, flushed to disk, then renamed."""
        if not manifest.balanced:
            raise AssertionError(f"{manifest.stage}: rows do not add up: {manifest}")
        text = manifest.to_json()
        if self.mirror is not None:
            self.mirror.publish(self.folder.name, text)
        write_whole(self.folder / "manifest.json", text)

    def forget(self) -> None:
        """Say that it is not done. Its rows stay until `Store.start`."""
        if self.mirror is not None:
            self.mirror.forget(self.folder.name)
        (self.folder / "manifest.json").unlink(missing_ok=True)
