"""A plugin that prints the battery as a table: a line a loss, a column for what it was asked.

    python -m pytest -p tests.battery.report tests/battery --backend numpy,torch

A number says in how many cases it held, `-` that it was not asked, `skip` that it could not be, and
`FAIL` that it did not hold. Tests over backends, engines, dtypes and layouts have a column each.
"""

from collections import Counter, defaultdict

import pytest

__all__ = ["Table"]

COLUMNS = {
    "test_value_and_gradient": "mpmath",
    "test_peers_agree": "peers",
    "test_derivatives_agree_with_differences": "differences",
    "test_whole_weights_are_repeated_rows": "weights",
    "test_what_does_not_count_is_removed_even_over_nan": "masks",
    "test_reductions_and_their_gradients_agree": "reductions",
    "test_a_mean_over_nothing_is_zero": "nothing",
    "test_tensors_give_the_same": "Tensor",
    "test_other_dtypes": "dtypes",
    "test_it_does_not_matter_how_arrays_lie": "layouts",
    "test_the_gradient_is_written_where_told": "out=",
    "test_backends_agree": "",
    "test_engines_agree": "",
}
"""Columns by how the tests' names begin; an empty one is named by the test's own parameter."""

LAWS = "laws"
BACKENDS = ("numpy", "strict", "torch", "jax", "dask", "cupy", "blocks", "llvm")


class Table:
    """What came of the tests: loss -> column -> outcome -> how often."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))

    def note(self, name: str, parameters: str, outcome: str) -> None:
        """Count one test, by its name and the parameters in its brackets."""
        loss = next((part for part in parameters.split("-") if "_loss" in part), None)
        if loss is None:
            return
        loss = loss[: loss.index("_loss")]
        column = next((c for start, c in COLUMNS.items() if name.startswith(start)), LAWS)
        if not column:
            known = [part for part in parameters.split("-") if part in BACKENDS]
            column = known[-1] if known else name
        self.found[loss][column][outcome] += 1

    @property
    def columns(self) -> list[str]:
        """The columns that have anything in them, in order."""
        order = [*filter(None, COLUMNS.values()), LAWS, *BACKENDS]
        held = {column for columns in self.found.values() for column in columns}
        return [column for column in dict.fromkeys(order) if column in held]

    def cell(self, loss: str, column: str) -> str:
        """What stands in the table."""
        counts = self.found[loss][column]
        if counts["failed"]:
            return "FAIL"
        if counts["passed"]:
            return str(counts["passed"])
        return "skip" if counts["skipped"] else "-"

    def lines(self) -> list[str]:
        """The table."""
        width = max((len(loss) for loss in self.found), default=0)
        sizes = {column: max(len(column), 4) for column in self.columns}
        heading = "  ".join(f"{column:>{size}}" for column, size in sizes.items())
        rows = [f"{'':{width}}  {heading}"]
        for loss in sorted(self.found):
            cells = (f"{self.cell(loss, column):>{size}}" for column, size in sizes.items())
            rows.append(f"{loss:{width}}  {'  '.join(cells)}")
        return rows


TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()
    config.pluginmanager.register(Notes(config.stash[TABLE]), "battery-notes")


class Notes:
    """Fills the table; under xdist, in the process that gathers the reports."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test is done, or was skipped before it began."""
        place = report.nodeid.rpartition("::")[2]
        if "tests/battery/" in report.nodeid and (report.when == "call" or not report.passed):
            name, _, parameters = place.partition("[")
            self.table.note(name, parameters.removesuffix("]"), report.outcome)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    table = config.stash[TABLE]
    if table.found:
        terminalreporter.section("the battery: in how many cases each held")
        for line in table.lines():
            terminalreporter.write_line(line)
