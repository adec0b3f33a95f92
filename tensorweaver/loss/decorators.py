"""`@pointwise`, `@rowwise` and `@composed`: the three shapes of formula that become losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from tensorweaver.loss.formula import Formula, Role
from tensorweaver.loss.loss import Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tensorweaver.loss.domains import Domain

__all__ = ["composed", "pointwise", "rowwise"]


def decorator(
    function: Callable[..., Any] | None,
    *,
    rowwise: bool,
    arrays: Iterable[str],
    roles: Mapping[str, Role],
    wrt: Iterable[str] | None,
    reductions: Iterable[str],
    **more: Any,
) -> Any:
    def decorate(formula: Callable[..., Any]) -> Loss:
        return Loss(
            Formula.read(
                formula,
                rowwise=rowwise,
                arrays=several(arrays),
                roles=roles,
                wrt=None if wrt is None else several(wrt),
                reductions=several(reductions),
                **more,
            )
        )

    return decorate if function is None else decorate(function)


def several(names: Iterable[str]) -> tuple[str, ...]:
    """Names as a tuple; a single one may come alone."""
    return (names,) if isinstance(names, str) else tuple(names)


@overload
def pointwise(function: Callable[..., Any]) -> Loss: ...
@overload
def pointwise(
    *,
    arrays: Iterable[str] = ...,
    wrt: Iterable[str] | None = ...,
    reductions: Iterable[str] = ...,
    domains: Mapping[str, Domain] | None = ...,
) -> Callable[[Callable[..., Any]], Loss]: ...
def pointwise(
    function: Any = None,
    *,
    arrays: Iterable[str] = (),
    wrt: Iterable[str] | None = None,
    reductions: Iterable[str] = (),
    domains: Mapping[str, Domain] | None = None,
) -> Any:
    """Make a loss of a formula that gives one number for each element.

    Parameters
    ----------
    function
        The formula: positional arguments are arrays, keyword-only arguments are options. It is
        called once, on stand-ins, with the functions of `tw.array_namespace(...)`; what it does
        becomes the kernel.
    arrays
        Keyword arguments that are arrays when given, such as `("weight",)`.
    wrt
        The arguments that `.grad` differentiates by; the first by default.
    reductions
        Reductions beyond mean, sum and none; `"batchmean"` divides by the length of the first axis.
    domains
        What numbers arguments may hold, where that is less than all: `"probability"`,
        `"nonnegative"`, `"positive"`, `"sign"` for -1 and 1, `"count"`. Others are refused, with
        the place of the first that counts, where numbers can be looked at: not on a GPU unless
        `use_validation(True)` says so, and not of lazy and traced arrays.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> @tw.pointwise
    ... def asymmetric_loss(predictions, targets, *, ratio=3.0):
    ...     xp = tw.array_namespace(predictions, targets)
    ...     error = predictions - targets
    ...     return xp.where(error < 0, ratio * error**2, error**2)
    >>> asymmetric_loss([1.0, 4.0], [2.0, 2.0])
    np.float64(3.5)
    >>> asymmetric_loss.grad([1.0, 4.0], [2.0, 2.0])
    array([-3.,  2.])
    """
    return decorator(
        function,
        rowwise=False,
        arrays=arrays,
        roles={},
        wrt=wrt,
        reductions=reductions,
        domains=domains or {},
    )


@overload
def rowwise(function: Callable[..., Any]) -> Loss: ...
@overload
def rowwise(
    *,
    arrays: Iterable[str] = ...,
    roles: Mapping[str, Role] = ...,
    wrt: Iterable[str] | None = ...,
    reductions: Iterable[str] = ...,
    domains: Mapping[str, Domain] | None = ...,
) -> Callable[[Callable[..., Any]], Loss]: ...
def rowwise(
    function: Any = None,
    *,
    arrays: Iterable[str] = (),
    roles: Mapping[str, Role] | None = None,
    wrt: Iterable[str] | None = None,
    reductions: Iterable[str] = (),
    domains: Mapping[str, Domain] | None = None,
) -> Any:
    """Make a loss of a formula that reduces one axis, the classes or features of a row.

    The formula writes that axis as `axis=-1`, wherever it is in the caller's arrays, and reduces
    with `keepdims=True` when the result meets elements again. It may return a pair `(loss, count)`:
    `count` is how much of the row a mean counts. Where it does not reduce, each element is a loss.

    An option called `ignore_index` has a meaning in a formula with labels: that label is never
    looked up outside the classes, and where no label is ignored the formula is called with None for
    it, if it takes None. The labels that a caller gives are checked; those that a formula computes
    must be classes too, or what is looked up there is undefined.

    Parameters
    ----------
    function, arrays, wrt, reductions, domains
        As for `pointwise`.
    roles
        What arguments hold that are not a number an element: `"label"` a class index a row, `"row"`
        a number a row, `"class"` a number a class, `"target"` labels or numbers an element. Labels
        and row values arrive with a class axis of length one.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> @tw.rowwise
    ... def half_brier_loss(logits, targets):
    ...     xp = tw.array_namespace(logits)
    ...     error = xp.softmax(logits, axis=-1) - targets
    ...     return 0.5 * xp.sum(error**2, axis=-1)
    >>> half_brier_loss([[0.0, 0.0]], [[1.0, 0.0]])
    np.float64(0.25)
    >>> half_brier_loss.grad([[0.0, 0.0]], [[1.0, 0.0]])
    array([[-0.25,  0.25]])
    """
    return decorator(
        function,
        rowwise=True,
        arrays=arrays,
        roles=roles or {},
        wrt=wrt,
        reductions=reductions,
        domains=domains or {},
    )


@overload
def composed(function: Callable[..., Any]) -> Loss: ...
@overload
def composed(
    *,
    arrays: Iterable[str] = ...,
    roles: Mapping[str, Role] | None = ...,
    wrt: Iterable[str] | None = ...,
    reductions: Iterable[str] = ...,
    domains: Mapping[str, Domain] | None = ...,
    check: Callable[..., None] | None = ...,
    first_order: Callable[..., Any] | None = ...,
) -> Callable[[Callable[..., Any]], Loss]: ...
def composed(
    function: Any = None,
    *,
    arrays: Iterable[str] = (),
    roles: Mapping[str, Role] | None = None,
    wrt: Iterable[str] | None = None,
    reductions: Iterable[str] = (),
    domains: Mapping[str, Domain] | None = None,
    check: Callable[..., None] | None = None,
    first_order: Callable[..., Any] | None = None,
) -> Any:
    """Make a loss of ordinary array code: for what compares rows, sorts, or walks along a sequence.

    The formula is called with Tensors, at every call: any function of the array API, matrix
    products, indexing, sorting, loops, other losses. It gives the losses, an array of any shape,
    or `(losses, counts)`, or `(losses, counts, divisors)`, which a mean first divides the losses
    by. Its derivatives are found on the tape, once or twice; no kernel
    is woven, but the losses that it calls have theirs.

    `sample_weight` and `where` are for the losses' shape: what is left out costs nothing, and
    remains an argument of the others. The arrays may have any shapes; the formula refuses those
    that do not fit.

    Parameters
    ----------
    function, arrays, wrt, reductions, domains
        As for `pointwise`.
    roles
        `"label"` for arguments that hold whole numbers, which come as they are; the others are
        converted to the dtype of the computation.
    check
        `check(given, **options)`, called before anything is computed: `given[name]` is the shape
        of an argument, or a NumPy array for a label that can be looked at without waiting.
    first_order
        A formula with the same arguments and results that is quicker, and may record its own
        pullback with `Tensor.record`: for value and gradient. Second derivatives are those of
        `function`.

    Examples
    --------
    >>> import tensorweaver as tw
    >>> @tw.composed(wrt=("queries", "keys"))
    ... def matching_loss(queries, keys, *, scale=1.0):
    ...     xp = tw.array_namespace(queries)
    ...     scores = scale * queries @ keys.T
    ...     return tw.cross_entropy_loss(scores, xp.arange(len(queries)), reduction="none")
    >>> matching_loss([[3.0, 0.0], [0.0, 3.0]], [[1.0, 0.0], [0.0, 1.0]]).round(4)
    np.float64(0.0486)
    >>> [gradient.shape for gradient in matching_loss.grad([[3.0, 0.0]], [[1.0, 0.0]])]
    [(1, 2), (1, 2)]
    """
    return decorator(
        function,
        rowwise=False,
        arrays=arrays,
        roles=roles or {},
        wrt=wrt,
        reductions=reductions,
        composed=True,
        domains=domains or {},
        check=check,
        first_order=first_order,
    )
