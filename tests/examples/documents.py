"""The README and the guides: their code blocks, links and the names that they mention."""

import re
from pathlib import Path

import tensorweaver as tw

__all__ = ["DOCUMENTS", "ROOT", "code_blocks", "links", "losses_table", "promised", "run_blocks"]

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_blocks(text, language):
    """The code of each block of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def promised(code):
    """What the comments say is printed: behind a `print`, and in the lines under an `explain`."""
    said, under_explain = [], False
    for line in code.splitlines():
        behind_print = re.match(r" *print\(.*\)  # (.+)$", line)
        if behind_print:
            said.append(behind_print[1])
        elif under_explain and line.startswith("# "):
            said.append(line.removeprefix("# "))
        under_explain = ".explain(" in line or (under_explain and line.startswith("# "))
    return said


def run_blocks(text):
    """Run the Python blocks of a document one after the other; what they promised to print."""
    names = {"__name__": "document"}
    said = []
    for code in code_blocks(text, "python"):
        exec(compile(code, "<document>", "exec"), names)  # noqa: S102 - the documents are ours
        said += promised(code)
    return said


def links(text):
    """The files that a document links to."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", prose)
    return [target for target in targets if "://" not in target]


def losses_table():
    """The README's list of losses, as the package has them: the summary of each docstring."""
    rows = []
    for name in sorted(tw.__all__):
        loss = getattr(tw, name)
        if isinstance(loss, tw.Loss):
            paragraph = str(loss.__doc__).partition("\n\n")[0]
            summary = " ".join(paragraph.split()).rstrip(".").replace("|", "\\|")
            rows.append(f"| `{name}` | {summary} |\n")
    return "".join(rows)
