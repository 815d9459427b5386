"""data-juicer over JSON Lines: its own filters and MinHash. Runs in an environment of its own.

    python run_data_juicer.py WORK.json          as run_datatrove.py

Its rules are not Gopher's: the ones nearest to them run, at its own limits. Prints {"kept": n}.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    output = Path(work["output"])
    models = output / "models"
    models.mkdir(parents=True)
    shutil.copy(work["model"], models / "lid.176.bin")  # where it looks before it downloads
    minhash, limits = work["minhash"], work["filters"]
    recipe = {
        "project_name": "benchmark", "executor_type": "default", "np": work["workers"], "open_tracer": False,
        "dataset_path": work["input"], "export_path": str(output / "kept" / "kept.jsonl"), "work_dir": str(output),
        "process": [
            {"language_id_score_filter": {"lang": work["label"], "min_score": limits["language"]["min_score"]}},
            {"text_length_filter": {"min_len": limits["length"]["min_chars"]}},
            {"words_num_filter": {"min_num": limits["gopher_quality"]["min_words"]}},
            {"special_characters_filter": {"max_ratio": 0.25}},
            {"character_repetition_filter": {"rep_len": 10, "max_ratio": 0.5}},
            {"word_repetition_filter": {"rep_len": 5, "max_ratio": 0.3}},
            {"document_minhash_deduplicator": {
                "window_size": minhash["n_grams"], "num_bands": minhash["num_buckets"],
                "num_rows_per_band": minhash["hashes_per_bucket"],
                "num_permutations": minhash["num_buckets"] * minhash["hashes_per_bucket"],
            }},
        ],
    }  # fmt: skip
    config = output / "recipe.json"  # JSON is YAML
    config.write_text(json.dumps(recipe))
    caches = {name: str(output / name.lower()) for name in ("DATA_JUICER_CACHE_HOME", "HF_DATASETS_CACHE")}
    own = {**os.environ, **caches, "DATA_JUICER_MODELS_CACHE": str(models)}
    command = [str(Path(sys.executable).with_name("dj-process")), "--config", str(config)]
    subprocess.run(command, check=True, env=own, stdout=sys.stderr)
    with (output / "kept" / "kept.jsonl").open("rb") as file:
        print(json.dumps({"kept": sum(1 for _ in file)}))


if __name__ == "__main__":
    main()
