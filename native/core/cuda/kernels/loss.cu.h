// Binary cross-entropy of logits, its gradient, and the metrics, in one pass: Σ loss, pixels right,
// Σ squared error. As Metrics describes them.

/// `target` in [0, 1]; `grad` receives (sigmoid(z) − target)·factor, unless it is null. Partial
/// sums: [block][3].
GLOBAL_KERNEL void __launch_bounds__(256)
    bce(const storage* __restrict__ logits, const float* __restrict__ target,
        storage* __restrict__ grad, long long count, float factor, float* __restrict__ partials) {
  float sums[3] = {0, 0, 0};
  const long long step = (long long)gridDim.x * blockDim.x;
#pragma unroll 4
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const float z = to_float(logits[i]);
    const float t = target[i];
    const float e = expf(-fabsf(z));
    const float p = (z >= 0 ? 1.0f : e) / (1.0f + e);
    sums[0] += fmaxf(z, 0.0f) - z * t + log1pf(e);
    // Keras rounds at "greater than one half".
    sums[1] += (p > 0.5f ? 1.0f : 0.0f) == t ? 1.0f : 0.0f;
    sums[2] += (p - t) * (p - t);
    if (grad) from_float((p - t) * factor, grad[i]);
  }
  __shared__ float shared[3 * 256];
  for (int k = 0; k < 3; ++k) shared[k * 256 + threadIdx.x] = sums[k];
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if ((int)threadIdx.x < half) {
      for (int k = 0; k < 3; ++k) {
        shared[k * 256 + threadIdx.x] += shared[k * 256 + threadIdx.x + half];
      }
    }
    __syncthreads();
  }
  if (threadIdx.x < 3) partials[blockIdx.x * 3 + threadIdx.x] = shared[threadIdx.x * 256];
}
