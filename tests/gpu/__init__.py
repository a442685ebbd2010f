"""CUDA C without a GPU: host_cuda.py runs kernels on the processor, with cuda_host.h; races.py looks for data races."""
