// A machine that runs the kernels of stand_in.h: blocks one after the other, the threads of a block
// as fibers that change places only where they synchronise.
//
// A fiber begins on a stack of its own by makecontext; from then on it is left and entered by
// _setjmp and _longjmp, which make no system call. Having run its thread, it waits for the next
// block. Where a barrier or a shuffle lacks a thread for ever, that is told and ends the launch.

#include "machine.h"

#include <cstdio>
#include <cstring>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>

using namespace machine;

extern "C" {
Index threadIdx, blockIdx, blockDim, gridDim;
}

namespace machine {
State state;
}

namespace {

// ------------------------------------------------------------------------------ threads
enum class Doing { ready, barrier, rendezvous, finished };

enum Operation { syncwarp, shuffle, shuffle_xor, shuffle_down, ballot, any, all };
const char* const names[] = {"__syncwarp", "__shfl_sync", "__shfl_xor_sync", "__shfl_down_sync",
                             "__ballot_sync", "__any_sync", "__all_sync"};

struct Thread {
    Doing doing;
    int line;
    // What a rendezvous was called with, and what it returns.
    int operation, operand, width;
    unsigned mask;
    std::uint64_t value, result;

    Index index;
    bool begun;
    jmp_buf left;      // where its fiber was left
    ucontext_t first;  // where that begins
};

Thread threads[most_threads];
unsigned thread_count, finished_count, at_barrier;

// Those that can go on: a ring, so that they come in turn where the order is not shuffled.
unsigned ring[most_threads], ring_begin, ring_count;

jmp_buf scheduler;
std::uint64_t random_state;

std::uint64_t random_below(std::uint64_t bound)
{
    std::uint64_t mixed = random_state += 0x9e3779b97f4a7c15;  // splitmix64
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return (mixed ^ mixed >> 31) % bound;
}

void make_ready(unsigned thread)
{
    threads[thread].doing = Doing::ready;
    ring[(ring_begin + ring_count++) % most_threads] = thread;
}

unsigned next_ready()
{
    if (state.launch->shuffled) {
        unsigned other = (ring_begin + random_below(ring_count)) % most_threads;
        unsigned chosen = ring[other];
        ring[other] = ring[ring_begin];
        ring[ring_begin] = chosen;
    }
    unsigned thread = ring[ring_begin];
    ring_begin = (ring_begin + 1) % most_threads;
    --ring_count;
    return thread;
}

// ------------------------------------------------------------------------------ fibers
constexpr std::size_t stack_stride = stack_size + page;
char* stacks;  // each with a page below it that nobody may touch

void leave()
{
    if (_setjmp(threads[state.thread].left) == 0) _longjmp(scheduler, 1);
}

void live()
{
    for (;;) {
        state.launch->kernel->call(state.launch->arguments);
        threads[state.thread].doing = Doing::finished;
        ++finished_count;
        leave();
    }
}

void enter(unsigned number)
{
    Thread& thread = threads[number];
    char* stack = stacks + number * stack_stride + page;
    state.thread = number;
    state.stack = {std::uintptr_t(stack), std::uintptr_t(stack + stack_size), 1};
    threadIdx = thread.index;
    if (_setjmp(scheduler) != 0) return;
    if (thread.begun) _longjmp(thread.left, 1);
    thread.begun = true;
    getcontext(&thread.first);
    thread.first.uc_stack.ss_sp = stack;
    thread.first.uc_stack.ss_size = stack_size;
    thread.first.uc_link = nullptr;
    makecontext(&thread.first, live, 0);
    setcontext(&thread.first);
}

void make_stacks()
{
    if (stacks) return;
    void* place = mmap(nullptr, most_threads * stack_stride, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) fail(nullptr, "no memory for the threads' stacks");
    stacks = static_cast<char*>(place);
    for (unsigned number = 0; number < most_threads; ++number)
        mprotect(stacks + number * stack_stride, page, PROT_NONE);
}

// ------------------------------------------------------------------------------ what is wrong
struct Description {
    char text[160];

    explicit Description(unsigned number)
    {
        const Thread& thread = threads[number];
        if (thread.doing == Doing::finished)
            std::snprintf(text, sizeof text, "has ended");
        else if (thread.doing == Doing::barrier)
            std::snprintf(text, sizeof text, "waits at __syncthreads() of line %d", thread.line);
        else
            std::snprintf(text, sizeof text, "waits in %s of line %d with mask 0x%08x",
                          names[thread.operation], thread.line, thread.mask);
    }
};

// The first lane that keeps a rendezvous from happening.
unsigned missing_lane(unsigned number)
{
    const Thread& me = threads[number];
    unsigned base = number / warp_size * warp_size;
    for (unsigned lane = 0; lane < warp_size && base + lane < thread_count; ++lane) {
        const Thread& other = threads[base + lane];
        bool here = other.doing == Doing::rendezvous && other.line == me.line &&
                    other.operation == me.operation && other.mask == me.mask;
        if (me.mask >> lane & 1 && !here) return base + lane;
    }
    return number;
}

// No thread can go on, and not all have ended.
[[noreturn]] void fail_stuck()
{
    unsigned stuck = 0, other = 0;
    while (threads[stuck].doing == Doing::finished) ++stuck;
    // A rendezvous says more than the barrier that others have reached without it.
    for (unsigned number = stuck; number < thread_count; ++number)
        if (threads[number].doing == Doing::rendezvous) {
            stuck = number;
            break;
        }
    if (threads[stuck].doing == Doing::rendezvous)
        other = missing_lane(stuck);
    else
        while (threads[other].doing == Doing::barrier) ++other;
    state.thread = stuck;
    fail(nullptr, "it %s for ever, for thread %s %s", Description(stuck).text, name_of(other),
         Description(other).text);
}

// ------------------------------------------------------------------------------ memory
struct Module { const void* anywhere; Range image, shared; };

int find_module(dl_phdr_info* object, std::size_t, void* found)
{
    auto& module = *static_cast<Module*>(found);
    auto address = std::uintptr_t(module.anywhere);
    Range image = {~std::uintptr_t(0), 0, 0}, shared = {0, 0, 1};
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        std::uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
        if (segment.p_type == PT_TLS) {
            shared.begin = std::uintptr_t(object->dlpi_tls_data);
            shared.end = shared.begin + segment.p_memsz;
        } else if (segment.p_type == PT_LOAD) {
            if (begin < image.begin) image.begin = begin;
            if (begin + segment.p_memsz > image.end) image.end = begin + segment.p_memsz;
        }
    }
    if (!holds(shared, address, 1)) return 0;
    module.image = image;
    module.shared = shared;
    return 1;
}

// A block may count on no byte of its shared memory, and writes none beyond what it was given.
constexpr std::size_t guarded = 4096;

std::size_t guard_size()
{
    std::size_t beyond = dynamic_capacity - state.launch->shared_bytes;
    return beyond < guarded ? beyond : guarded;
}

void fill_shared_memory()
{
    const Range &shared = state.shared, &dynamic = state.dynamic;
    int fill = int(state.launch->fill);
    if (!dynamic.begin) {
        std::memset((void*)shared.begin, fill, shared.end - shared.begin);
        return;
    }
    std::uintptr_t behind = dynamic.begin + dynamic_capacity;
    std::memset((void*)shared.begin, fill, dynamic.begin - shared.begin);
    std::memset((void*)dynamic.begin, fill, state.launch->shared_bytes + guard_size());
    std::memset((void*)behind, fill, shared.end - behind);
}

void check_guard()
{
    if (!state.dynamic.begin) return;
    auto* guard = reinterpret_cast<const unsigned char*>(state.dynamic.end);
    for (std::size_t i = 0; i < guard_size(); ++i)
        if (guard[i] != state.launch->fill)
            fail(nullptr, "byte %zu of dynamic shared memory has been written, which has %u",
                 state.launch->shared_bytes + i, state.launch->shared_bytes);
}

// ------------------------------------------------------------------------------ a launch
void run_block()
{
    state.first_of_block = ++state.interval;
    fill_shared_memory();
    finished_count = at_barrier = ring_begin = ring_count = 0;
    for (unsigned number = 0; number < thread_count; ++number) make_ready(number);
    while (ring_count) enter(next_ready());
    if (finished_count < thread_count) fail_stuck();
    check_guard();
}

// The place of each block in the order of running; a step that shares no factor with their number
// visits all of them.
struct Order {
    std::uint64_t count, offset = 0, step = 1;

    explicit Order(std::uint64_t blocks) : count(blocks)
    {
        if (!state.launch->shuffled) return;
        offset = random_below(count);
        do step = 1 + random_below(count); while (common_factor(step, count) != 1);
    }

    static std::uint64_t common_factor(std::uint64_t a, std::uint64_t b)
    {
        while (b) {
            std::uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        return a;
    }

    std::uint64_t operator[](std::uint64_t place) const
    {
        return std::uint64_t(((unsigned __int128)place * step + offset) % count);
    }
};

void prepare(const Launch& launch)
{
    state.first_of_launch = ++state.interval;
    thread_count = launch.block.x * launch.block.y * launch.block.z;
    random_state = launch.seed;
    for (unsigned number = 0; number < thread_count; ++number)
        threads[number].index = {number % launch.block.x,
                                 number / launch.block.x % launch.block.y,
                                 number / launch.block.x / launch.block.y};
    void* dynamic;
    Module module = {};
    launch.shared(const_cast<void**>(&module.anywhere), &dynamic);
    dl_iterate_phdr(find_module, &module);
    state.image = module.image;
    state.shared = module.shared;
    auto begin = std::uintptr_t(dynamic);
    state.dynamic = {begin, dynamic ? begin + launch.shared_bytes : 0, 1};
}

}  // namespace

// ------------------------------------------------------------------------------ the kernels' door
extern "C" void cuda_on_cpu_barrier(int line)
{
    Thread& me = threads[state.thread];
    me.doing = Doing::barrier;
    me.line = line;
    if (++at_barrier == thread_count) {
        for (unsigned number = 0; number < thread_count; ++number)
            if (threads[number].line != line)
                fail(nullptr,
                     "it waits at __syncthreads() of line %d, thread %s at that of line %d", line,
                     name_of(number), threads[number].line);
        at_barrier = 0;
        ++state.interval;
        for (unsigned number = 0; number < thread_count; ++number) make_ready(number);
    }
    leave();
}

namespace {

std::uint64_t shuffled(unsigned base, unsigned lane)
{
    const Thread& me = threads[base + lane];
    unsigned first = lane & ~unsigned(me.width - 1), last = first + me.width - 1;
    auto operand = unsigned(me.operand) % warp_size, from = lane;
    if (me.operation == shuffle) {
        from = first + (operand & unsigned(me.width - 1));
    } else {
        from = me.operation == shuffle_xor ? lane ^ operand : lane + operand;
        if (from > last) from = lane;
    }
    // A lane that takes no part has no value to give.
    if (base + from >= thread_count || !(me.mask >> from & 1)) return ~std::uint64_t(0);
    return threads[base + from].value;
}

void order_memory(unsigned base, unsigned mask)
{
    std::uint32_t joint[warp_size] = {};
    for (unsigned other = 0; other < warp_size; ++other)
        for (unsigned lane = 0; lane < warp_size && mask >> other & 1; ++lane) {
            std::uint32_t seen = state.seen[base + other][lane];
            if (seen > joint[lane]) joint[lane] = seen;
        }
    for (unsigned lane = 0; lane < warp_size; ++lane)
        if (mask >> lane & 1) joint[lane] = ++state.clock[base + lane];
    for (unsigned lane = 0; lane < warp_size; ++lane)
        if (mask >> lane & 1) std::memcpy(state.seen[base + lane], joint, sizeof joint);
}

// All are there: each lane's result, from what the others brought.
void meet(unsigned base, unsigned mask, int operation)
{
    unsigned votes = 0;
    for (unsigned lane = 0; lane < warp_size; ++lane)
        if (mask >> lane & 1 && threads[base + lane].value) votes |= 1u << lane;
    for (unsigned lane = 0; lane < warp_size; ++lane) {
        if (!(mask >> lane & 1)) continue;
        Thread& thread = threads[base + lane];
        switch (operation) {
        case syncwarp: break;
        case ballot: thread.result = votes; break;
        case any: thread.result = votes != 0; break;
        case all: thread.result = votes == mask; break;
        default: thread.result = shuffled(base, lane);
        }
    }
    if (operation == syncwarp) order_memory(base, mask);
    for (unsigned lane = 0; lane < warp_size; ++lane)
        if (mask >> lane & 1) make_ready(base + lane);
}

}  // namespace

extern "C" unsigned long long cuda_on_cpu_rendezvous(int operation, unsigned mask,
                                                     unsigned long long value, int operand,
                                                     int width, int line)
{
    unsigned number = state.thread, lane = number % warp_size, base = number - lane;
    Thread& me = threads[number];
    me.doing = Doing::rendezvous;
    me.line = line;
    me.operation = operation;
    me.mask = mask;
    me.value = value;
    me.operand = operand;
    me.width = width;
    if (!(mask >> lane & 1))
        fail(nullptr, "%s of line %d with mask 0x%08x, which leaves out the calling lane %u",
             names[operation], line, mask, lane);
    if (width < 1 || width > 32 || width & (width - 1))
        fail(nullptr, "%s of line %d with width %d, which is not a power of two up to 32",
             names[operation], line, width);
    if (missing_lane(number) == number) {
        unsigned there = thread_count - base;
        meet(base, there < warp_size ? mask & ((1u << there) - 1) : mask, operation);
    }
    leave();
    return me.result;
}

// ------------------------------------------------------------------------------ Python's door
// 0, or 1 where a message tells what went wrong.
extern "C" int cuda_on_cpu_launch(const Launch* launch)
{
    state.launch = launch;
    state.thread = 0;
    gridDim = launch->grid;
    blockDim = launch->block;
    blockIdx = {0, 0, 0};
    Signals signals;
    if (_setjmp(failed) != 0) {
        for (Thread& thread : threads) thread.begun = false;
        return 1;
    }
    make_stacks();
    forget_memory();
    prepare(*launch);
    std::uint64_t across = launch->grid.x, down = launch->grid.y;
    std::uint64_t count = across * down * launch->grid.z;
    Order order(count);
    for (std::uint64_t place = 0; place < count; ++place) {
        std::uint64_t block = order[place];
        blockIdx = {unsigned(block % across), unsigned(block / across % down),
                    unsigned(block / across / down)};
        run_block();
    }
    return 0;
}
