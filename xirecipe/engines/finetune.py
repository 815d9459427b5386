"""Training an adapter, or measuring one. Runs as a process of its own: `python -m xirecipe.engines.finetune FOLDER`.

torch, transformers and TRL take seconds to import and hundreds of megabytes, and a training that is killed must leave
nothing behind. So they stay out of the run's process; see `xirecipe.engines.training_job` for what passes between.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from safetensors.numpy import load_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer

from xirecipe.disk import write_whole
from xirecipe.engines.base_models import Base, load_base, precision_of
from xirecipe.engines.lora_gguf import gguf_facts, write_adapter
from xirecipe.engines.memory import give_back
from xirecipe.engines.scoring import Sequenced, collated, log_probs, nats
from xirecipe.engines.training_job import Result, TrainingJob, TrainingLesson
from xirecipe.fingerprint import file_digest
from xirecipe.learned import GGUF, SAFETENSORS
from xirecipe.models.leash import leash
from xirecipe.models.requests import FatalModelError
from xirecipe.recipe.models import EmbeddedModel

#: Of all steps, how many the learning rate takes to rise; and what of it is left at the end.
WARM_UP_RATIO, LAST_RATE_RATIO = 0.1, 0.05
#: At most so many steps are lost when a training is killed, and at most a tenth of them.
MOST_STEPS_BETWEEN_CHECKPOINTS = 50
#: Losses kept in the manifest, at most.
KEPT_LOSSES = 100
#: In a checkpoint's folder: it was written to its end.
_WHOLE = "whole"


class Watch(TrainerCallback):
    """Says how far the training is, and marks checkpoints that were written to their end."""

    def __init__(self, job: TrainingJob) -> None:
        self._job = job

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        self._job.report(state.global_step, state.max_steps, "steps")
        give_back()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WHOLE).touch()


class EpochOrder(LengthGroupedSampler):
    """Pairs of about one length together, in an order that hangs on the seed and the epoch alone.

    The library's own order hangs on all that was drawn before it, which a training that goes on amid an epoch has not
    drawn: it would end as another adapter.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths, generator=torch.Generator())
        self._seed, self._epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator.manual_seed((self._seed << 20) + self._epoch)
        return super().__iter__()


class AnswerTrainer(SFTTrainer):
    """TRL's trainer, with an order of our own, and a loss that makes no logits for prompts and padding (`scoring`)."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        each, _ = nats(model, inputs)
        loss = each.mean() if num_items_in_batch is None else each.sum() / num_items_in_batch
        return (loss, None) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        lengths = [len(tokens) for tokens in self.train_dataset["input_ids"]]
        return EpochOrder(self.args.train_batch_size, lengths, self.args.data_seed)


def run(job: TrainingJob) -> None:
    """Train, measure, and write the adapter; measure alone where it is there.

    Raises FatalModelError when the model cannot be had or learns nothing.
    """
    torch.set_num_threads(job.threads)
    precision = precision_of(job.learn.precision)
    job.report(0, 1, "models loaded")
    base = load_base(job.model, precision)
    lessons = job.read_lessons()
    sequences = [_sequenced(lesson, base, job) for lesson in lessons]
    fits = [len(sequence) <= base.context_tokens for sequence in sequences]
    if job.trained:
        model = PeftModel.from_pretrained(base.model, str(job.adapter))
        job.write_results(_measured(job, base, model, lessons, sequences, fits), {})
        return
    learnt = [s for s, lesson, fit in zip(sequences, lessons, fits, strict=True) if fit and lesson.learn]
    if not learnt:
        raise FatalModelError("nothing-to-learn", "no pair is left to learn from", "add pairs to the seed")
    trainer = _trainer(job, base, learnt, precision)
    begun = time.monotonic()
    resumed = _last_checkpoint(job.checkpoints)
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    seconds = time.monotonic() - begun
    results = _measured(job, base, trainer.model, lessons, sequences, fits)
    files = _write(job, base, trainer.model)
    losses = [(log["step"], round(log["loss"], 6)) for log in trainer.state.log_history if "loss" in log]
    job.write_results(
        results,
        {
            "steps": trainer.state.global_step,
            "resumed_at": int(resumed.name.rpartition("-")[2]) if resumed else 0,
            "pairs": len(learnt),
            "tokens_a_pair": round(sum(map(len, learnt)) / len(learnt), 3),
            "first_loss": _mean(losses[: max(1, len(losses) // 10)]),
            "last_loss": _mean(losses[-max(1, len(losses) // 10) :]),
            "losses": losses[:: max(1, math.ceil(len(losses) / KEPT_LOSSES))],
            "train_seconds": round(seconds, 3),
            "precision": precision,
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
            "files": files,
        },
    )


def _mean(losses: Sequence[tuple[int, float]]) -> float:
    return round(sum(loss for _, loss in losses) / len(losses), 6)


def _sequenced(lesson: TrainingLesson, base: Base, job: TrainingJob, answer: str | None = None) -> Sequenced:
    tokens = base.tokens.answer(lesson.answer if answer is None else answer)
    match job.role:
        case "writer":
            tokens = [*tokens, *base.tokens.end_of_turn]
        case "student" if lesson.ends:
            tokens = [*tokens, *base.tokens.end_of_text]
        case _:
            pass  # a label is one token of many that might come; how the turn ends is nobody's question
    return Sequenced((base.tokens.raw if lesson.raw else base.tokens.prompt)(lesson.prompt), tokens)


def _trainer(job: TrainingJob, base: Base, learnt: Sequence[Sequenced], precision: str) -> SFTTrainer:
    learn = job.learn
    steps = learn.max_steps or learn.epochs * math.ceil(len(learnt) / learn.batch_size)
    config = SFTConfig(
        output_dir=str(job.checkpoints),
        max_steps=steps,
        per_device_train_batch_size=learn.batch_size,
        learning_rate=learn.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": LAST_RATE_RATIO},
        warmup_steps=max(1, round(steps * WARM_UP_RATIO)),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch",
        seed=learn.random_seed,
        data_seed=learn.random_seed,
        use_cpu=not torch.cuda.is_available(),
        # The base weights have the precision already; autocast would round the adapter's, too.
        bf16=False,
        fp16=False,
        gradient_checkpointing=False,
        max_length=None,
        # Tokens and labels are there already.
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="steps",
        save_steps=max(1, min(MOST_STEPS_BETWEEN_CHECKPOINTS, steps // 10)),
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    adapter = LoraConfig(
        r=learn.rank, lora_alpha=learn.alpha, lora_dropout=learn.dropout, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    torch.manual_seed(learn.random_seed)
    return AnswerTrainer(
        base.model, args=config, train_dataset=Dataset.from_list([s.row for s in learnt]),
        processing_class=base.tokenizer, peft_config=adapter, data_collator=collated, callbacks=[Watch(job)],
    )  # fmt: skip


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; half-written ones are removed."""
    found: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / _WHOLE).exists():
            found[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return found[max(found)] if found else None


def _measured(
    job: TrainingJob, base: Base, model: Any, lessons: Sequence[TrainingLesson], sequences: Sequence[Sequenced],
    fits: Sequence[bool],
) -> list[Result]:  # fmt: skip
    """Answers that are measured, and every label they might have been, by the trained model and by the one it was."""
    wanted = [fit and lesson.measured for lesson, fit in zip(lessons, fits, strict=True)]
    asked = [sequence for sequence, want in zip(sequences, wanted, strict=True) if want]
    labels = [
        _sequenced(lesson, base, job, _labelled(lesson, label))
        for lesson, want in zip(lessons, wanted, strict=True) if want
        for label in lesson.choices
    ]  # fmt: skip
    total = 2 * len(asked) + 2 * len(labels)

    def scored(what: Sequence[Sequenced], done: int) -> list[float]:
        def report(n: int) -> None:
            job.report(done + n, total, "answers measured")
            give_back()

        return log_probs(model, what, batch_size=job.learn.batch_size, report=report)

    def both(done: int) -> tuple[Iterator[float], Iterator[float]]:
        found = scored([*asked, *labels], done)
        return iter(found[: len(asked)]), iter(found[len(asked) :])

    after, labels_after = both(0)
    with model.disable_adapter():
        before, labels_before = both(len(asked) + len(labels))
    results = []
    for lesson, sequence, fit, want in zip(lessons, sequences, fits, wanted, strict=True):
        if not want:
            results.append(Result(len(sequence.answer) if fit else len(sequence), too_long=not fit))
            continue
        results.append(
            Result(
                len(sequence.answer), False, next(before), next(after),
                {label: next(labels_before) for label in lesson.choices} or None,
                {label: next(labels_after) for label in lesson.choices} or None,
            )
        )  # fmt: skip
    return results


def _labelled(lesson: TrainingLesson, label: str) -> str:
    """Another label in the place of the right one, with the space before it where the right one has it."""
    return lesson.answer[: len(lesson.answer) - len(lesson.answer.lstrip())] + label


def _write(job: TrainingJob, base: Base, model: Any) -> dict[str, str]:
    """Write the adapter's folder; sha256 of the weights files by name."""
    folder = job.adapter
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(str(folder))
    base.tokenizer.save_pretrained(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    # Not where the weights lay on this machine, and the same bytes for the same adapter.
    name = job.model.package or job.model.repository if isinstance(job.model, EmbeddedModel) else job.model.model
    config |= {"base_model_name_or_path": name, "revision": job.model.revision}
    config["target_modules"] = sorted(config["target_modules"])
    write_whole(folder / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    files = [SAFETENSORS]
    if isinstance(job.model, EmbeddedModel):
        facts = gguf_facts(model.config.get_text_config())
        try:
            write_adapter(load_file(folder / SAFETENSORS), float(job.learn.alpha), facts, folder / GGUF)
        except ValueError as error:
            message = f"the adapter cannot be written for llama.cpp: {error}"
            raise FatalModelError("cannot-convert", message, "take an `embedded` model of another kind") from error
        files.append(GGUF)
    return {name: file_digest(folder / name) for name in files}


def main(folder: Path) -> int:
    leash()
    job = TrainingJob.read(folder)
    try:
        run(job)
    except FatalModelError as error:
        end = {"code": error.code, "message": error.message, "hint": error.hint}
        write_whole(job.end, json.dumps(end, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
