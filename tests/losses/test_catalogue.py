"""Losses by name."""

import pytest

import tensorweaver as tw
from tensorweaver.losses import catalogue
from tensorweaver.losses.nicknames import NICKNAMES


@pytest.mark.parametrize("name", NICKNAMES)
def test_nicknames_are_those_of_a_loss(name):
    assert name in tw.losses.names()
    for nickname in NICKNAMES[name]:
        assert tw.get_loss(nickname) is getattr(tw, name)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("BCEWithLogitsLoss", tw.binary_cross_entropy_with_logits_loss),
        ("SmoothL1Loss", tw.smooth_l1_loss),
        ("sparse_categorical_crossentropy", tw.cross_entropy_loss),
        ("reg:pseudohubererror", tw.pseudo_huber_loss),
        ("multi:softmax", tw.cross_entropy_loss),
        ("GIoULoss", tw.generalized_box_iou_loss),
        ("MAE", tw.l1_loss),
        (tw.mse_loss, tw.mse_loss),
    ],
)
def test_usual_names_are_understood(name, loss):
    assert tw.get_loss(name) is loss


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hubber", "called 'hubber'; did you mean 'huber_loss'. tw.losses.names.. lists them"),
        ("zzz", "no loss is called 'zzz'; tw.losses.names.. lists them"),
        (3, "a name is a string, got 3"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(tw.ArgumentError, match=message):
        tw.get_loss(name)


def test_families_are_known_by_name():
    every = [name for family in catalogue.FAMILIES for name in tw.losses.names(family)]
    assert sorted(every) == tw.losses.names()
    with pytest.raises(tw.ArgumentError, match="family must be one of Regression"):
        tw.losses.names("Pictures")
