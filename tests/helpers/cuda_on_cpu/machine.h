// What the parts of the machine know of each other: machine.cpp, failing.cpp and watch.cpp.

#pragma once

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>

namespace machine {

constexpr unsigned warp_size = 32, most_threads = 1024;
constexpr std::size_t dynamic_capacity = 227 * 1024;  // as stand_in.h and runner.py have it

constexpr std::size_t page = 64 * 1024;  // at least one of any system
constexpr std::size_t stack_size = 8 * page;

struct Index { unsigned x, y, z; };

// Bytes that a kernel may read, and may write where `writable`.
struct Range { std::uintptr_t begin, end; std::uintptr_t writable; };

inline bool holds(const Range& range, std::uintptr_t address, std::size_t size)
{
    return address >= range.begin && address < range.end && size <= range.end - address;
}

// A kernel as stand_in.h describes it, as far as it matters here.
struct Kernel {
    const char* name;
    void (*call)(void** arguments);
};

struct Launch {
    const Kernel* kernel;
    void (*shared)(void** anywhere, void** dynamic);
    void** arguments;
    Index grid, block;
    unsigned shared_bytes, fill, shuffled, range_count;
    std::uint64_t seed;
    const Range* ranges;
};

// Where a launch stands, for the watch.
struct State {
    const Launch* launch;
    unsigned thread;
    Range stack;                       // of the thread that runs
    Range image;                       // of the module's code and data
    Range shared;                      // all the thread-local storage of the module ...
    Range dynamic;                     // ... and in it the dynamic shared memory
    std::uint32_t interval;            // counts launches, blocks and barriers
    std::uint32_t first_of_launch, first_of_block;
    std::uint32_t clock[most_threads]; // counts a thread's calls of __syncwarp
    // seen[t][lane]: below which count all that the lane of t's warp did is ordered before t.
    std::uint32_t seen[most_threads][warp_size];
};

extern State state;

// Ends the launch with a message that names kernel, block and thread; `place` is the code's.
[[noreturn]] void fail(void* place, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

extern std::jmp_buf failed;  // where the launch ends then

// While it lives, what would kill the process ends the launch.
constexpr unsigned signal_count = 5;
class Signals {
public:
    Signals();
    ~Signals();

private:
    stack_t stack_before;
    struct sigaction before[signal_count];
};

const char* name_of(unsigned thread);  // "(3, 0, 0)", good until eight more are named

void forget_memory();  // of earlier launches, if there is much of it

}  // namespace machine

extern "C" {
extern machine::Index threadIdx, blockIdx, blockDim, gridDim;  // as the kernels see them
}
