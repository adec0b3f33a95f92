"""Losses of boxes in an image."""

from tensorweaver.losses.boxes.box_iou import (
    box_iou_loss,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)

__all__ = [
    "box_iou_loss",
    "complete_box_iou_loss",
    "distance_box_iou_loss",
    "generalized_box_iou_loss",
]

PEERS = {
    "generalized_box_iou_loss": {"torchvision": "generalized_box_iou_loss"},
    "distance_box_iou_loss": {"torchvision": "distance_box_iou_loss"},
    "complete_box_iou_loss": {"torchvision": "complete_box_iou_loss"},
}
"""What other libraries call each loss, where they mean the same up to a factor."""
