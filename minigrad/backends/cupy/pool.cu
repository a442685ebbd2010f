// Pooling. The batch lies innermost, as in conv.cu: x[c, h, w, n] is x[((c * H + h) * W + w) * N + n], and from a
// thread's number i its n, column, row and c are found one after the other, as rests of divisions.
//
// Every kernel gathers: a thread alone writes its element, and reads whatever that depends on. A window (p, q) covers
// the rows p SH - PH to p SH - PH + KH - 1 and the columns likewise, as far as they lie in the image. The letters are
// those of contract.py. REAL is float or double, INDEX the integer that counts elements.

// How many pixels of a window that begins at `start` lie in an image of `size` pixels.
__device__ int inside(int start, int kernel, int size)
{
    int first = start > 0 ? start : 0, end = start + kernel < size ? start + kernel : size;
    return end - first;
}

// The first of the windows that cover a pixel, of those that are there; `at` is its place in the padded image.
__device__ int first_window(int at, int kernel, int stride)
{
    return at < kernel ? 0 : (at - kernel) / stride + 1;
}

// The last of them.
__device__ int last_window(int at, int stride, int windows)
{
    return at / stride < windows ? at / stride : windows - 1;
}

// Thread i computes y[c, p, q, n], element i of y (C, OH, OW, N): the sum of x (C, H, W, N) over window (p, q),
// divided by KH KW, or by the number of its pixels that lie in the image.
extern "C" __global__ void avg_pool2d(INDEX size, const REAL* x, REAL* y, int N, int H, int W, int KH, int KW, int OH,
                                      int OW, int SH, int SW, int PH, int PW, int count_include_pad)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    INDEX rest = i;
    int n = rest % N;
    rest /= N;
    int q = rest % OW;
    rest /= OW;
    int p = rest % OH;
    INDEX c = rest / OH;
    int top = p * SH - PH, left = q * SW - PW;
    REAL total = 0;
    for (int h = top > 0 ? top : 0; h < top + KH && h < H; ++h)
        for (int w = left > 0 ? left : 0; w < left + KW && w < W; ++w)
            total += x[((c * H + h) * W + w) * N + n];
    int count = count_include_pad ? KH * KW : inside(top, KH, H) * inside(left, KW, W);
    y[i] = total / count;
}

// Thread i computes dx[c, h, w, n], element i of dx (C, H, W, N): the sum of dy[c, p, q, n] / count over the windows
// (p, q) that cover the pixel; count is what the window's sum was divided by.
extern "C" __global__ void avg_pool2d_grad(INDEX size, const REAL* dy, REAL* dx, int N, int H, int W, int KH, int KW,
                                           int OH, int OW, int SH, int SW, int PH, int PW, int count_include_pad)
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
    for (int p = first_window(h + PH, KH, SH); p <= last_window(h + PH, SH, OH); ++p)
        for (int q = first_window(w + PW, KW, SW); q <= last_window(w + PW, SW, OW); ++q) {
            int count = count_include_pad ? KH * KW : inside(p * SH - PH, KH, H) * inside(q * SW - PW, KW, W);
            total += dy[((c * OH + p) * OW + q) * N + n] / count;
        }
    dx[i] = total;
}

// Thread i computes y[c, p, q, n], element i of y (C, OH, OW, N), the maximum of x (C, H, W, N) over window (p, q),
// and winners[i], where in the window it was: ki KW + kj, of the first one in row-major order where several are equal.
extern "C" __global__ void max_pool2d(INDEX size, const REAL* x, REAL* y, int* winners, int N, int H, int W, int KH,
                                      int KW, int OH, int OW, int SH, int SW, int PH, int PW)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    INDEX rest = i;
    int n = rest % N;
    rest /= N;
    int q = rest % OW;
    rest /= OW;
    int p = rest % OH;
    INDEX c = rest / OH;
    int top = p * SH - PH, left = q * SW - PW;
    int winner = -1;  // until the first pixel inside the image, which wins for now whatever it is
    REAL best = 0;
    for (int h = top > 0 ? top : 0; h < top + KH && h < H; ++h)
        for (int w = left > 0 ? left : 0; w < left + KW && w < W; ++w) {
            REAL pixel = x[((c * H + h) * W + w) * N + n];
            bool better = !(pixel <= best) && best == best;  // a NaN is not <= anything, and only the first one wins
            if (winner < 0 || better) {
                best = pixel;
                winner = (h - top) * KW + w - left;
            }
        }
    y[i] = best;
    winners[i] = winner;
}

// Thread i computes y[c, p, q, n], element i of y (C, OH, OW, N): the pixel of x (C, H, W, N) at the place ki KW + kj
// of window (p, q) that winners[i] names.
extern "C" __global__ void max_pool2d_gather(INDEX size, const REAL* x, const int* winners, REAL* y, int N, int H,
                                             int W, int KW, int OH, int OW, int SH, int SW, int PH, int PW)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    INDEX rest = i;
    int n = rest % N;
    rest /= N;
    int q = rest % OW;
    rest /= OW;
    int p = rest % OH;
    INDEX c = rest / OH;
    int h = p * SH - PH + winners[i] / KW, w = q * SW - PW + winners[i] % KW;
    y[i] = x[((c * H + h) * W + w) * N + n];
}

// Thread i computes dx[c, h, w, n], element i of dx (C, H, W, N): the sum of dy[c, p, q, n] over the windows (p, q)
// that cover the pixel and that it has won, those whose winner is at its place, (h + PH - p SH) KW + w + PW - q SW.
extern "C" __global__ void max_pool2d_scatter(INDEX size, const REAL* dy, const int* winners, REAL* dx, int N, int H,
                                              int W, int KH, int KW, int OH, int OW, int SH, int SW, int PH, int PW)
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
    for (int p = first_window(h + PH, KH, SH); p <= last_window(h + PH, SH, OH); ++p)
        for (int q = first_window(w + PW, KW, SW); q <= last_window(w + PW, SW, OW); ++q) {
            INDEX window = ((c * OH + p) * OW + q) * N + n;
            int place = (h + PH - p * SH) * KW + w + PW - q * SW;
            if (winners[window] == place)
                total += dy[window];
        }
    dx[i] = total;
}
