// Softmax and cross-entropy as one kernel, so that neither can overflow.
//
// A block of 32 threads handles one row of logits (N, K): thread t takes classes t, t + 32, t + 64, ... REAL is float
// or double, INDEX the integer that counts elements.

#define THREADS 32

// The maximum of the threads' values; all threads get it.
__device__ REAL block_max(REAL value, REAL* shared)
{
    shared[threadIdx.x] = value;
    __syncthreads();  // until every thread has written its value
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half && shared[threadIdx.x] < shared[threadIdx.x + half])
            shared[threadIdx.x] = shared[threadIdx.x + half];
        __syncthreads();
    }
    REAL largest = shared[0];
    __syncthreads();  // until every thread has read it: the memory is used again
    return largest;
}

// Their sum, always added in the same order; all threads get it.
__device__ REAL block_sum(REAL value, REAL* shared)
{
    shared[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    return shared[0];
}

// Thread t of block n computes the probabilities p[n, k] = e^(z[n, k] - m) / total of its classes k, where z are the
// logits, m is the maximum of row n, and total the sum of e^(z[n, k] - m) over all classes. Thread 0 also computes
// losses[n] = ln total - (z[n, label] - m), which is -ln p[n, label].
extern "C" __global__ void softmax_cross_entropy(const REAL* logits, const long long* labels, REAL* losses,
                                                 REAL* probabilities, int K)
{
    __shared__ REAL shared[THREADS];
    const REAL* row = logits + (INDEX)blockIdx.x * K;
    REAL* p = probabilities + (INDEX)blockIdx.x * K;
    REAL largest = row[0];
    for (int k = threadIdx.x; k < K; k += THREADS)
        if (row[k] > largest)
            largest = row[k];
    largest = block_max(largest, shared);
    REAL total = 0;
    for (int k = threadIdx.x; k < K; k += THREADS) {
        p[k] = exp(row[k] - largest);
        total += p[k];
    }
    total = block_sum(total, shared);
    for (int k = threadIdx.x; k < K; k += THREADS)
        p[k] /= total;
    if (threadIdx.x == 0) {
        long long label = labels[blockIdx.x];
        REAL likely = label >= 0 && label < K ? row[label] : sqrt(-(REAL)1);  // NaN for a class that is not there
        losses[blockIdx.x] = log(total) - (likely - largest);
    }
}

// Thread i computes dlogits[n, k] = dlosses[n] (p[n, k] - (1 if k is the label of row n, else 0)), element i of
// dlogits (N, K). dlosses[n] is in place n * step: with step 0, one number serves all.
extern "C" __global__ void softmax_cross_entropy_grad(INDEX size, const REAL* dlosses, const REAL* probabilities,
                                                      const long long* labels, REAL* dlogits, int K, int step)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    INDEX n = i / K;
    REAL dloss = dlosses[n * step];
    dlogits[i] = dloss * probabilities[i] - (i % K == labels[n] ? dloss : 0);
}
