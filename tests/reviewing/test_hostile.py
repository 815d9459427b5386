"""A stranger's pull request: whatever it holds, the review ends soon, stays inside, and says words only."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.builders import RECIPE, in_python, xirecipe
from tests.reviewing.repositories import Repository
from xirecipe.reviewing import comment
from xirecipe.reviewing import review as reviewing
from xirecipe.reviewing.comment import markdown, said

#: One review of a small folder takes a fraction of this; a bomb that is not stopped takes hours.
SOON_SECONDS = 20


def written(repo: Repository) -> str:
    before = time.monotonic()
    ran = xirecipe("plan", "recipes", "--against", "main", "--format", "markdown")
    assert (ran.code, ran.err) == (0, "")
    assert time.monotonic() - before < SOON_SECONDS
    return ran.out


def outside_fences(text: str) -> str:
    return re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)


def test_a_huge_file_is_not_read_and_is_named(repo: Repository) -> None:
    repo.folder.write("prompts/write.j2", "{{ text }}" + "x" * 300_000)
    repo.folder.write("texts.jsonl", b'{"id": "1", "text": "habari ya leo"}\n' * 800_000)
    out = written(repo)
    assert "Files that were not read" in out
    assert "- `prompts/write.j2`: 300,010 bytes; 200,000 are read in a review" in out
    assert "- `texts.jsonl`: 29,600,000 bytes; 20,000,000 are read in a review" in out


def test_links_out_of_the_folder_are_not_followed(repo: Repository, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret {{ text }}")
    (repo.folder.root / "prompts/write.j2").unlink()
    (repo.folder.root / "prompts/write.j2").symlink_to(secret)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.yaml").write_text("name: a secret\n")
    (repo.folder.root / "linked").symlink_to(tmp_path / "elsewhere")
    out = written(repo)
    assert "a secret" not in out
    assert "- `prompts/write.j2`: a link" in out
    repo.commit()
    assert "- `prompts/write.j2`: a link" in written(repo)


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "../../secret.jsonl", "~/x.jsonl", "/dev/zero", "/proc"])
def test_a_source_outside_the_folder_is_not_looked_at(repo: Repository, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.jsonl").write_text('{"text": "a secret"}\n')
    repo.folder.recipe({"corpus.sources.web.path": path})
    out = written(repo)
    assert "a secret" not in out
    assert "root:" not in out
    if path != "~/x.jsonl":
        assert f"Outside the folder, and not read in a review: `{path}`" in out
    repo.folder.recipe({"corpus.sources": {"a b": {"format": "jsonl", "path": path, "license": "mit"}}})
    written(repo)


def test_aliases_that_explode_and_deep_nesting_are_errors_of_the_recipe(repo: Repository) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    repo.folder.write("bomb.yaml", bomb)
    repo.folder.write("deep.yaml", "a: " + "[" * 5_000 + "]" * 5_000)
    repo.folder.write("keys.yaml", "".join(f"key{n}: {n}\n" for n in range(1_500)))
    out = written(repo)
    assert "`alias-explosion`" in out
    assert "`too-deep`" in out
    assert re.search(r"- and \d{4} more", out)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ text.format(1) }}",
        "{% for a in text %}{% for b in text %}{% for c in text %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{{ 'x' * 1000000000 }}",
        "{{ " + "(" * 2_000 + "1" + ")" * 2_000 + " }}",
    ],
)
def test_a_template_that_calls_or_grows_is_refused_and_never_run(repo: Repository, template: str) -> None:
    repo.folder.write("prompts/write.j2", template)
    out = written(repo)
    assert "`bad-prompt`" in out
    assert "root:" not in out


def test_thousands_of_recipes_and_profiles_are_cut_to_what_a_reader_can_take(repo: Repository) -> None:
    for number in range(300):
        repo.folder.write(f"r{number}.yaml", f"nonsense: {number}\n")
    repo.folder.recipe({"profiles": {f"p{n}": {} for n in range(500)}})
    out = written(repo)
    assert "only the first 200 of 301 recipes were looked at." in out
    assert len(out) <= comment.MAX_CHARS


def test_a_long_review_leaves_whole_recipes_out_and_says_how_many(repo: Repository) -> None:
    for number in range(40):
        repo.folder.recipe({"name": f"r{number}", "card.uses": "x" * 5_000}, name=f"r{number:02}.yaml")
    repo.commit()
    repo.git("branch", "-f", "main")
    for number in range(40):
        text = "".join(f"line {number} {n}\n" for n in range(800))
        repo.folder.write(f"prompts/p{number}.j2", text)
        repo.folder.recipe(
            {"name": f"r{number}", "generate.prompt": f"prompts/p{number}.j2"}, name=f"r{number:02}.yaml"
        )
    out = written(repo)
    assert len(out) <= comment.MAX_CHARS
    assert re.search(r"\d+ more recipes do not fit into a comment", out)
    assert out.count("```") % 2 == 0


HOSTILE = (
    "```\n</details><script>alert(1)</script>\n@everyone see https://evil.example | x | <img src=x onerror=y> "
    "\u202eevil\x1b[31m\x00"
)


def test_words_of_a_stranger_call_nobody_and_break_nothing(repo: Repository) -> None:
    texts = HOSTILE.replace("\x00", "").replace("\x1b", "\\e")
    repo.folder.recipe({
        "card.title": texts, "card.uses": "`@octocat` | https://evil.example #1",
        "select.@all": {"<b>": 1}, "models.|x|": {"engine": "server"},
    })  # fmt: skip
    repo.folder.write("prompts/write.j2", "````\n" + texts + "\n```` {{ text }}\n</details>\n")
    out = written(repo)
    plain = outside_fences(out)
    assert "\u202e" not in out
    assert "\x1b" not in out
    spans_gone = re.sub(r"`[^`\n]*`", "", plain.replace("\\`", ""))
    assert not re.search(r"@(?=\w)", spans_gone)
    assert "<script" not in spans_gone.replace(comment.MARKER, "")
    assert "<img" not in spans_gone
    assert "https://evil" not in spans_gone
    for line in plain.split("\n"):
        if line.startswith("|"):
            cells = re.sub(r"\\\|", "", line).count("|")
            assert cells in (10, 8, 5), line


def test_a_reader_of_the_comment_gets_no_html_no_link_and_no_broken_table(repo: Repository) -> None:
    repo.folder.recipe({
        "card.title": HOSTILE.replace("\x00", "").replace("\x1b", ""),
        "card.uses": "<https://evil.example> [a](https://evil.example) ![b](x) `c` ~~~ $x$ <!--",
        "select.a|b`c": 1, "card.biases": "| a | b |\n|---|---|\n\n# title\n- [ ] task",
    })  # fmt: skip
    repo.folder.write("prompts/write.j2", "~~~\n````\n</details> {{ text }}\n| x |\n")
    parser = MarkdownIt("commonmark").enable("table").enable("strikethrough")
    tokens = parser.parse(written(repo))
    inner = [child for token in tokens for child in token.children or ()]
    assert [t.content.strip() for t in tokens if t.type == "html_block"] == [comment.MARKER]
    assert not {t.type for t in inner} & {"html_inline", "link_open", "image", "s_open", "em_open"}
    assert {t.content for t in inner if t.type == "text"}.isdisjoint({"title", "task"})
    assert [t.tag for t in tokens if t.type == "heading_open"] == ["h3", "h4"]
    assert sum(t.type == "table_open" for t in tokens) == 3


@pytest.mark.parametrize("text", [HOSTILE, "`a` @b", "#1 `x`", "www.evil.example `", "| @team/x"])
def test_said_is_one_line_that_mentions_and_links_nothing(text: str) -> None:
    shown = said(text)
    assert "\n" not in shown
    if not shown.startswith("`"):
        assert not re.search(r"[@#]\w|://|www\.", shown)


def test_nothing_of_the_pull_request_runs_and_no_connection_is_opened(repo: Repository) -> None:
    trap = "import pathlib\npathlib.Path(__file__).with_suffix('.ran').write_text('')\n"
    for name in ("yaml.py", "jinja2.py", "xirecipe.py", "sitecustomize.py", "conftest.py"):
        (repo.root / name).write_text(trap)
        repo.folder.write(name, trap)
    (repo.root / ".gitattributes").write_text("*.yaml filter=evil diff=evil\n*.j2 textconv=evil\n")
    repo.folder.recipe({"select.min_score": 2.5})
    code = (
        "import socket, sys\n"
        "sys.path = [p for p in sys.path if p]\n"
        "def refuse(*a, **k): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from xirecipe.cli import main\n"
        "assert main(['plan', 'recipes', '--against', 'main', '--format', 'markdown']) == 0\n"
        "heavy = {'datatrove', 'distilabel', 'huggingface_hub', 'datasets', 'sklearn', 'fasttext', 'aiohttp'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    ran = in_python("-P", "-c", code, cwd=repo.root, XIRECIPE_STORE=os.environ["XIRECIPE_STORE"])
    assert ran.code == 0, ran.err
    assert not list(repo.root.rglob("*.ran"))
    assert "select.min_score" in ran.out


def test_a_diff_of_lines_that_all_look_alike_ends_soon(repo: Repository) -> None:
    repo.folder.write("prompts/write.j2", "{{ text }}\n" + "a\nb\n" * 900)
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.folder.write("prompts/write.j2", "{{ text }}\n" + "b\na\n" * 990)
    assert "Prompt `prompts/write.j2`:" in written(repo)
    repo.folder.write("prompts/write.j2", "{{ text }}\n" + "b\n" * 5_000)
    assert "too long to compare line by line" in written(repo)


def test_a_review_that_takes_too_long_ends_and_says_so(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "MAX_SECONDS", 0)
    repo.folder.recipe({"select.min_score": 2.5})
    assert "time was up: 1 of 1 recipes were not looked at." in written(repo)


def test_odd_names_are_left_out(repo: Repository) -> None:
    repo.folder.write("a\nb.yaml", RECIPE)
    repo.folder.write("-rf.yaml", {"name": 1})
    out = written(repo)
    assert "an odd name" in out
    assert "recipes/-rf.yaml" in out


def test_markdown_of_a_review_is_markdown_of_its_dataclass(repo: Repository) -> None:
    repo.folder.recipe({"select.min_score": 2.5})
    assert markdown(repo.review()) == written(repo)
