// How a launch ends that must not go on, whether the machine has found out or the processor: with a
// message, and a jump to where it was begun.

#include "machine.h"

#include <cstdarg>
#include <cstdio>
#include <dlfcn.h>
#include <ucontext.h>

using namespace machine;

namespace {

char message[1024];
std::ptrdiff_t failed_at;  // in the module's file, 0 where that says nothing
volatile sig_atomic_t running;

void on_signal(int number, siginfo_t* information, void* context)
{
    if (!running) {  // not ours: the instruction runs again, and ends the process as it would have
        std::signal(number, SIG_DFL);
        return;
    }
    void* place = nullptr;
#if defined(__x86_64__)
    place = reinterpret_cast<void*>(
        static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
    place = reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.pc);
#endif
    char* address = static_cast<char*>(information->si_addr);
    if (number == SIGILL || number == SIGTRAP)
        fail(place, "an operation whose result C++ leaves undefined");
    if (number == SIGFPE) fail(place, "an integer is divided by zero");
    char* stack = reinterpret_cast<char*>(state.stack.begin);
    if (address >= stack - page && address < stack)
        fail(place, "more than %zu bytes of local variables", stack_size);
    fail(place, "an access to address %p, which is not there", information->si_addr);
}

constexpr int signals[signal_count] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
char room[page];  // for the handler, for a thread's own stack may be what is full

}  // namespace

namespace machine {

jmp_buf failed;

Signals::Signals()
{
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    stack_t stack = {};
    stack.ss_sp = room;
    stack.ss_size = sizeof room;
    sigaltstack(&stack, &stack_before);
    for (unsigned i = 0; i < signal_count; ++i) sigaction(signals[i], &action, &before[i]);
    running = 1;
}

Signals::~Signals()
{
    running = 0;
    for (unsigned i = 0; i < signal_count; ++i) sigaction(signals[i], &before[i], nullptr);
    sigaltstack(&stack_before, nullptr);
}

const char* name_of(unsigned thread)
{
    static char texts[8][48];
    static unsigned next;
    char* text = texts[next++ % 8];
    unsigned x = thread % blockDim.x, y = thread / blockDim.x % blockDim.y;
    unsigned z = thread / blockDim.x / blockDim.y;
    std::snprintf(text, sizeof *texts, "(%u, %u, %u)", x, y, z);
    return text;
}

void fail(void* place, const char* format, ...)
{
    int size = std::snprintf(message, sizeof message,
                             "kernel %s, block (%u, %u, %u), thread %s: ",
                             state.launch->kernel->name, blockIdx.x, blockIdx.y, blockIdx.z,
                             name_of(state.thread));
    va_list values;
    va_start(values, format);
    std::vsnprintf(message + size, sizeof message - size, format, values);
    va_end(values);
    Dl_info module;
    bool known = place && dladdr(place, &module);
    failed_at = known ? static_cast<char*>(place) - static_cast<char*>(module.dli_fbase) : 0;
    _longjmp(failed, 1);
}

}  // namespace machine

extern "C" const char* cuda_on_cpu_message() { return message; }
extern "C" std::ptrdiff_t cuda_on_cpu_failed_at() { return failed_at; }
