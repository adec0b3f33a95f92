"""Kernels that do what they must not, each with what its error says."""

from typing import NamedTuple

from tests.helpers.cuda_on_cpu.specimens import kernel

__all__ = ["ALWAYS_TOLD", "TOLD_IF_WATCHED", "Fault"]


class Fault(NamedTuple):
    """The body of a kernel over 64 threads, and a pattern of the message.

    The kernel has `float* out` of 64 elements, which it may write to, `const float* given` of as
    many, which it may not, and 64 bytes of dynamic shared memory. The body begins on line 4.
    """

    body: str
    message: str

    @property
    def source(self):
        """The text of a module with the kernel `wrong`."""
        declaration = "extern __shared__ __align__(16) unsigned char shared_memory[];"
        return kernel("wrong", self.body, "float* out, const float* given", before=declaration)


ALWAYS_TOLD = {
    "a barrier that some threads do not reach": Fault(
        "if (threadIdx.x < 40) __syncthreads();",
        r"thread \(0, 0, 0\): it waits at __syncthreads\(\) of line 4 for ever, "
        r"for thread \(40, 0, 0\) has ended",
    ),
    "a barrier behind an early return": Fault(
        """
        if (threadIdx.x == 63) return;
        __syncthreads();
        out[0] = 1;
        """,
        r"of line 5 for ever, for thread \(63, 0, 0\) has ended",
    ),
    "two barriers for two halves": Fault(
        """
        if (threadIdx.x < 32)
            __syncthreads();
        else
            __syncthreads();
        """,
        r"thread \(63, 0, 0\): it waits at __syncthreads\(\) of line 7, thread \(0, 0, 0\) at "
        r"that of line 5",
    ),
    "a shuffle that a named lane does not reach": Fault(
        "if (threadIdx.x != 7) out[threadIdx.x] = __shfl_sync(0xffffffffu, 1.0f, 0);",
        r"thread \(0, 0, 0\): it waits in __shfl_sync of line 4 with mask 0xffffffff for ever, "
        r"for thread \(7, 0, 0\) has ended",
    ),
    "a shuffle for a lane at a barrier": Fault(
        """
        if (threadIdx.x == 33) __syncthreads();
        out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
        if (threadIdx.x != 33) __syncthreads();
        """,
        r"it waits in __shfl_xor_sync of line 5 with mask 0xffffffff for ever, "
        r"for thread \(33, 0, 0\) waits at __syncthreads\(\) of line 4",
    ),
    "a mask that leaves the caller out": Fault(
        """
        unsigned int votes = __ballot_sync(1u, true);
        out[0] = (float)votes;
        """,
        r"thread \(1, 0, 0\): __ballot_sync of line 4 with mask 0x00000001, which leaves out "
        r"the calling lane 1",
    ),
    "two masks in one warp": Fault(
        """
        unsigned int mask = threadIdx.x % 2 ? 0xffffffffu : 0x55555555u;
        __syncwarp(mask);
        out[threadIdx.x] = 0;
        """,
        r"thread \(1, 0, 0\): it waits in __syncwarp of line 5 with mask 0xffffffff for ever, "
        r"for thread \(0, 0, 0\) has ended",
    ),
    "a width that is no power of two": Fault(
        "out[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.0f, 1, 12);",
        r"__shfl_down_sync of line 4 with width 12",
    ),
    "a division by zero": Fault(
        """
        int zero = threadIdx.x / 64;
        out[threadIdx.x] = (float)(7 / zero);
        """,
        r"divided by zero; line 5 of the text",
    ),
    "an access to nowhere": Fault(
        "*reinterpret_cast<float*>(0x100ULL) = out[0];",
        r"an access to address 0x100, which is not there; line 4 of the text",
    ),
    "too many local variables": Fault(
        """
        volatile float many[1 << 20];
        many[0] = 1;
        out[0] = many[0];
        """,
        r"more than 524288 bytes of local variables",
    ),
    "more dynamic shared memory than was asked for": Fault(
        "shared_memory[64 + threadIdx.x] = 0;",
        r"byte 64 of dynamic shared memory has been written, which has 64",
    ),
}

TOLD_IF_WATCHED = {
    "a write behind the array": Fault(
        "out[threadIdx.x + 1] = 0;",
        r"thread \(63, 0, 0\): it writes 4 bytes outside all arrays: at byte 256 of one that "
        r"has 256; line 4 of the text",
    ),
    "a read before the array": Fault(
        "out[threadIdx.x] = given[(int)threadIdx.x - 1];",
        r"thread \(0, 0, 0\): it reads 4 bytes outside all arrays",
    ),
    "a read of half an element behind the array": Fault(
        "out[threadIdx.x] = *(const float*)((const char*)(given + threadIdx.x) + 2);",
        r"it reads 4 bytes .*, which is no multiple of that",
    ),
    "a write to an input": Fault(
        "const_cast<float*>(given)[threadIdx.x] = 0;",
        r"it writes 4 bytes to an array that is read-only",
    ),
    "sixteen bytes at a time from an odd place": Fault(
        """
        if (threadIdx.x < 15) {
            float4 four = __ldg(reinterpret_cast<const float4*>(given + 4 * threadIdx.x + 1));
            out[threadIdx.x] = four.x + four.w;
        }
        """,
        r"it reads 16 bytes at address .*, which is no multiple of that; line 5 of the text",
    ),
    "a read of shared memory that nobody wrote": Fault(
        """
        __shared__ float values[64];
        if (threadIdx.x) values[threadIdx.x] = 1;
        __syncthreads();
        out[threadIdx.x] = values[threadIdx.x];
        """,
        r"thread \(0, 0, 0\): it reads shared memory that no thread has written; line 7",
    ),
    "what another block left in shared memory": Fault(
        """
        __shared__ float values[64];
        if (blockIdx.x == 0) values[threadIdx.x] = 1;
        __syncthreads();
        out[threadIdx.x] = values[threadIdx.x];
        """,
        r"block \(1, 0, 0\), thread \(0, 0, 0\): it reads shared memory that no thread has written",
    ),
    "a missing barrier between writing and reading": Fault(
        """
        __shared__ float values[64];
        values[threadIdx.x] = 1;
        out[threadIdx.x] = values[threadIdx.x / 2];
        """,
        r"thread \(1, 0, 0\): a race: it reads what thread \(0, 0, 0\) has written",
    ),
    "a missing barrier between reading and writing": Fault(
        """
        __shared__ float values[64];
        values[threadIdx.x] = 1;
        __syncthreads();
        float next = values[(threadIdx.x + 1) % 64];
        values[threadIdx.x] = next;
        """,
        r"thread \(1, 0, 0\): a race: it writes what thread \(0, 0, 0\) has read, with nothing "
        r"to order the two; line 8 of the text",
    ),
    "a shuffle where __syncwarp is needed": Fault(
        """
        __shared__ float values[64];
        values[threadIdx.x] = 1;
        float sum = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
        out[threadIdx.x] = sum + values[threadIdx.x ^ 1];
        """,
        r"thread \(0, 0, 0\): a race: it reads what thread \(1, 0, 0\) has written",
    ),
    "a __syncwarp where __syncthreads is needed": Fault(
        """
        __shared__ float values[64];
        values[threadIdx.x] = 1;
        __syncwarp();
        out[threadIdx.x] = values[threadIdx.x ^ 32];
        """,
        r"thread \(0, 0, 0\): a race: it reads what thread \(32, 0, 0\) has written",
    ),
    "a __syncwarp of half the warp": Fault(
        """
        __shared__ float values[64];
        values[threadIdx.x] = 1;
        __syncwarp(threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u);
        out[threadIdx.x] = values[threadIdx.x ^ 16];
        """,
        r"thread \(0, 0, 0\): a race: it reads what thread \(16, 0, 0\) has written",
    ),
    "one place for all threads": Fault(
        "out[0] = 1;",
        r"thread \(1, 0, 0\): a race: it writes what thread \(0, 0, 0\) has written",
    ),
    "one place for all blocks": Fault(
        "if (threadIdx.x == 0) out[0] += 1;",
        r"block \(1, 0, 0\), thread \(0, 0, 0\): a race: it reads what another block's thread "
        r"\(0, 0, 0\) has written",
    ),
    "a write to what another block reads": Fault(
        """
        float last = out[63];
        if (blockIdx.x == 1 && threadIdx.x == 0) out[63] = last + 1;
        """,
        r"block \(1, 0, 0\), thread \(0, 0, 0\): a race: it writes what another block's thread "
        r"\(0, 0, 0\) has read",
    ),
    "an index beyond a shared array": Fault(
        """
        __shared__ float values[32];
        values[threadIdx.x] = 1;
        out[threadIdx.x] = 1;
        """,
        r"thread \(32, 0, 0\): an operation whose result C\+\+ leaves undefined; line 5",
    ),
    "an index beyond a local array": Fault(
        """
        float values[8] = {};
        out[threadIdx.x] = values[threadIdx.x];
        """,
        r"thread \(8, 0, 0\): an operation whose result C\+\+ leaves undefined; line 5",
    ),
    "an overflow of int": Fault(
        """
        int large = 0x7fffffff;
        out[threadIdx.x] = (float)(large + (int)threadIdx.x);
        """,
        r"thread \(1, 0, 0\): an operation whose result C\+\+ leaves undefined; line 5",
    ),
    "a shift by more than the width": Fault(
        "out[threadIdx.x] = (float)(1u << threadIdx.x);",
        r"thread \(32, 0, 0\): an operation whose result C\+\+ leaves undefined; line 4",
    ),
    "more dynamic shared memory than was asked for, by one thread": Fault(
        "shared_memory[threadIdx.x + 1] = 0;",
        r"thread \(63, 0, 0\): it writes 1 bytes at byte 64 of dynamic shared memory, which has 64",
    ),
}
