// Activation functions and their gradients, element by element. dy is dL/dy, and dx is dL/dx.
//
// A kernel is run by many threads at once, in blocks of blockDim.x; each finds from its block's number and its own
// which element i is its part. REAL is float or double, and INDEX the integer that counts elements: int, or long long
// for more than 2^31 of them.

// Thread i computes y[i] = 1 / (1 + e^(-x[i])).
extern "C" __global__ void sigmoid(INDEX size, const REAL* x, REAL* y)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)  // the last block has threads to spare
        y[i] = 1 / (1 + exp(-x[i]));  // exp(-x) may reach infinity, and 1 / (1 + infinity) is the right answer, 0
}

// Thread i computes dx[i] = dy[i] y[i] (1 - y[i]), from the sigmoid's result y.
extern "C" __global__ void sigmoid_grad(INDEX size, const REAL* dy, const REAL* y, REAL* dx)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        dx[i] = dy[i] * (y[i] * (1 - y[i]));
}

// Thread i computes y[i] = tanh(x[i]).
extern "C" __global__ void hyperbolic_tangent(INDEX size, const REAL* x, REAL* y)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        y[i] = tanh(x[i]);
}

// Thread i computes dx[i] = dy[i] (1 - y[i]^2), from the result y = tanh(x).
extern "C" __global__ void hyperbolic_tangent_grad(INDEX size, const REAL* dy, const REAL* y, REAL* dx)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        dx[i] = dy[i] * (1 - y[i] * y[i]);
}

// Thread i computes y[i] = max(x[i], 0).
extern "C" __global__ void relu(INDEX size, const REAL* x, REAL* y)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        y[i] = x[i] <= 0 ? 0 : x[i];  // a NaN is not <= 0, and stays
}

// Thread i computes dx[i]: dy[i] where y[i] > 0, else 0.
extern "C" __global__ void relu_grad(INDEX size, const REAL* dy, const REAL* y, REAL* dx)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

// Thread i computes y[i]: x[i] where x[i] > 0, else negative_slope x[i].
extern "C" __global__ void leaky_relu(INDEX size, const REAL* x, REAL negative_slope, REAL* y)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        y[i] = x[i] > 0 ? x[i] : negative_slope * x[i];
}

// Thread i computes dx[i]: dy[i] where x[i] > 0, else negative_slope dy[i].
extern "C" __global__ void leaky_relu_grad(INDEX size, const REAL* dy, const REAL* x, REAL negative_slope, REAL* dx)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        dx[i] = x[i] > 0 ? dy[i] : negative_slope * dy[i];
}

// Thread i computes y[i] = ln(1 + e^x[i]), as max(x[i], 0) + ln(1 + e^(-|x[i]|)), in which nothing overflows.
extern "C" __global__ void softplus(INDEX size, const REAL* x, REAL* y)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)
        y[i] = (x[i] > 0 ? x[i] : 0) + log1p(exp(-fabs(x[i])));
}
