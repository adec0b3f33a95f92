"""What a one-ulp step of every logit changes, to first order: for rows too wide to move one by one.

With `u[j]` one ulp of logit `j`, the logarithm of probability `k` moves by at most
`step[k] = (1 - p[k]) u[k] + sum(p[j] u[j] for j != k)`, and everything else follows from that.
"""

from mpmath import log, mpf

from tests.accuracy import truth
from tests.accuracy.judge import Exact, as_exact, spacing
from tests.accuracy.truth import digits

__all__ = ["exact_row"]


def exact_row(name, row, dtype, *, label=0, distribution=None):
    """The results of one reference for a row, as a list of `Exact`, in the reference's order.

    `label` is the class that the loss or the slope is asked for; `distribution` replaces it.
    """
    with digits(dtype):
        exact = as_exact(row)
        probabilities = truth.softmax(exact)
        unit = [spacing(x, dtype) if abs(x) != truth.INFINITY else mpf(0) for x in exact]
        all_units = sum(p * u for p, u in zip(probabilities, unit, strict=True))
        step = [(1 - p) * u + all_units - p * u for p, u in zip(probabilities, unit, strict=True)]
        moves = [p * s for p, s in zip(probabilities, step, strict=True)]
        if distribution is not None:
            q = as_exact(distribution)
            wants = truth.cross_entropy(exact, q)
            return together(
                wants, changes_with_targets(wants, probabilities, moves, unit, q, dtype)
            )
        wants, changes = REFERENCES[name](exact, label, probabilities, step, moves, all_units)
        return together(wants, changes)


def together(wants, changes):
    return [Exact(want, change) for want, change in zip(wants, changes, strict=True)]


def changes_with_targets(wants, probabilities, moves, unit, q, dtype):
    """Steps of the logits as for a label, times the total; and of each target probability."""
    target_unit = [spacing(x, dtype) if x else mpf(0) for x in q]
    total_unit = sum(target_unit)
    by_logits = sum(abs(g) * u for g, u in zip(wants[1:], unit, strict=True))
    by_targets = sum(u * abs(log(p)) for p, u in zip(probabilities, target_unit, strict=True) if u)
    total = sum(q)
    slopes = [
        total * m + p * (total_unit - u) + (1 - p) * u
        for p, m, u in zip(probabilities, moves, target_unit, strict=True)
    ]
    return [by_logits + by_targets, *slopes]


def softmax(row, label, probabilities, step, moves, all_units):
    return probabilities, moves


def log_softmax(row, label, probabilities, step, moves, all_units):
    return truth.log_softmax(row), step


def logsumexp(row, label, probabilities, step, moves, all_units):
    return truth.logsumexp(row), [all_units, *moves]


def softmax_slopes(row, label, probabilities, step, moves, all_units):
    mine = probabilities[label]
    wants = truth.softmax_slopes(row, label)
    return wants, [abs(w) * step[label] + mine * m for w, m in zip(wants, moves, strict=True)]


def log_softmax_slopes(row, label, probabilities, step, moves, all_units):
    return truth.log_softmax_slopes(row, label), moves


def cross_entropy(row, label, probabilities, step, moves, all_units):
    wants = truth.cross_entropy(row, truth.one_hot(label, len(row)))
    return wants, [step[label], *moves]


REFERENCES = {
    function.__name__: function
    for function in (
        softmax,
        log_softmax,
        logsumexp,
        softmax_slopes,
        log_softmax_slopes,
        cross_entropy,
    )
}
