"""Losses of real predictions and real targets."""

import tensorweaver as tw
from tests.accuracy import truth
from tests.battery.draws import REAL
from tests.battery.specimen import Peer, register


def torch_loss(name):
    """PyTorch's loss of that name, not reduced."""

    def call(*arrays, **options):
        import torch

        function = getattr(torch.nn.functional, name)
        return function(*map(torch.tensor, arrays), reduction="none", **options).numpy()

    return Peer("torch", call)


def mse(prediction, target):
    return (prediction - target) ** 2


def l1(prediction, target):
    return abs(prediction - target)


def huber(prediction, target, delta=1):
    return truth.huber(prediction, target, delta)[0]


def smooth_l1(prediction, target, beta=1):
    return truth.smooth_l1(prediction, target, beta)[0]


SYMMETRIC = {"nonnegative", "zero_at_target", "symmetric", "convex"}

register(tw.mse_loss, REAL, REAL, reference=mse, laws=SYMMETRIC, peers=(torch_loss("mse_loss"),))
register(
    tw.l1_loss, REAL, REAL,
    reference=l1,
    laws=SYMMETRIC,
    second=False,
    peers=(torch_loss("l1_loss"),),
)  # fmt: skip
register(
    tw.huber_loss, REAL, REAL,
    reference=huber,
    options=({}, {"delta": 0.25}, {"delta": 250.0}),
    exact_slopes=lambda x, y, delta=1: truth.huber(x, y, delta)[1],
    laws=SYMMETRIC,
    peers=(torch_loss("huber_loss"),),
)  # fmt: skip
register(
    tw.smooth_l1_loss, REAL, REAL,
    reference=smooth_l1,
    options=({}, {"beta": 0.1}),
    exact_slopes=lambda x, y, beta=1: truth.smooth_l1(x, y, beta)[1],
    laws=SYMMETRIC,
    peers=(torch_loss("smooth_l1_loss"),),
)  # fmt: skip
