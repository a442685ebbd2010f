// The parts of a convolution that are no matrix product: im2col, its adjoint col2im, the bias and its gradient.
//
// The batch lies innermost: x[c, h, w, n] is x[((c * H + h) * W + w) * N + n]. So threads that are neighbours work on
// neighbouring images, and what they read and write lies side by side: the memory hands over a whole line at once.
// The letters are those of contract.py. REAL is float or double, INDEX the integer that counts elements.

// Thread i computes cols[c, ki, kj, p, q, n], element i of cols (C, KH, KW, OH, OW, N): it copies the pixel
// x[c, p SH + ki DH - PH, q SW + kj DW - PW, n], or puts 0 where that lies outside the image.
extern "C" __global__ void im2col(INDEX size, const REAL* x, REAL* cols, int N, int H, int W, int KH, int KW, int OH,
                                  int OW, int SH, int SW, int PH, int PW, int DH, int DW)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)  // the last block has threads to spare
        return;
    INDEX rest = i;
    int n = rest % N;
    rest /= N;
    int q = rest % OW;
    rest /= OW;
    int p = rest % OH;
    rest /= OH;
    int kj = rest % KW;
    rest /= KW;
    int ki = rest % KH;
    INDEX c = rest / KH;
    int h = p * SH + ki * DH - PH, w = q * SW + kj * DW - PW;
    bool inside = h >= 0 && h < H && w >= 0 && w < W;
    cols[i] = inside ? x[((c * H + h) * W + w) * N + n] : 0;
}

// Thread i computes x[c, h, w, n], element i of x (C, H, W, N): the sum of all elements of cols into which im2col
// copies that pixel. Were there a thread for each entry of cols, several would add to one pixel at once: it gathers,
// so that none does.
extern "C" __global__ void col2im(INDEX size, const REAL* cols, REAL* x, int N, int H, int W, int KH, int KW, int OH,
                                  int OW, int SH, int SW, int PH, int PW, int DH, int DW)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    INDEX rest = i;
    int n = rest % N;
    rest /= N;
    int w = rest % W;
    rest /= W;
    int h = rest % H;
    INDEX c = rest / H;
    REAL total = 0;
    for (int ki = 0; ki < KH; ++ki) {
        int top = h + PH - ki * DH;  // p SH, where an output row p sees this pixel through tap row ki
        if (top < 0 || top % SH != 0 || top / SH >= OH)
            continue;
        for (int kj = 0; kj < KW; ++kj) {
            int left = w + PW - kj * DW;
            if (left < 0 || left % SW != 0 || left / SW >= OW)
                continue;
            total += cols[((((c * KH + ki) * KW + kj) * OH + top / SH) * OW + left / SW) * N + n];
        }
    }
    x[i] = total;
}

// Thread i computes y[i] + bias[o], in place; o = i / pixels is the channel of element i of y (O, pixels).
extern "C" __global__ void add_bias(INDEX size, REAL* y, const REAL* bias, INDEX pixels)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        y[i] += bias[i / pixels];
}

// Thread t of block c sums x[c, t], x[c, t + 256], x[c, t + 512], ... of x (C, pixels). Then half of the block's 256
// threads add the sums of the other half to theirs, then a quarter, and so on, always in the same order, until thread
// 0 has sums[c], the sum of row c.
extern "C" __global__ void channel_sum(const REAL* x, REAL* sums, INDEX pixels)
{
    __shared__ REAL partial[256];  // seen by all threads of the block
    const REAL* row = x + blockIdx.x * pixels;
    REAL total = 0;
    for (INDEX i = threadIdx.x; i < pixels; i += blockDim.x)
        total += row[i];
    partial[threadIdx.x] = total;
    __syncthreads();  // until every thread has written its sum
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            partial[threadIdx.x] += partial[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        sums[blockIdx.x] = partial[0];
}
