// Batches of images, gathered on the GPU from all that there are.
//
// The batch comes out innermost, (C, H, W, N), as the first convolution wants it: pixel k of image n is
// batch[k * N + n]. REAL is float or double, INDEX the integer that counts elements of the batch; all images together
// may be more.

// Thread i computes batch[k, n] = images[indices[n], k] / 255, element i of the batch (pixels, N), where k = i / N and
// n = i % N; images (D, pixels) are bytes from 0 to 255.
extern "C" __global__ void gather_bytes(INDEX size, const unsigned char* images, const long long* indices, REAL* batch,
                                        int N, INDEX pixels)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)  // the last block has threads to spare
        batch[i] = images[indices[i % N] * pixels + i / N] / (REAL)255;
}

// Thread i computes batch[k, n] = images[indices[n], k], of images that are floating already.
extern "C" __global__ void gather_numbers(INDEX size, const REAL* images, const long long* indices, REAL* batch, int N,
                                          INDEX pixels)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        batch[i] = images[indices[i % N] * pixels + i / N];
}
