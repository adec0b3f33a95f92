"""CUDA kernels on a machine without a GPU: run by its processor, and compiled for two GPUs.

    module = compile_on_cpu(source, checked=True)
    module.launch("softmax", (rows,), (256,), (logits, out, np.int64(columns)), shared_bytes=64)

    compilation = compile_for(source, "sm_90")
    assert compilation.resources["softmax"].spill_stores == 0

The text is what a GPU gets. On the CPU it is compiled by g++ behind `stand_in.h`, which is all it
may use, and run by `machine.cpp`: one block after the other, the threads of a block as fibers that
change places where they synchronise. The header defines `TENSORWEAVER_CUDA_ON_CPU` and has
`half_to_float` and `float_to_half`, which a text brings along for a GPU.

What comes to light:

- always: a barrier or a shuffle that not all reach, with whom it waits for; a shuffle whose mask
  leaves out the caller; a launch beyond a GPU's limits; arguments of other types than the
  parameters'; accesses where no memory is; integers divided by zero; writes closely behind the
  dynamic shared memory that was asked for;
- where `checked`: every access outside the arrays among the arguments, or that writes to one that
  is read-only; addresses that are no multiple of the access's size; shared memory that is read
  before it is written; races: two accesses to a byte by two threads, of one block or of two, one of
  them writing, and no `__syncthreads` or `__syncwarp` between them; what C++ leaves undefined, such
  as an index beyond an array whose size is declared, or an overflow of int;
- by `order=` and `fill=`: blocks and threads take turns in an order shuffled by the number, and
  shared memory is full of another byte. A right kernel gives the same bits.

What does not: an access that leaves one array and lands in another; the kernels of a launch run
before those of the next, whatever the stream; functions such as `expf` are the C library's, closer
to the truth than a GPU's; how much shared memory a kernel declares, of which `compile_for` tells.

`far_apart` makes arrays with strides beyond 32 bits, and `module.coverage()` has the lines that
never ran. Where g++, NVRTC or Linux is missing, tests that need it skip, or fail if
`TENSORWEAVER_REQUIRE_CUDA_ON_CPU` is set.
"""

from tests.helpers.cuda_on_cpu.arguments import ArgumentError
from tests.helpers.cuda_on_cpu.building import CompileError
from tests.helpers.cuda_on_cpu.compiling import ARCHITECTURES, Resources, compile_for
from tests.helpers.cuda_on_cpu.far import far_apart
from tests.helpers.cuda_on_cpu.runner import KernelError, Module, compile_on_cpu

__all__ = [
    "ARCHITECTURES",
    "ArgumentError",
    "CompileError",
    "KernelError",
    "Module",
    "Resources",
    "compile_for",
    "compile_on_cpu",
    "far_apart",
]
