"""Corpus and dedup as Slurm jobs. `sbatch`, `squeue` and `srun` are fakes on the PATH; what they are given is real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.conftest import SWAHILI
from tests.many_machines.steps import Failing, Slow
from tests.test_promises import Project, project  # noqa: F401  (the fixture)
from xirecipe import tables
from xirecipe.diagnostics import UserError, render_text
from xirecipe.engines import slurm
from xirecipe.engines.spreading import Scratch, spread
from xirecipe.recipe.corpus import Corpus
from xirecipe.settings import Settings, Slurm, from_environment
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Work

pytestmark = pytest.mark.engine

REPOSITORY = Path(__file__).parents[2]
SBATCH = """#!{python}
import os, subprocess, sys
from pathlib import Path
here = Path(__file__).parent
number = len(list(here.glob("job-*")))
script = here / f"job-{{number}}"
script.write_text(Path(sys.argv[-1]).read_text())
(here / "arguments").write_text(" ".join(sys.argv[1:-1]))
if (here / "runs").exists():
    last = int(next(l for l in script.read_text().splitlines() if "--array=0-" in l).split("0-")[1].split("%")[0])
    one = f"SLURM_ARRAY_TASK_ID=$i SLURM_JOB_ID=42 SLURM_NODELIST=n1 RUN_OFFSET=0 bash {{script}}"
    jobs = f"for i in $(seq 0 {{last}}); do {{one}} >> {{here}}/output 2>&1; done; rm {{here}}/alive"
    (here / "alive").touch()
    subprocess.Popen(["bash", "-c", jobs], start_new_session=True, env=dict(os.environ), stdout=subprocess.DEVNULL)
print("Submitted batch job 42")
"""
SQUEUE = (
    '#!/bin/bash\nif [ -e "$(dirname "$0")/alive" ]; then echo " 42 cpu"; else echo "Invalid job id" >&2; exit 1; fi\n'
)
SCONTROL = "#!/bin/bash\necho n1\n"
SRUN = '#!/bin/bash\nwhile [ "$1" != launch_pickled_pipeline ]; do shift; done\nexec "$@"\n'


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Slurm that takes jobs and does not start them, unless it holds a file `runs`."""
    folder = tmp_path / "slurm-bin"
    folder.mkdir()
    scripts = {
        "sbatch": SBATCH.format(python=sys.executable),
        "squeue": SQUEUE,
        "srun": SRUN,
        "scontrol": SCONTROL,
    }
    for name, script in scripts.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(slurm, "_GRACE_SECONDS", 0.5)
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., Work]:
    def made(**changes: object) -> Work:
        source = {"web": {"license": "cc0-1.0", "format": "jsonl", "path": "web.jsonl"}}
        stage = Stage("corpus", Corpus.model_validate({"sources": source}), SWAHILI, root=tmp_path)
        store = Store(tmp_path / "store")
        settings = Settings(executor="slurm", slurm=Slurm(**{"partition": "cpu", **changes}))  # type: ignore[arg-type]
        return Work(stage, {}, store.artifact("corpus", "f" * 64), store, settings, lambda progress: None)

    return made


def said(error: pytest.ExceptionInfo[UserError]) -> str:
    return render_text(error.value.diagnostics)


def test_the_job_script_asks_for_what_the_settings_say(
    cluster: Path, work: Callable[..., Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    given = work(
        time="02:00:00", qos="high", cpus_per_task=2, memory_per_cpu_gb=8, tasks_per_job=2, tasks_at_once=3,
        setup="module load python", more={"account": "me"},
    )  # fmt: skip
    with pytest.raises(UserError):  # this Slurm forgets its jobs
        spread(given, Scratch(given), [Slow(tmp_path)], tasks=7)
    folder = tmp_path / "store" / "slurm" / f"corpus-{'f' * 16}"
    assert (cluster / "arguments").read_text() == "--export=ALL,RUN_OFFSET=0"
    assert [path.name for path in cluster.glob("job-*")] == ["job-0"]
    assert (
        (cluster / "job-0").read_text()
        == f"""#!/bin/bash
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=8G
#SBATCH --nodes=1
#SBATCH --partition=cpu
#SBATCH --job-name=xirecipe-corpus
#SBATCH --time=02:00:00
#SBATCH --output={folder}/corpus.logs/%A_%a.out
#SBATCH --error={folder}/corpus.logs/%A_%a.out
#SBATCH --array=0-3%3
#SBATCH --account=me
#SBATCH --requeue
#SBATCH --qos=high
echo "Starting data processing job xirecipe-corpus"
module load python; export PATH={Path(sys.executable).parent}:$PATH; export PYTHONPATH={REPOSITORY}
set -xe
export PYTHONUNBUFFERED=TRUE
srun  -l -n 1 launch_pickled_pipeline {folder}/logs/executor.pik
"""
    )


@pytest.mark.parametrize("tasks", [1, 3])
def test_the_command_waits_until_every_task_of_the_job_is_done_and_knows_what_they_counted(
    cluster: Path, work: Callable[..., Work], tmp_path: Path, tasks: int
) -> None:
    (cluster / "runs").touch()
    given = work()
    counted = spread(given, Scratch(given), [Slow(tmp_path)], tasks=tasks)
    assert [len((tmp_path / f"{rank}.pids").read_text().split()) for rank in range(tasks)] == [1] * tasks
    assert counted.stats[0]["documents"].total == tasks


def test_tasks_that_failed_are_told_with_their_reason_and_only_they_are_submitted_again(
    cluster: Path, work: Callable[..., Work], tmp_path: Path
) -> None:
    (cluster / "runs").touch()
    given = work()
    with pytest.raises(UserError) as error:
        spread(given, Scratch(given), [Failing()], tasks=3)
    assert said(error) == (
        "error[slurm-job-failed]: Slurm job 42 ended, and 1 of 3 tasks are not done: LookupError: it broke\n"
        "  = hint: mend that and run again: only those tasks are submitted\n\n1 error\n"
    )
    spread(given, Scratch(given), [Slow(tmp_path)], tasks=3)
    assert sorted(path.name for path in tmp_path.glob("*.pids")) == ["1.pids"]
    assert "--array=0-0" in (cluster / "job-1").read_text()


@pytest.mark.end_to_end
def test_a_command_that_was_interrupted_goes_on_waiting_for_the_same_job(
    project: Project,  # noqa: F811
    cluster: Path,
    tmp_path: Path,
) -> None:
    project.run("--to", "dedup")
    expected = rows(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "local")
    project.environment_extra = {"XIRECIPE_EXECUTOR": "slurm", "XIRECIPE_SLURM_PARTITION": "cpu"}
    (cluster / "alive").touch()
    waiting = subprocess.Popen(
        project.command("run", "--to", "dedup"),
        cwd=tmp_path,
        env=project.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    records = tmp_path / "store" / "slurm"
    while not list(records.glob("corpus-*/corpus.job.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    waiting.send_signal(2)
    _, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert "Slurm job 42 goes on; run the same command to wait for it, or `scancel 42`" in told

    record = next(records.glob("corpus-*/corpus.job.json"))
    assert json.loads(record.read_text())["job"] == "42"
    (cluster / "runs").touch()
    (cluster / "alive").unlink()  # the job that never started is gone: another one is submitted
    stages = project.run("--to", "dedup")

    assert stages["corpus"]["made"]
    assert rows(tmp_path / "store") == expected
    assert not list(records.iterdir())


def rows(store: Path) -> dict[str, list[tables.Row]]:
    return {
        f"{folder.name}/{part}": list(tables.read(folder / part))
        for folder in sorted(store.glob("*-*"))
        for part in ("data", "dropped", "failed")
    }


def test_without_a_partition_or_slurm_the_setting_is_the_users_mistake(
    work: Callable[..., Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for given, code in ((work(partition=""), "bad-setting"), (work(), "no-slurm")):
        with pytest.raises(UserError) as error:
            spread(given, Scratch(given), [Failing()], tasks=1)
        assert f"error[{code}]" in said(error)


def test_what_a_job_asks_for_is_read_from_the_environment() -> None:
    settings = from_environment(
        {
            "XIRECIPE_EXECUTOR": "slurm",
            "XIRECIPE_SLURM_PARTITION": "cpu",
            "XIRECIPE_SLURM_TIME": "01:00:00",
            "XIRECIPE_SLURM_QOS": "high",
            "XIRECIPE_SLURM_CPUS_PER_TASK": "2",
            "XIRECIPE_SLURM_MEMORY_PER_CPU_GB": "8",
            "XIRECIPE_SLURM_TASKS_PER_JOB": "5",
            "XIRECIPE_SLURM_TASKS_AT_ONCE": "20",
            "XIRECIPE_SLURM_SETUP": "module load python",
            "XIRECIPE_SLURM_MORE": "--account=me '--comment=two words'",
        }
    )
    assert settings.executor == "slurm"
    assert settings.slurm == Slurm(
        "cpu", "01:00:00", "high", 2, 8, 5, 20, "module load python", {"account": "me", "comment": "two words"}
    )
    with pytest.raises(UserError) as error:
        from_environment({"XIRECIPE_SLURM_MORE": "-A me"})
    assert "error[bad-setting]: XIRECIPE_SLURM_MORE has `-A`" in said(error)
    with pytest.raises(UserError) as error:
        from_environment({"XIRECIPE_EXECUTOR": "cloud"})
    assert "`local`, `ray` or `slurm`" in said(error)
