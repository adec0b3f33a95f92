"""The vocabulary: one table of operations, read by the Tensor, the tracer, the emitters and the
tests.
"""

from tensorweaver.primitives.amounts import AMOUNTS
from tensorweaver.primitives.censoring import CENSORING
from tensorweaver.primitives.differences import DIFFERENCES
from tensorweaver.primitives.dispersion import DISPERSION
from tensorweaver.primitives.divergences import DIVERGENCES
from tensorweaver.primitives.elementwise import ELEMENTWISE, PREDICATES
from tensorweaver.primitives.events import EVENTS
from tensorweaver.primitives.gamma import GAMMA
from tensorweaver.primitives.normal import NORMAL
from tensorweaver.primitives.outcomes import OUTCOMES
from tensorweaver.primitives.primitive import Kind, Primitive, Rule
from tensorweaver.primitives.reductions import REDUCTIONS
from tensorweaver.primitives.shaping import SHAPING
from tensorweaver.primitives.spreads import SPREADS
from tensorweaver.primitives.stable import STABLE
from tensorweaver.primitives.tails import TAILS

__all__ = ["TABLES", "VOCABULARY", "Kind", "Primitive", "Rule"]

TABLES = (
    ELEMENTWISE,
    PREDICATES,
    REDUCTIONS,
    SHAPING,
    STABLE,
    DIFFERENCES,
    GAMMA,
    DIVERGENCES,
    DISPERSION,
    NORMAL,
    CENSORING,
    TAILS,
    AMOUNTS,
    SPREADS,
    EVENTS,
    OUTCOMES,
)
"""The rows by theme; each name stands in one of them."""

VOCABULARY: dict[str, Primitive] = {row.name: row for table in TABLES for row in table}
"""Every operation by name."""
