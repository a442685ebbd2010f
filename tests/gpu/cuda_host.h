// CUDA C on the processor: what a kernel takes from CUDA, in C++, so that g++ compiles a .cu file as it stands.
//
// A kernel is a function that the GPU runs once for each thread of a grid. The threads come in blocks, and each finds
// out from threadIdx and blockIdx which one it is. The threads of a block share memory (__shared__) and can wait for
// each other (__syncthreads). Nothing else is promised: blocks and threads run in any order. Here they run one at a
// time, in an order drawn at random, so that a kernel which counts on one order gives itself away.
//
// host_compiler.py includes this file before the kernels, and writes CUDA_HOST_KERNEL(name) behind them for each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <math.h>  // exp, log, tanh, fmax, ... for float and double, as CUDA has them
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#ifdef __SANITIZE_THREAD__  // compiled for races.py
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateBenignRaceSized(const char* file, int line, const volatile void* start, long size,
                                        const char* why);
#define CUDA_HOST_UNWATCHED __attribute__((no_sanitize_thread))  // what runs the threads is no part of the kernel
#else
#define CUDA_HOST_UNWATCHED
#endif

// ---------------------------------------------------------------------------------------------- the words of CUDA C

#define __global__  // a kernel: runs on the GPU, is launched by the host
#define __device__  // a function that kernels call
#define __host__    // a function that the host calls

#define __constant__ static constexpr  // numbers for all threads, which none may change

// Memory that the threads of a block share. One block runs at a time, so one copy is enough; it lies in a section of
// its own, whose bounds the linker knows.
#define __shared__ static __attribute__((section("cuda_shared")))
extern char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static uint3 threadIdx, blockIdx;  // which thread is this, in which block
static dim3 blockDim, gridDim;     // how many threads has a block, how many blocks the grid

// Waits until all threads of the block are here; what they wrote before is then seen by all.
#define __syncthreads() cuda_host::barrier(__LINE__)

// The compiler of CuPy, NVRTC, lacks these two.
#undef INFINITY
#undef NAN

template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
template <class T> T __ldg(const T* address) { return *address; }

// Reads a number, changes it and writes it, with no other thread in between. Returns the number as it was.
template <class T, class Change> T atomically(T* address, Change change)
{
    T before, after;
    __atomic_load(address, &before, __ATOMIC_RELAXED);
    do
        after = change(before);
    while (!__atomic_compare_exchange(address, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}
template <class T, class Number> T atomicAdd(T* address, Number value)
{
    return atomically(address, [=](T before) { return before + T(value); });
}
template <class T, class Number> T atomicMin(T* address, Number value)
{
    return atomically(address, [=](T before) { return min(before, T(value)); });
}
template <class T, class Number> T atomicMax(T* address, Number value)
{
    return atomically(address, [=](T before) { return max(before, T(value)); });
}

namespace cuda_host {

// ------------------------------------------------------------------------------------------------------------ printing

// A kernel may print, as on a GPU. Of the two orders in which host_cuda.py runs a launch, the first one is printed.
static bool prints;

inline double as_printed(float number) { return static_cast<double>(number); }
template <class Value> Value as_printed(Value value) { return value; }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"  // the format is the kernel's own
template <class... Values> int print(const char* format, Values... values)
{
    return prints ? ::printf(format, as_printed(values)...) : 0;
}
#pragma GCC diagnostic pop
#define printf cuda_host::print

// ------------------------------------------------------------------------------------------------- fibers and threads

// A place in the program that one can leave and come back to: a stack, and the registers at the time of leaving.
struct Place {
    ucontext_t start;
    jmp_buf left;
    bool was_left = false;
    void* watched = nullptr;  // what ThreadSanitizer takes for the thread that runs here
};

// A fiber runs threads, one after another, until one of them has to wait at a barrier; then another fiber goes on.
// So a kernel without barriers needs a single fiber, and one with barriers a fiber for each thread.
struct Fiber : Place {
    uint3 thread;
    int line;  // of the barrier at which the thread waits, 0 if at none
    char* stack = nullptr;
};

// What came of a launch; host_compiler.py reads it.
enum Problem { NONE, FAULT, UNEQUAL_BARRIERS, STACK_OVERFLOW };
struct Outcome {
    int problem, signal, line, other_line;
    uint3 block, thread;
    void* address;  // that the instruction wanted to read or write
    size_t place;   // of the instruction in the compiled library
};

const unsigned MAX_THREADS = 1024;  // of a block
const size_t STACK = 256 * 1024;
const size_t GUARD = 64 * 1024;  // below a stack; nobody may touch it
static Fiber fibers[MAX_THREADS];
static unsigned usable_fibers;  // the first so many have been set up
static Fiber* current;
static Place scheduler;
static uint3 thread_order[MAX_THREADS];
static void* watched[MAX_THREADS];  // what ThreadSanitizer takes the threads of the block for
static unsigned threads, begun, finished;  // threads of the block: all, that have begun, that have come to their end
static unsigned barriers;  // that all threads have passed
static void (*kernel)(void** arguments);
static void** arguments;

CUDA_HOST_UNWATCHED inline void go(Place& from, Place& to)
{
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(to.watched, __tsan_switch_to_fiber_no_sync);
    swapcontext(&from.start, &to.start);
#else
    from.was_left = true;
    if (_setjmp(from.left))
        return;  // somebody came back
    if (to.was_left)
        _longjmp(to.left, 1);  // twenty times as fast as swapcontext, which asks the operating system twice
    setcontext(&to.start);
#endif
}

CUDA_HOST_UNWATCHED inline void enter_thread(unsigned number)
{
    threadIdx = current->thread = thread_order[number];
#ifdef __SANITIZE_THREAD__
    current->watched = watched[number];
    __tsan_switch_to_fiber(current->watched, __tsan_switch_to_fiber_no_sync);
#endif
}

CUDA_HOST_UNWATCHED inline void run_fiber()
{
    for (;;) {
        while (begun < threads) {
            enter_thread(begun++);
            kernel(arguments);
            ++finished;
#ifdef __SANITIZE_THREAD__
            __tsan_release(&finished);
#endif
        }
        go(*current, scheduler);
    }
}

CUDA_HOST_UNWATCHED inline void set_up(Fiber& fiber)
{
    if (!fiber.stack) {
        const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        fiber.stack = static_cast<char*>(mmap(nullptr, GUARD + STACK, PROT_NONE, kind, -1, 0)) + GUARD;
        mprotect(fiber.stack, STACK, PROT_READ | PROT_WRITE);
#ifdef __SANITIZE_THREAD__
        AnnotateBenignRaceSized(__FILE__, __LINE__, fiber.stack, STACK, "what one thread leaves there, no other reads");
#endif
    }
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack;
    fiber.start.uc_stack.ss_size = STACK;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, run_fiber, 0);
    fiber.was_left = false;
}

CUDA_HOST_UNWATCHED inline void resume(Fiber& fiber)
{
    current = &fiber;
    threadIdx = fiber.thread;
    fiber.line = 0;
    go(scheduler, fiber);
}

CUDA_HOST_UNWATCHED inline void barrier(int line)
{
    current->line = line;
#ifdef __SANITIZE_THREAD__
    // All that comes before the barrier comes before all behind it. Two tags in turn: who is first at the next barrier
    // must not seem to have been there before the others left this one.
    static char tags[2];
    char* tag = &tags[barriers % 2];
    __tsan_release(tag);
    go(*current, scheduler);
    __tsan_acquire(tag);
#else
    go(*current, scheduler);
#endif
}

// ------------------------------------------------------------------------------------------------- blocks and the grid

// Runs every thread of the block to its end, from barrier to barrier.
CUDA_HOST_UNWATCHED inline void run_block(Outcome& outcome)
{
    begun = finished = 0;
    unsigned used = 0;
    while (begun < threads) {
        if (used == usable_fibers)
            set_up(fibers[usable_fibers++]);
        fibers[used].watched = watched[begun];
        resume(fibers[used++]);
    }
    while (finished < threads) {
        // The lines where threads wait, 0 for one that has come to its end: there must be one line only.
        int highest = 0, lowest = finished ? 0 : fibers[0].line;
        for (unsigned f = 0; f < used; ++f) {
            highest = fibers[f].line > highest ? fibers[f].line : highest;
            lowest = fibers[f].line < lowest ? fibers[f].line : lowest;
        }
        if (lowest != highest) {
            outcome = {UNEQUAL_BARRIERS, 0, highest, lowest, blockIdx, {}, nullptr, 0};
            return;
        }
        ++barriers;
        for (unsigned f = 0; f < used; ++f)
            resume(fibers[f]);
    }
}

// ------------------------------------------------------------------------------------ what ThreadSanitizer is told

// Two questions, one a run. Do threads of a block meet in memory with no barrier between? Then each is watched on its
// own, and a block counts as over before the next begins. Do blocks meet in memory? Then a block is watched as one
// thread, and nothing comes between blocks.
#ifdef __SANITIZE_THREAD__
static bool watch_blocks = false;

extern "C" void cuda_host_watch_blocks()
{
    watch_blocks = true;
    const long size = __stop_cuda_shared - __start_cuda_shared;
    AnnotateBenignRaceSized(__FILE__, __LINE__, __start_cuda_shared, size, "on a GPU each block has its own");
}

CUDA_HOST_UNWATCHED inline void begin_watching_block()
{
    for (unsigned t = 0; t < threads; ++t)
        watched[t] = watch_blocks && t ? watched[0] : __tsan_create_fiber(0);
}

CUDA_HOST_UNWATCHED inline void end_watching_block()
{
    if (watch_blocks)
        return;  // their fibers are kept: a later one in the same place would be taken for the same thread
    __tsan_acquire(&finished);
    for (unsigned t = 0; t < threads; ++t)
        __tsan_destroy_fiber(watched[t]);
}
#else
inline void begin_watching_block() {}
inline void end_watching_block() {}
#endif

// ---------------------------------------------------------------------------------------------------------- the grid

static uint64_t random_state;

CUDA_HOST_UNWATCHED inline uint64_t random_below(uint64_t bound)
{
    uint64_t bits = random_state += 0x9e3779b97f4a7c15;  // SplitMix64
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return (bits ^ bits >> 31) % bound;
}

template <class Item> CUDA_HOST_UNWATCHED void shuffle(Item* items, size_t count)
{
    for (size_t i = count; i > 1; --i) {
        const size_t j = random_below(i);
        const Item item = items[j];
        items[j] = items[i - 1];
        items[i - 1] = item;
    }
}

CUDA_HOST_UNWATCHED inline uint3 position(size_t number, dim3 size)
{
    return {unsigned(number % size.x), unsigned(number / size.x % size.y), unsigned(number / size.x / size.y)};
}

// Runs the blocks one after another, in an order that the seed decides, as it does that of a block's threads.
CUDA_HOST_UNWATCHED inline void run_grid(size_t* block_order, size_t blocks, uint64_t seed, Outcome& outcome)
{
    random_state = seed;
    threads = blockDim.x * blockDim.y * blockDim.z;
    for (unsigned t = 0; t < threads; ++t)
        thread_order[t] = position(t, blockDim);
    shuffle(thread_order, threads);
    for (size_t b = 0; b < blocks; ++b)
        block_order[b] = b;
    shuffle(block_order, blocks);
    prints = seed % 2;
    // What nobody has written to shared memory yet is NaN in one run, and a small number in the next.
    const size_t shared = size_t(__stop_cuda_shared - __start_cuda_shared);
    const int unwritten = seed % 2 ? 0xff : 0x3c;
    for (size_t b = 0; b < blocks && !outcome.problem; ++b) {
        blockIdx = position(block_order[b], gridDim);
        memset(__start_cuda_shared, unwritten, shared);
        begin_watching_block();
        run_block(outcome);
        end_watching_block();
    }
#ifdef __SANITIZE_THREAD__
    __tsan_acquire(&finished);  // the host sees what the kernel wrote only when all of it is over
#endif
}

// A fault of the hardware ends the launch, and nothing else: memory that is not ours, or an instruction that g++ puts
// where an int has overflowed, a divisor is 0 or an index lies outside an array of fixed size. So does Ctrl-C, as a kernel
// may wait without end for another thread.
static const int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGINT};
static pthread_t launching;
static sigjmp_buf before_launch;
static Outcome* current_outcome;

extern "C" const char __ehdr_start __attribute__((visibility("hidden")));  // where the library begins

inline size_t place_of_instruction(void* context)
{
    const mcontext_t& registers = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return size_t(registers.gregs[REG_RIP]) - size_t(&__ehdr_start);
#elif defined(__aarch64__)
    return size_t(registers.pc) - size_t(&__ehdr_start);
#else
    return 0;
#endif
}

inline void on_fault(int signal, siginfo_t* info, void* context)
{
    if (!pthread_equal(pthread_self(), launching)) {  // Ctrl-C may come to any thread of the program
        pthread_kill(launching, signal);
        return;
    }
    const size_t below_stack = size_t(current->stack) - size_t(info->si_addr);
    const Problem problem = 0 < below_stack && below_stack <= GUARD ? STACK_OVERFLOW : FAULT;
    *current_outcome = {
        problem, signal, 0, 0, blockIdx, threadIdx, info->si_addr, place_of_instruction(context)};
    siglongjmp(before_launch, 1);
}

CUDA_HOST_UNWATCHED inline void launch(const unsigned* shape, uint64_t seed, Outcome& outcome)
{
    gridDim = {shape[0], shape[1], shape[2]};
    blockDim = {shape[3], shape[4], shape[5]};
    const size_t blocks = size_t(gridDim.x) * gridDim.y * gridDim.z;
    size_t* const block_order = new size_t[blocks];
    outcome = {};
#ifdef __SANITIZE_THREAD__
    scheduler.watched = __tsan_get_current_fiber();
    run_grid(block_order, blocks, seed, outcome);
#else
    const int faults = sizeof FAULTS / sizeof *FAULTS;
    struct sigaction catching = {}, before[faults];
    catching.sa_sigaction = on_fault;
    catching.sa_flags = SA_SIGINFO | SA_ONSTACK;  // on a stack of its own, as the thread's may be full
    static char room[64 * 1024];
    stack_t own_stack = {}, stack_before;
    own_stack.ss_sp = room;
    own_stack.ss_size = sizeof room;
    sigaltstack(&own_stack, &stack_before);
    current_outcome = &outcome;
    launching = pthread_self();
    for (int f = 0; f < faults; ++f)
        sigaction(FAULTS[f], &catching, &before[f]);
    if (!sigsetjmp(before_launch, 1))
        run_grid(block_order, blocks, seed, outcome);
    for (int f = 0; f < faults; ++f)
        sigaction(FAULTS[f], &before[f], nullptr);
    sigaltstack(&stack_before, nullptr);
#endif
    delete[] block_order;
    fflush(stdout);
    if (outcome.problem)
        usable_fibers = 0;  // they hang in the middle of the kernel
}

// ------------------------------------------------------------------------------------------------ kernels for the host

// "rf4wf8vi4" stands for (const float*, double*, int): read, written or a value; and the dtype's code in NumPy.
template <class Parameter> char* describe(char* text)
{
    using Item = std::remove_pointer_t<Parameter>;
    using Type = std::remove_cv_t<Item>;
    static_assert(std::is_arithmetic_v<Type>, "a kernel takes numbers, and pointers to numbers");
    *text++ = !std::is_pointer_v<Parameter> ? 'v' : std::is_const_v<Item> ? 'r' : 'w';
    const char integer = std::is_same_v<Type, bool> ? 'b' : std::is_signed_v<Type> ? 'i' : 'u';
    *text++ = std::is_floating_point_v<Type> ? 'f' : integer;
    *text++ = char('0' + sizeof(Type));
    *text = 0;
    return text;
}

template <auto function> struct Kernel;
template <class... Parameters, void (*function)(Parameters...)> struct Kernel<function> {
    template <size_t... I> static void call(void** values, std::index_sequence<I...>)
    {
        function(*static_cast<Parameters*>(values[I])...);
    }
    static void run(void** values) { call(values, std::index_sequence_for<Parameters...>{}); }
    static const char* signature()
    {
        static char text[3 * sizeof...(Parameters) + 1];
        char* end = text;
        ((end = describe<Parameters>(end)), ...);
        return text;
    }
};

}  // namespace cuda_host

#define CUDA_HOST_KERNEL(name)                                                                                         \
    extern "C" const char* signature_##name() { return cuda_host::Kernel<name>::signature(); }                         \
    extern "C" void launch_##name(void** values, const unsigned* shape, uint64_t seed, cuda_host::Outcome* outcome)    \
    {                                                                                                                  \
        cuda_host::kernel = cuda_host::Kernel<name>::run;                                                              \
        cuda_host::arguments = values;                                                                                 \
        cuda_host::launch(shape, seed, *outcome);                                                                      \
    }
