"""What can go wrong, as one small tree.

```
TensorWeaverError
├── ArgumentError        also ValueError    an option outside its range, an unknown reduction
├── ShapeError           also ValueError    shapes that do not fit together
├── LabelError           also ValueError    a class index outside the classes
├── DTypeError           also TypeError     integer predictions, complex targets
├── TraceError           also TypeError     a formula asks a traced value for a number
└── BackendError         also RuntimeError  unknown backend, mixed libraries or devices
    └── BackendUnavailableError  also ImportError   not installed, or installed without its device
```

Every leaf is a built-in error as well, so `except ValueError` keeps working for those who do not
know this tree.
"""

__all__ = [
    "ArgumentError",
    "BackendError",
    "BackendUnavailableError",
    "DTypeError",
    "LabelError",
    "ShapeError",
    "TensorWeaverError",
    "TraceError",
]


class TensorWeaverError(Exception):
    """The root: catches everything that this library raises on purpose."""


class ArgumentError(TensorWeaverError, ValueError):
    """An option has a value that it cannot take."""


class ShapeError(TensorWeaverError, ValueError):
    """The shapes of the arguments do not fit together."""


class LabelError(TensorWeaverError, ValueError):
    """A class index lies outside the classes."""


class DTypeError(TensorWeaverError, TypeError):
    """An array holds numbers of a kind that the loss cannot use."""


class TraceError(TensorWeaverError, TypeError):
    """A formula did something that only works on concrete numbers."""


class BackendError(TensorWeaverError, RuntimeError):
    """A backend is unknown, or arrays of several backends or devices met."""


class BackendUnavailableError(BackendError, ImportError):
    """A backend is known but cannot be used on this machine."""
