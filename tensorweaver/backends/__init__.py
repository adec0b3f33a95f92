"""WHERE: whose array an argument is, and what the array-API standard leaves out of each library.

Importing this loads NumPy and nothing heavier; the other libraries are loaded when one of their
arrays is asked for.
"""

from tensorweaver.backends.arrange import arrange, array_namespace
from tensorweaver.backends.backend import Array, Backend
from tensorweaver.backends.registry import BACKENDS, available_backends, backend_of, get_backend
from tensorweaver.backends.selection import default_backend, set_backend, use_backend

__all__ = [
    "BACKENDS",
    "Array",
    "Backend",
    "arrange",
    "array_namespace",
    "available_backends",
    "backend_of",
    "default_backend",
    "get_backend",
    "set_backend",
    "use_backend",
]
