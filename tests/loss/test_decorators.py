"""What a decorator is told is checked when it is told; and losses are pickled or refused."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tensorweaver as tw
from tests.loss.cases import labels, logits


def plain_formula(x, y, *, factor=1.0):
    """A function that stays a function."""
    return factor * (x - y)


ANOTHER_NAME = tw.pointwise(plain_formula)
UNKNOWN_ROLE: Any = {"y": "labels"}
MISDECORATED = {
    "unknown reduction": (
        lambda: tw.pointwise(reductions=("median",))(plain_formula),
        ValueError,
        "no reduction is called 'median'; there is 'batchmean'",
    ),
    "unknown role": (
        lambda: tw.rowwise(roles=UNKNOWN_ROLE)(plain_formula),
        ValueError,
        "the role of y must be one of .*'label'.*, got 'labels'",
    ),
    "role of an option": (
        lambda: tw.rowwise(roles={"factor": "class"})(plain_formula),
        TypeError,
        "factor is an option, not an array",
    ),
    "wrt an option": (
        lambda: tw.pointwise(wrt=("factor",))(plain_formula),
        TypeError,
        "wrt names positional arguments that hold real numbers, not factor",
    ),
    "wrt labels": (
        lambda: tw.rowwise(roles={"y": "label"}, wrt=("y",))(plain_formula),
        TypeError,
        "wrt names positional arguments",
    ),
    "positional arrays": (
        lambda: tw.pointwise(arrays=("y",))(plain_formula),
        TypeError,
        "y is positional, so an array already",
    ),
    "no function": (
        lambda: tw.pointwise(UNKNOWN_ROLE),
        TypeError,
        "a loss is made of a function that has a name, got {",
    ),
    "no array": (lambda: tw.pointwise(lambda *, a=1.0: a), TypeError, "needs an argument"),
    "stars": (lambda: tw.pointwise(lambda *x: x), TypeError, "without \\* and \\*\\*"),
    "vector": (lambda: tw.pointwise(lambda vector: vector), TypeError, "cannot be called 'vector'"),
}


@pytest.mark.parametrize("name", MISDECORATED)
def test_refused_when_decorated(name):
    call, error, message = MISDECORATED[name]
    with pytest.raises(error, match=message):
        call()


def test_a_single_name_needs_no_tuple():
    loss = tw.pointwise(wrt="y", reductions="batchmean")(plain_formula)
    assert loss.grad([1.0, 2.0], [0.0, 0.0], reduction="batchmean").tolist() == [-0.5, -0.5]


def test_a_formula_gives_a_loss_and_a_count_at_most():
    @tw.pointwise
    def triple_loss(x):
        return x, x, x

    with pytest.raises(tw.TraceError, match=r"triple_loss: .* not 3 values"):
        triple_loss([1.0])


def test_an_option_without_default_must_be_given():
    @tw.pointwise
    def scaled_loss(x, *, scale):
        return scale * x

    assert scaled_loss([1.0, 3.0], scale=2.0) == 4.0
    for call in (lambda: scaled_loss([1.0]), scaled_loss.source):
        with pytest.raises(TypeError, match=r"scaled_loss\(\) needs the option 'scale'"):
            call()


# --------------------------------------------------------------------- ignore_index
def test_ignore_index_of_a_formula_that_needs_a_number():
    @tw.rowwise(roles={"targets": "label"})
    def picky_loss(scores, targets, *, ignore_index=-1):
        xp = tw.array_namespace(scores)
        kept = targets != ignore_index + 0
        loss = -xp.take_along_axis(scores, xp.where(kept, targets, 0), axis=-1)
        return xp.where(kept, loss, 0.0), xp.where(kept, 1.0, 0.0)

    scores = np.asarray([[1.0, 2.0], [3.0, 5.0]])
    for _ in range(2):
        assert picky_loss(scores, [0, 1]) == -3.0
        assert picky_loss(scores, [-1, 1]) == -5.0


def test_ignore_index_without_labels_is_any_option():
    @tw.pointwise
    def odd_loss(x, *, ignore_index="all"):
        return x * len(ignore_index)

    assert odd_loss([1.0, 3.0]) == 6.0
    assert odd_loss([1.0, 3.0], ignore_index="some") == 8.0


# --------------------------------------------------------------------- pickle and copy
def test_a_loss_under_another_name_cannot_be_pickled():
    assert ANOTHER_NAME([3.0], [1.0]) == 2.0
    with pytest.raises(pickle.PicklingError, match=r"test_decorators\.plain_formula is not it"):
        pickle.dumps(ANOTHER_NAME)
    with pytest.raises(pickle.PicklingError, match="cannot pickle the loss <lambda>"):
        pickle.dumps(tw.pointwise(lambda x: x))


def test_a_copy_is_the_loss_itself():
    for loss in (ANOTHER_NAME, tw.cross_entropy_loss):
        assert copy.copy(loss) is loss
        assert copy.deepcopy([loss])[0] is loss
    assert copy.deepcopy(tw.cross_entropy_loss)(logits, labels) > 0
