"""Lines of CUDA C under way, and the names that are taken in them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Text", "number"]

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl
        const constexpr const_cast continue decltype default delete do double dynamic_cast else
        enum explicit export extern false float for friend goto if inline int long mutable
        namespace new noexcept not not_eq nullptr operator or or_eq private protected public
        register reinterpret_cast return short signed sizeof static static_assert static_cast
        struct switch template this thread_local throw true try typedef typeid typename union
        unsigned using virtual void volatile wchar_t while xor xor_eq
        """,
    )
)
"""What C++ wants for itself."""

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Text:
    """Lines, indented by the block that they stand in; a name is taken until its block ends.

    Parameters
    ----------
    reserved
        Names that may not be taken.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.taken = {*KEYWORDS, *reserved}

    def line(self, text: str = "") -> None:
        """One line."""
        self.lines.append(f"{'    ' * self.depth}{text}" if text else "")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What follows stands in braces; the names taken there are free again afterwards."""
        before = set(self.taken)
        self.line(f"{head} {{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")
        self.taken = before

    @contextmanager
    def unrolled(self, name: str, count: int) -> Iterator[None]:
        """A loop that the compiler writes out."""
        self.lines.append("#pragma unroll")
        with self.block(f"for (int {name} = 0; {name} < {count}; ++{name})"):
            yield

    def fresh(self, wanted: str) -> str:
        """A name that nobody has: the wanted one, or with a number behind it."""
        base = wanted if PLAIN.fullmatch(wanted) else "value"
        name, count = base, 1
        while name in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name)
        return name

    def __str__(self) -> str:
        return "\n".join([*self.lines, ""])


def number(value: float, kind: str) -> str:
    """A number of the formula in C, to the last digit, as `float`, `double`, `long long`, `bool`.

    Beyond a type's range lies its infinity.
    """
    if kind == "bool":
        return "true" if value else "false"
    if kind == "long long":
        return f"{int(value)}LL" if value >= 0 else f"({int(value)}LL)"
    with np.errstate(over="ignore"):
        rounded = np.float32(value) if kind == "float" else np.float64(value)
    suffix = "f" if kind == "float" else ""
    if np.isnan(rounded):
        return f"not_a_number<{kind}>()"
    if np.isinf(rounded):
        return f"infinity<{kind}>()" if rounded > 0 else f"(-infinity<{kind}>())"
    text = repr(rounded.item()) if kind == "double" else str(rounded)
    return f"{text}{suffix}" if not text.startswith("-") else f"({text}{suffix})"
