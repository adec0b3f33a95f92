"""From a formula to a loss: its arguments, its plan for a call, its public face."""

from tensorweaver.loss.decorators import composed, pointwise, rowwise
from tensorweaver.loss.loss import Loss

__all__ = ["Loss", "composed", "pointwise", "rowwise"]
