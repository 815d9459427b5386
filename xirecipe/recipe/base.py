"""What every section of a recipe shares: frozen, unknown keys refused, values never rewritten."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: A share of something, 0..1 inclusive.
Ratio = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
#: ISO 639-3 and ISO 15924, as in FineWeb-2 and GlotLID.
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{3}_[A-Z][a-z]{3}$")]
#: A pinned revision: a commit hash, or a package version.
Revision = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A mapping in a recipe. Strict: `"3"` is not 3, and no validator changes what was written."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, strict=True)
