"""The README and the guides: their code blocks, links and the names that they mention."""

import re
from pathlib import Path

import tensorweaver as tw
from tensorweaver.losses import catalogue

__all__ = [
    "DOCUMENTS",
    "ROOT",
    "code_blocks",
    "links",
    "losses_page",
    "losses_table",
    "promised",
    "run_blocks",
]

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


LIBRARIES = {
    "torch": "PyTorch",
    "optax": "optax",
    "keras": "Keras",
    "sklearn": "scikit-learn",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "torchvision": "torchvision",
    "liger": "Liger",
}
"""How the libraries are called that the losses' names are compared with."""

PAGE = """# The losses

Every loss has a gradient, a Hessian diagonal and Hessian-vector products, weights, masks and
reductions, on every backend; `help(tensorweaver.NAME)` says its formula, domain and sources.
`tensorweaver.get_loss` finds a loss by its own name or by those of other libraries, of which the
last column tells the ones that mean the same up to a factor.

This page is written by `python -m tests.examples.documents`.
"""


def families():
    """Every heading with its losses' names."""
    return {heading: tw.losses.names(heading) for heading in catalogue.FAMILIES}


def losses_table():
    """The README's list of losses, as the package has them."""
    rows = ["| family | losses |\n|---|---|\n"]
    for heading, names in families().items():
        told = ", ".join(f"`{name.removesuffix('_loss')}`" for name in names)
        rows.append(f"| {heading} | {told} |\n")
    return "".join(rows)


def summary(name):
    """The first paragraph of a loss's documentation."""
    paragraph = str(getattr(tw, name).__doc__).partition("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(".").replace("|", "\\|")


def losses_page():
    """The page of all losses, with what they are and what others call them."""
    parts = [PAGE]
    for heading, names in families().items():
        parts.append(f"\n## {heading}\n\n| loss | what it is | elsewhere |\n|---|---|---|\n")
        for name in names:
            known = catalogue.peers().get(name, {})
            told = ", ".join(f"{LIBRARIES[library]} `{other}`" for library, other in known.items())
            parts.append(f"| `{name}` | {summary(name)} | {told} |\n")
    return "".join(parts)


def written_anew():
    """Write both lists."""
    page = ROOT / "docs" / "losses.md"
    page.write_text(losses_page(), encoding="utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    start = text.index("| family | losses |")
    end = text.index("\n\n", start)
    readme.write_text(text[:start] + losses_table().rstrip() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    written_anew()
