// Watches every access to memory of kernels compiled with -fsanitize=thread.
//
// The compiler then calls the functions at the end of this file before each access. They find what
// lies outside a kernel's arrays, what is written though it is only for reading, shared memory that
// is read before it is written, addresses that are no multiple of the size, and races: two accesses
// to one byte, one of them writing, that no barrier or __syncwarp orders.

#include "machine.h"

#include <cstdlib>

using namespace machine;

namespace {

// Who has last written a byte, and who has read it, with the interval between barriers in which it
// was and the thread's count of __syncwarp. Two readers of an interval are kept, for a thread may
// itself write what it has read; and one of an earlier block.
struct Cell {
    std::uint32_t write_interval, write_clock;
    std::uint32_t read_interval, read_clock, other_clock;
    std::uint32_t earlier_interval;
    std::uint16_t writer, reader, other, earlier_reader;
};

// Cells are made by the page as memory is touched, and found in a table by the page's number.
constexpr std::size_t page_size = 4096, table_size = 1 << 14, most_pages = 1 << 13;
struct Page { std::uintptr_t number; Cell* cells; };
Page table[table_size];
std::size_t page_count;

Cell* cells_of(std::uintptr_t number)
{
    std::size_t place = number * 0x9e3779b97f4a7c15 >> 40;
    while (table[place % table_size].cells && table[place % table_size].number != number) ++place;
    Page& found = table[place % table_size];
    if (!found.cells) {
        auto* cells = static_cast<Cell*>(std::calloc(page_size, sizeof(Cell)));
        if (!cells || page_count == most_pages)
            fail(nullptr, "it touches too much memory to be watched");
        found = {number, cells};
        ++page_count;
    }
    return found.cells;
}

bool is_before_me(unsigned thread, std::uint32_t clock)
{
    unsigned me = state.thread;
    return thread == me || (thread / warp_size == me / warp_size &&
                            clock < state.seen[me][thread % warp_size]);
}

// An access at most so far behind an array is taken for one that was meant for it.
constexpr std::size_t close = 1 << 20;

struct Access {
    std::uintptr_t address;
    std::size_t size;
    bool writes;
    void* place;

    const char* verb() const { return writes ? "writes" : "reads"; }

    // What can be touched by other threads as well; fails where there is nothing to be touched.
    bool is_shared() const
    {
        if (state.dynamic.begin && address + size > state.dynamic.begin &&
            address < state.dynamic.begin + dynamic_capacity) {
            if (holds(state.dynamic, address, size)) return true;
            fail(place, "it %s %zu bytes at byte %td of dynamic shared memory, which has %zu",
                 verb(), size, std::ptrdiff_t(address - state.dynamic.begin),
                 std::size_t(state.dynamic.end - state.dynamic.begin));
        }
        return holds(state.shared, address, size);
    }

    void check_global() const
    {
        const Range* nearest = nullptr;
        bool readable = false;
        for (unsigned i = 0; i < state.launch->range_count; ++i) {
            const Range& range = state.launch->ranges[i];
            if (holds(range, address, size)) {
                if (!writes || range.writable) return;
                readable = true;
            }
            if (range.begin <= address && (!nearest || range.begin > nearest->begin))
                nearest = &range;
        }
        if (readable) fail(place, "it writes %zu bytes to an array that is read-only", size);
        if (nearest && address < nearest->end + close)
            fail(place, "it %s %zu bytes outside all arrays: at byte %zu of one that has %zu",
                 verb(), size, std::size_t(address - nearest->begin),
                 std::size_t(nearest->end - nearest->begin));
        fail(place, "it %s %zu bytes outside all arrays, at address %p", verb(), size,
             reinterpret_cast<void*>(address));
    }

    [[noreturn]] void race(const char* did, unsigned thread, std::uint32_t interval) const
    {
        bool elsewhere = interval < state.first_of_block;
        fail(place, "a race: it %s what %s%s %s, with nothing to order the two", verb(),
             elsewhere ? "another block's thread " : "thread ", name_of(thread), did);
    }

    // Whether an access of this launch could as well come after this one. Of another block's, every
    // one could; but each block has shared memory of its own.
    bool conflicts(bool shared, std::uint32_t interval, std::uint32_t clock, unsigned thread) const
    {
        if (interval < (shared ? state.first_of_block : state.first_of_launch)) return false;
        if (interval < state.first_of_block) return true;
        return interval == state.interval && !is_before_me(thread, clock);
    }

    void note(Cell& cell, bool shared) const
    {
        if (shared && !writes && cell.write_interval < state.first_of_block)
            fail(place, "it reads shared memory that no thread has written");
        if (conflicts(shared, cell.write_interval, cell.write_clock, cell.writer))
            race("has written", cell.writer, cell.write_interval);
        if (!writes) {
            note_reader(cell);
            return;
        }
        if (conflicts(shared, cell.read_interval, cell.read_clock, cell.reader))
            race("has read", cell.reader, cell.read_interval);
        if (conflicts(shared, cell.read_interval, cell.other_clock, cell.other))
            race("has read", cell.other, cell.read_interval);
        if (conflicts(shared, cell.earlier_interval, 0, cell.earlier_reader))
            race("has read", cell.earlier_reader, cell.earlier_interval);
        cell.write_interval = state.interval;
        cell.write_clock = state.clock[state.thread];
        cell.writer = std::uint16_t(state.thread);
    }

    void note_reader(Cell& cell) const
    {
        auto me = std::uint16_t(state.thread);
        std::uint32_t clock = state.clock[me];
        bool first = cell.read_interval != state.interval;
        if (cell.read_interval < state.first_of_block) {
            cell.earlier_interval = cell.read_interval;
            cell.earlier_reader = cell.reader;
        }
        if (first || is_before_me(cell.reader, cell.read_clock)) {
            cell.reader = me;
            cell.read_clock = clock;
        }
        if (first || cell.reader != me) {
            cell.other = me;
            cell.other_clock = clock;
        }
        cell.read_interval = state.interval;
    }

    void check(bool aligned) const
    {
        if (holds(state.stack, address, size)) return;
        bool shared = is_shared();
        if (!shared) {
            if (holds(state.image, address, size)) return;  // constants, and counts of lines
            check_global();
        }
        if (aligned && address % size)
            fail(place, "it %s %zu bytes at address %p, which is no multiple of that", verb(), size,
                 reinterpret_cast<void*>(address));
        Cell* cells = nullptr;
        for (std::uintptr_t byte = address; byte < address + size; ++byte) {
            if (!cells || byte % page_size == 0) cells = cells_of(byte / page_size);
            note(cells[byte % page_size], shared);
        }
    }
};

void watch(void* address, std::size_t size, bool writes, bool aligned, void* place)
{
    Access{std::uintptr_t(address), size, writes, place}.check(aligned);
}

}  // namespace

void machine::forget_memory()
{
    if (page_count < most_pages / 8) return;
    for (Page& page : table) {
        std::free(page.cells);
        page = {};
    }
    page_count = 0;
}

// ------------------------------------------------------------ the compiler's door
// In the call itself, and not behind it, where the next line may begin.
#define HERE (static_cast<char*>(__builtin_return_address(0)) - 1)
#define ACCESS(size)                                                                         \
    extern "C" void __tsan_read##size(void* at) { watch(at, size, false, true, HERE); }      \
    extern "C" void __tsan_write##size(void* at) { watch(at, size, true, true, HERE); }
#define UNALIGNED_ACCESS(size)                                                               \
    extern "C" void __tsan_unaligned_read##size(void* at)                                    \
    {                                                                                        \
        watch(at, size, false, false, HERE);                                                 \
    }                                                                                        \
    extern "C" void __tsan_unaligned_write##size(void* at)                                   \
    {                                                                                        \
        watch(at, size, true, false, HERE);                                                  \
    }

ACCESS(1) ACCESS(2) ACCESS(4) ACCESS(8) ACCESS(16)
UNALIGNED_ACCESS(2) UNALIGNED_ACCESS(4) UNALIGNED_ACCESS(8) UNALIGNED_ACCESS(16)

extern "C" void __tsan_read_range(void* at, unsigned long size)
{
    watch(at, size, false, false, HERE);
}
extern "C" void __tsan_write_range(void* at, unsigned long size)
{
    watch(at, size, true, false, HERE);
}
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
