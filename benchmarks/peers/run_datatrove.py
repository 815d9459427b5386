"""datatrove as shipped over JSON Lines: its own filters, tokenizer and MinHash. Runs in an environment of its own.

    python run_datatrove.py WORK.json

WORK.json: {"input", "output", "workers", "tasks", "model", "language", "label", "words", "filters", "minhash"};
`words`: "shipped" for the tokenizer that datatrove assigns to the language, "whitespace" for its cheapest.
HF_ASSETS_CACHE must name a folder of its own: the language model is laid there. Prints {"kept": n}.
"""

import json
import shutil
import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LambdaFilter, LanguageFilter
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.writers import JsonlWriter, ParquetWriter
from datatrove.utils.lid import FT176LID
from datatrove.utils.word_tokenizers import WhitespaceTokenizer
from fsspec.core import strip_protocol
from huggingface_hub import cached_assets_path


def given_model(model: str) -> None:
    """Lay the model where datatrove looks before it downloads; nothing else about its filter changes."""
    folder = Path(cached_assets_path("datatrove", "lid", FT176LID.MODEL_SUBFOLDER))
    laid = folder / strip_protocol(FT176LID.MODEL_URL).replace("/", "_")
    shutil.copy(model, laid)
    Path(f"{laid}.completed").touch()


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    output = Path(work["output"])
    language = WhitespaceTokenizer() if work["words"] == "whitespace" else work["language"]
    given_model(work["model"])
    limits, minhash = work["filters"], MinhashConfig(**work["minhash"])
    quality, repetition = limits["gopher_quality"], limits["gopher_repetition"]

    def run(name: str, steps: list, tasks: int) -> None:
        LocalPipelineExecutor(
            steps, tasks=tasks, workers=min(work["workers"], tasks), logging_dir=str(output / "logs" / name)
        ).run()

    def dropped(name: str) -> JsonlWriter:
        return JsonlWriter(str(output / "dropped" / name), compression=None)

    run("filters", [
        JsonlReader(work["input"]),
        LanguageFilter([work["label"]], limits["language"]["min_score"], exclusion_writer=dropped("language")),
        LambdaFilter(
            lambda document: len(document.text) >= limits["length"]["min_chars"], exclusion_writer=dropped("length")
        ),
        GopherQualityFilter(
            min_doc_words=quality["min_words"], max_doc_words=None,
            min_avg_word_length=quality["min_mean_word_chars"], max_avg_word_length=quality["max_mean_word_chars"],
            max_non_alpha_words_ratio=quality["min_alpha_words_ratio"], min_stop_words=quality["min_stop_words"],
            stop_words=quality["stop_words"], language=language, exclusion_writer=dropped("quality"),
        ),
        GopherRepetitionFilter(
            dup_line_frac=repetition["max_dup_lines_ratio"], dup_para_frac=None, dup_line_char_frac=None,
            dup_para_char_frac=None,
            top_n_grams=[(each["words"], each["max_chars_ratio"]) for each in repetition["top_ngrams"]],
            dup_n_grams=[(each["words"], each["max_chars_ratio"]) for each in repetition["dup_ngrams"]],
            language=language, exclusion_writer=dropped("repetition"),
        ),
        ParquetWriter(str(output / "filtered")),
    ], work["tasks"])  # fmt: skip
    reader = ParquetReader(str(output / "filtered"))
    folders = {name: str(output / name) for name in ("signatures", "buckets", "clusters")}
    run("signatures", [reader, MinhashDedupSignature(folders["signatures"], minhash, language=language)], work["tasks"])
    run(
        "buckets", [MinhashDedupBuckets(folders["signatures"], folders["buckets"], config=minhash)], minhash.num_buckets
    )
    run("clusters", [MinhashDedupCluster(folders["buckets"], folders["clusters"], config=minhash)], 1)
    run("kept", [
        reader, MinhashDedupFilter(folders["clusters"], exclusion_writer=dropped("near")),
        ParquetWriter(str(output / "kept")),
    ], work["tasks"])  # fmt: skip
    stats = json.loads((output / "logs" / "kept" / "stats.json").read_text())
    print(json.dumps({"kept": stats[-1]["stats"]["total"]}))


if __name__ == "__main__":
    main()
