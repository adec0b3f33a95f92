"""What the README and the guides say is true: code runs, files exist, lists are complete."""

import re
import tomllib

import pytest

import tensorweaver as tw
from tensorweaver.compiler import engines
from tests.architecture.source import PACKAGE
from tests.examples.documents import (
    DOCUMENTS,
    ROOT,
    code_blocks,
    links,
    losses_page,
    losses_table,
    run_blocks,
)

README = ROOT / "README.md"
MAIN_JOB = (
    'python -m venv .venv && .venv/bin/pip install ".[examples]" '
    "&& .venv/bin/python examples/temperature.py && .venv/bin/python examples/iris.py"
)
TESTS = (
    'python -m venv .venv && .venv/bin/pip install -e ".[test]" '
    "&& .venv/bin/python -m pytest -n auto"
)

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def read(path):
    return path.read_text(encoding="utf-8")


@documents
def test_code_runs_and_prints_what_it_says(document, capsys, monkeypatch):
    monkeypatch.setattr(engines.process, "environment", None)  # the guides tell the default
    said = run_blocks(read(document))
    assert capsys.readouterr().out.splitlines() == said


def test_the_readme_shows_numbers():
    blocks = code_blocks(read(README), "python")
    assert len(blocks) >= 4
    first = [line for line in blocks[0].splitlines() if line]
    assert len(first) <= 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\nprint(1 + 1)  # 3\n```\n", ["3"]),
        ("```python\nprint(2)\n```\n```python\nx = 1\nprint(x)  # 1\n```\n", ["1"]),
    ],
)
def test_a_wrong_or_missing_promise_is_noticed(text, said, capsys):
    assert run_blocks(text) == said
    assert capsys.readouterr().out.splitlines() != said


def test_the_two_commands_stand_in_the_readme():
    commands = [line for block in code_blocks(read(README), "sh") for line in block.splitlines()]
    assert commands == [MAIN_JOB, TESTS]


def test_every_loss_is_listed():
    again = "write them anew by `python -m tests.examples.documents`"
    assert losses_table() in read(README), f"the README's losses are others: {again}"
    assert read(ROOT / "docs" / "losses.md") == losses_page(), f"docs/losses.md is old: {again}"
    listed = losses_page().count("\n| `")
    assert listed == len(tw.losses.names()) > 100


@documents
def test_links_lead_to_files(document):
    missing = [
        target for target in links(read(document)) if not (document.parent / target).exists()
    ]
    assert missing == []


def mentioned_paths(text):
    """Paths in backticks; capital letters stand for a name of one's own."""
    found = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml))`", text)
    return [path for path in found if "NAME" not in path and "FAMILY" not in path]


@documents
def test_files_that_are_mentioned_exist(document):
    missing = [
        path
        for path in mentioned_paths(read(document))
        if not (ROOT / path).exists() and not (PACKAGE.parent / path).exists()
    ]
    assert missing == []


def test_paths_are_found_where_they_are_mentioned():
    text = (
        "See `tensorweaver/losses/mse.py`, `tests/losses/test_NAME.py`, `noxfile.py` and `a / b`."
    )
    assert mentioned_paths(text) == ["tensorweaver/losses/mse.py", "noxfile.py"]


@documents
def test_extras_that_are_mentioned_exist(document):
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    named = set(re.findall(r"tensorweaver\[(\w+)\]", read(document)))
    assert named <= set(project["optional-dependencies"])


@documents
def test_names_of_the_package_exist(document):
    named = set(re.findall(r"\btw\.([A-Za-z]\w*)", read(document)))
    assert named <= set(tw.__all__)


def test_every_backend_for_users_is_in_the_readme():
    from tensorweaver.backends import BACKENDS

    rows = re.findall(r"^\| `(\w+)` \| (?:comes along|`pip install)", read(README), re.MULTILINE)
    assert rows == [name for name in BACKENDS if name != "strict"]
