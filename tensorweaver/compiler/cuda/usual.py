"""What is usual for some neighbours of a row, and how little their text has to do then.

Usually none of them is the one at the label, none is beyond the row, none is +inf, and none lies so
far below the row's maximum that its exponential is subnormal. So a kernel asks this once for all of
them, and has two texts: a quick one, and one for whatever comes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tensorweaver.compiler.cuda.scope import Scope
from tensorweaver.compiler.graph import Node, is_decay, is_log1p_of_decay

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from tensorweaver.compiler.cuda.quotients import Quotients
    from tensorweaver.compiler.cuda.text import Text

__all__ = ["NOTHING", "QuickScope", "Usual", "usual_of"]

NEAR = "-87.0f"
"""From here to 0 exponentials are ordinary numbers."""


class Usual(NamedTuple):
    """What a quick text relies on.

    Attributes
    ----------
    of_row, of_vector
        When that is so, in C: what is the same for a whole row, once its maximum is known, and what
        is not.
    never
        Conditions of the formula that do not hold.
    near
        Exponentials of numbers from -87 to 0.
    inverses
        For a divisor of the row the variable that holds one over it.
    factors
        For a quotient by such a divisor that is multiplied by a number of the row, and rounded to
        half precision afterwards, what its numerator is multiplied by.
    rough
        Whether what is computed from a node is rounded to half precision.
    """

    of_row: tuple[str, ...]
    of_vector: tuple[str, ...]
    never: frozenset[Node]
    near: frozenset[Node]
    inverses: Mapping[Node, str]
    factors: Mapping[Node, str]
    rough: Container[Node]


NOTHING = Usual((), (), frozenset(), frozenset(), {}, {}, ())


class QuickScope(Scope):
    """The values known at one place of a text for what is usual."""

    def __init__(
        self,
        text: Text,
        real: str,
        given: Callable[[Node], str | None],
        names: Mapping[Node, str],
        usual: Usual | None = None,
    ) -> None:
        super().__init__(text, real, self.folded, names)
        self.usual = usual or NOTHING
        self.given_elsewhere = given
        self.inverses: dict[Node, str] = {}

    def folded(self, node: Node) -> str | None:
        """What is known, a choice between what never holds and its opposite among it."""
        if node in self.usual.never:
            return "false"
        if node in self.usual.factors:
            self.value(node.arguments[1].arguments[0])
            return self.variable(node, self.expression(node))
        found = self.given_elsewhere(node)
        branch = node if found else chosen(node, self.usual.never)
        return found if branch is node else self.value(branch)

    def expression(self, node: Node) -> str:
        """One operation on known values."""
        if self.real != "float":
            return super().expression(node)
        rough = node in self.usual.rough
        if node in self.usual.near:
            return f"exp_{'rough' if rough else 'near'}({self.known[node.arguments[0]]})"
        if is_log1p_of_decay(node):
            return f"log1p_unit({self.known[node.arguments[0]]})"
        if node in self.usual.factors:
            quotient = node.arguments[1]
            return f"{self.known[quotient.arguments[0]]} * {self.usual.factors[node]}"
        if node.name == "divide":
            inverse = self.inverse(node.arguments[1])
            if inverse is not None:
                return f"{inverse}.{'rough' if rough else 'times'}({self.known[node.arguments[0]]})"
        return super().expression(node)

    def inverse(self, divisor: Node) -> str | None:
        """The variable that holds one over a divisor; None where only a division is right."""
        if divisor in self.usual.inverses:
            return self.usual.inverses[divisor]
        if not is_one_and_decay(divisor):
            return None
        if divisor not in self.inverses:
            name = self.inverses[divisor] = self.text.fresh("inverse")
            self.text.line(f"const Inverse {name} = Inverse::of_unit({self.known[divisor]});")
        return self.inverses[divisor]


def usual_of(
    read: Iterable[Node],
    labels: Iterable[Node],
    known: Mapping[Node, str],
    arrays: Mapping[Node, str],
    quotients: Quotients,
    rough: Container[Node] = (),
) -> Usual:
    """What is usual for the elements `read`.

    Parameters
    ----------
    read
        The elements' values that are computed from inputs.
    labels
        Those of them that tell whether an element is the one at the label.
    known
        The row values that are known, as the text calls them.
    arrays
        By input, the neighbours in hand; none where there is no quick exponential.
    quotients
        What there is to divide by numbers of the row.
    rough
        See `Usual`.
    """
    read = list(read)
    maxima = {node.arguments[0]: name for node, name in known.items() if node.name == "max"}
    infinite = [n for n in read if is_infinite(n) and n.arguments[0] in maxima]
    never = frozenset([*labels, *infinite])
    near = {}
    for node in read:
        below = resolved(node.arguments[0], never) if node.name == "exp" else node
        if node.name == "exp" and below.name == "subtract" and below.arguments[0] in arrays:
            element, row = below.arguments
            if maxima.get(element) == known.get(row, ""):
                near[node] = f"least({arrays[element]}) - {known[row]} >= {NEAR}"
    bounded = [f"{maxima[n.arguments[0]]} < infinity<real>()" for n in infinite]
    return Usual(
        tuple(dict.fromkeys(bounded)),
        tuple(dict.fromkeys(near.values())),
        never,
        frozenset(near),
        quotients.inverses,
        quotients.factors,
        rough,
    )


def resolved(node: Node, never: Container[Node]) -> Node:
    """What a choice comes to where some conditions do not hold."""
    while (branch := chosen(node, never)) is not node:
        node = branch
    return node


def chosen(node: Node, never: Container[Node]) -> Node:
    """The branch of a choice whose condition does not hold; any other node itself."""
    if node.name != "where" or node.arguments[0] not in never:
        return node
    branch = node.arguments[2]
    return branch if branch.kind == node.kind else node


def is_infinite(node: Node) -> bool:
    """Whether it tells if an element is +inf."""
    return (
        node.name == "equal"
        and node.arguments[1].is_constant
        and node.arguments[1].value == math.inf
    )


def is_one_and_decay(node: Node) -> bool:
    """Whether it is one and a decay such as `exp(-abs(x))`, from 1 to 2."""
    if node.name != "add":
        return False
    one, decay = node.arguments
    return one.is_constant and one.value == 1 and is_decay(decay)
