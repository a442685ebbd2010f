// The optimizers' updates. Thread i computes element i of all that is new: all parameters lie one behind the other in
// one flat array, and so do their gradients and what is remembered of them, so that one launch updates them all.
//
// REAL is float or double, and INDEX the integer that counts elements. What does not depend on the element, such as
// Adam's 1 - beta1^t, has been computed by the host.

// Thread i computes new_w[i] = w[i] - lr (g[i] + weight_decay w[i]).
extern "C" __global__ void sgd(INDEX size, const REAL* w, const REAL* g, REAL lr, REAL weight_decay, REAL* new_w)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size)  // the last block has threads to spare
        new_w[i] = w[i] - lr * (g[i] + weight_decay * w[i]);
}

// Thread i computes, with g = g[i] + weight_decay w[i],
//
//     new_v[i] = momentum v[i] + weight_of_g g
//     new_w[i] = w[i] - lr new_v[i], or in Nesterov's way w[i] - lr (g + momentum new_v[i])
extern "C" __global__ void sgd_with_momentum(INDEX size, const REAL* w, const REAL* g, const REAL* v, REAL lr,
                                             REAL momentum, REAL weight_of_g, REAL weight_decay, int nesterov,
                                             REAL* new_w, REAL* new_v)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    REAL gradient = g[i] + weight_decay * w[i];
    REAL velocity = momentum * v[i] + weight_of_g * gradient;
    new_v[i] = velocity;
    new_w[i] = w[i] - lr * (nesterov ? gradient + momentum * velocity : velocity);
}

// Thread i computes, with g = g[i] + weight_decay w[i],
//
//     new_m[i] = beta1 m[i] + weight_of_g g
//     new_v[i] = beta2 v[i] + weight_of_g2 g^2
//     new_w[i] = kept w[i] - step_size new_m[i] / (sqrt(new_v[i]) / correction + eps)
//
// weight_of_g is 1 - beta1, weight_of_g2 is 1 - beta2, step_size is lr / (1 - beta1^t), correction is sqrt(1 - beta2^t),
// and kept is what is left of a weight that decays by itself, as in AdamW.
extern "C" __global__ void adam(INDEX size, const REAL* w, const REAL* g, const REAL* m, const REAL* v, REAL step_size,
                                REAL beta1, REAL weight_of_g, REAL beta2, REAL weight_of_g2, REAL correction, REAL eps,
                                REAL weight_decay, REAL kept, REAL* new_w, REAL* new_m, REAL* new_v)
{
    INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size)
        return;
    REAL gradient = g[i] + weight_decay * w[i];
    REAL mean = beta1 * m[i] + weight_of_g * gradient;
    REAL mean_of_squares = beta2 * v[i] + weight_of_g2 * gradient * gradient;
    new_m[i] = mean;
    new_v[i] = mean_of_squares;
    new_w[i] = kept * w[i] - step_size * mean / (sqrt(mean_of_squares) / correction + eps);
}
