"""Which model a stage asks: the recipe's, or that model with the adapter that its train stage made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from xirecipe.recipe.models import Adapter, EmbeddedModel, Model, VllmModel
from xirecipe.stage import Stage
from xirecipe.store import Store

#: The adapter's weights: as PEFT writes them, and as llama.cpp reads them.
SAFETENSORS, GGUF = "adapter_model.safetensors", "adapter.gguf"


def model_of(stage: Stage, store: Store) -> Model | None:
    """The model that a stage asks. None where it asks none, or where the training it waits for is not done.

    The adapter's hash becomes part of the model's identity, so that answers of two trainings never mix.
    """
    train = stage.beside("train")
    if train is None or stage.model is None:
        return stage.model
    artifact = store.artifact("train", train.fingerprint)
    if not artifact.done:
        return None
    made = artifact.manifest().facts["adapter"]
    folder: Path = artifact.adapter.absolute()
    match stage.model:
        case EmbeddedModel():
            adapter = Adapter(path=str(folder / GGUF), sha256=made["files"][GGUF], license=made["license"])
        case VllmModel():
            adapter = Adapter(path=str(folder), sha256=made["files"][SAFETENSORS], license=made["license"])
        case _:
            raise AssertionError(f"{stage.label}: a server's model was trained")
    return stage.model.model_copy(update={"adapter": adapter})


def writer_of(stage: Stage) -> Stage:
    """The writer as a refining round asks it: with the adapter of the training before the round, where there is one."""
    writer, train = stage.ancestor("generate"), stage.beside("train")
    if writer is None:
        raise AssertionError(f"a plan with {stage.label} and no generate")
    if train is None:
        return writer
    return replace(writer, inputs=(*(given for given in writer.inputs if given.kind != "train"), train))
