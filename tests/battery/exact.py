"""What a reference and its slopes are worth exactly, and what a rounding of the inputs changes.

A slope is a quotient of differences of many digits: a step of relative size `10 ** -(digits / 3)`
is far below any structure that a floating-point number can resolve. From the left and from the
right they differ at a kink, where the slope of smallest size between them is meant.
"""

import mpmath
import numpy as np
from mpmath import mpf

from tests.accuracy.judge import Exact, neighbours
from tests.accuracy.truth import DIGITS, digits

__all__ = ["exact_element", "exact_row"]

AGREE = mpf(10) ** -12


def number(x):
    """A result as a real number: NaN where it is none."""
    if isinstance(x, mpmath.mpc):
        return mpf("nan") if x.imag else x.real
    return mpf(x)


def evaluate(reference, arguments, options):
    """The value; NaN where the formula is not defined."""
    try:
        return number(reference(*arguments, **options))
    except (ValueError, ZeroDivisionError, OverflowError):
        return mpf("nan")


def moved(arguments, place, index, change):
    """The arguments with one number changed; `index` is None for a number by itself."""
    found = list(arguments)
    if index is None:
        found[place] = found[place] + change
    else:
        row = list(found[place])
        row[index] = row[index] + change
        found[place] = row
    return found


def step_at(x, arguments, dtype):
    """A step that no structure of the arguments' size can notice."""
    scale = abs(x) if x else min([mpf(1), *sizes_of(arguments)])
    return scale * mpf(10) ** -(DIGITS[dtype] // 3)


def sizes_of(arguments):
    """The sizes of all numbers but zeros, infinities and NaN."""
    flat = [y for argument in arguments for y in np.ravel(argument)]
    return [abs(y) for y in flat if y and mpmath.isfinite(y)]


def slope(reference, arguments, options, place, index, dtype):
    """The derivative by one number; at a kink the slope of smallest size, at an edge one-sided."""
    x = arguments[place] if index is None else arguments[place][index]
    if not mpmath.isfinite(x):
        return mpf("nan")
    step = step_at(x, arguments, dtype)
    largest = max([mpf(1), *sizes_of(arguments)])
    wanted = int(mpmath.log10(largest / step)) + DIGITS[dtype] // 3
    with mpmath.workdps(max(DIGITS[dtype], wanted)):
        here = evaluate(reference, arguments, options)
        after = evaluate(reference, moved(arguments, place, index, step), options)
        before = evaluate(reference, moved(arguments, place, index, -step), options)
        right, left = (after - here) / step, (here - before) / step
    if mpmath.isnan(left) or mpmath.isnan(right):
        return left if mpmath.isnan(right) else right
    if not (mpmath.isfinite(left) and mpmath.isfinite(right)):
        return min(left, right, key=abs)
    if abs(right - left) <= AGREE * max(abs(left), abs(right)):
        return (left + right) / 2
    return mpf(0) if left * right <= 0 else min(left, right, key=abs)


def known_slopes(slopes, at, options, wrt):
    """What the specimen says the slopes are by each of `wrt`; None where it says nothing."""
    known = None if slopes is None else slopes(*at, **options)
    if isinstance(known, tuple):
        return known
    return (known, *[None] * (len(wrt) - 1))


# ------------------------------------------------------------------------------ one element
def exact_element(
    reference, arguments, options, dtype, *, fixed=(), slopes=None, terms=None, wrt=(0,)
):
    """Value and slopes by the arguments `wrt`, each with what moving the arguments by a step
    changes.

    `slopes`, where given, knows the slopes, and `terms` the sizes of what cancels; arguments at the
    places `fixed` are not moved.
    """
    with digits(dtype):
        numbers = [mpf(float(x)) for x in arguments]

        def everything(at):
            value = evaluate(reference, at, options)
            known = known_slopes(slopes, at, options, wrt)
            by = [
                slope(reference, at, options, place, None, dtype) if found is None else found
                for place, found in zip(wrt, known, strict=True)
            ]
            return [value, *map(number, by)]

        wants = everything(numbers)
        changes = [mpf(0)] * len(wants)
        for place, given in enumerate(arguments):
            if place in fixed:
                continue
            others = [everything([*numbers[:place], mpf(float(n)), *numbers[place + 1 :]])
                      for n in neighbours(given, dtype)]  # fmt: skip
            for i, want in enumerate(wants):
                by_this = [abs(other[i] - want) for other in others]
                changes[i] += max((c for c in by_this if mpmath.isfinite(c)), default=mpf(0))
        sizes = (terms and terms(*numbers, **options)) or [mpf(0)] * len(wants)
        scales = [mpf(0) if not mpmath.isfinite(s) else abs(s) for s in map(number, sizes)]
        return [Exact(*each) for each in zip(wants, changes, scales, strict=True)]


# ------------------------------------------------------------------------------------ a row
def spots(arguments, fixed):
    """Every number that may move: the argument's place, and where in it."""
    for place, argument in enumerate(arguments):
        if place in fixed:
            continue
        if isinstance(argument, list):
            yield from ((place, index) for index in range(len(argument)))
        else:
            yield place, None


def half_step(x, dtype):
    """One ulp of a finite number."""
    near = neighbours(float(x), dtype)
    return max((abs(mpf(float(n)) - x) for n in near), default=mpf(0))


def exact_row(reference, arguments, options, dtype, *, fixed=(), slopes=None, wrt=(0,)):
    """Value and slopes by the arguments `wrt` of a row, with what steps of the inputs change.

    To first order: the value by its slopes, a slope by the slopes' differences over a step.
    """
    with digits(dtype):
        numbers = [
            [mpf(float(x)) for x in argument] if np.ndim(argument) else mpf(float(argument))
            for argument in arguments
        ]

        def gradient(at):
            found: list[mpf] = []
            for place, known in zip(wrt, known_slopes(slopes, at, options, wrt), strict=True):
                if known is not None:
                    found += map(number, known if isinstance(known, list) else [known])
                    continue
                others = set(range(len(numbers))) - {place}
                for _, index in spots(numbers, others):
                    found.append(slope(reference, at, options, place, index, dtype))
            return found

        wants = [evaluate(reference, numbers, options), *gradient(numbers)]
        changes = [mpf(0)] * len(wants)
        for place, index in spots(numbers, fixed):
            x = numbers[place] if index is None else numbers[place][index]
            step = half_step(x, dtype) if mpmath.isfinite(x) else mpf(0)
            if not step:
                continue
            at = moved(numbers, place, index, step)
            found = [evaluate(reference, at, options), *gradient(at)]
            by_this = [abs(a - b) for a, b in zip(found, wants, strict=True)]
            changes = [
                c + b if mpmath.isfinite(b) else c for c, b in zip(changes, by_this, strict=True)
            ]
        return [Exact(want, change) for want, change in zip(wants, changes, strict=True)]
