// CUDA C on the processor: what kernels take from CUDA, in C++, so that g++ compiles a .cu file as it stands.
//
// The threads of a block run one after another, in an order drawn at random, where a kernel has no barrier, and as
// threads of the processor where it has: they wait for each other at __syncthreads().
#include <algorithm>
#include <math.h>  // exp, log, tanh, ... for float and double, as CUDA has them
#include <pthread.h>
#include <random>
#include <thread>
#include <vector>

#define __global__  // a kernel: runs on the GPU, is launched by the host
#define __device__  // a function that kernels call
#define __shared__ static  // memory that the threads of a block share; one block runs at a time, so one copy is enough

struct dim3 {
    unsigned x, y, z;
};
static thread_local dim3 threadIdx, blockIdx;  // which thread is this, in which block
static dim3 blockDim, gridDim;                 // how many threads has a block, how many blocks the grid
static pthread_barrier_t cuda_barrier;

static inline void __syncthreads() { pthread_barrier_wait(&cuda_barrier); }

// Runs a kernel's threads, those of a block at once if they meet at barriers, in an order that the seed decides, or in
// its reverse.
template <class Kernel>
void cuda_launch(unsigned blocks, unsigned threads, bool barriers, unsigned seed, bool reverse, Kernel kernel)
{
    std::mt19937 random(seed);
    std::vector<unsigned> block_order(blocks), thread_order(threads);
    for (unsigned b = 0; b < blocks; ++b)
        block_order[b] = b;
    for (unsigned t = 0; t < threads; ++t)
        thread_order[t] = t;
    std::shuffle(block_order.begin(), block_order.end(), random);
    std::shuffle(thread_order.begin(), thread_order.end(), random);
    if (reverse) {
        std::reverse(block_order.begin(), block_order.end());
        std::reverse(thread_order.begin(), thread_order.end());
    }
    gridDim = {blocks, 1, 1};
    blockDim = {threads, 1, 1};
    pthread_barrier_init(&cuda_barrier, nullptr, threads);
    for (unsigned b : block_order) {
        auto run = [&](unsigned t) {
            blockIdx = {b, 0, 0};
            threadIdx = {t, 0, 0};
            kernel();
        };
        if (barriers) {
            std::vector<std::thread> running;
            for (unsigned t : thread_order)
                running.emplace_back(run, t);
            for (std::thread& one : running)
                one.join();
        } else {
            for (unsigned t : thread_order)
                run(t);
        }
    }
    pthread_barrier_destroy(&cuda_barrier);
}
