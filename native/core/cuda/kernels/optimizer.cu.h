// An optimizer's step on one tensor in one pass over its memory: formulas and hyper-parameters as
// in optimizer.cpp.
//
//   OPTIMIZER  as the enum OptimizerKind counts

constexpr float kEpsilon = 1e-7f;
constexpr float kRho = 0.9f;
constexpr float kAdadeltaRho = 0.95f;
constexpr float kBeta1 = 0.9f;
constexpr float kBeta2 = 0.999f;

/// `scalars`: what Optimizer::begin_step() gives. Slots an optimizer has not may be null.
GLOBAL_KERNEL void __launch_bounds__(256)
    optimizer_step(float* __restrict__ parameter, const float* __restrict__ gradient,
                   float* __restrict__ slot0, float* __restrict__ slot1, long long count,
                   const float* __restrict__ scalars) {
  const float a = scalars[0];
  const float b = scalars[1];
  const float c = scalars[2];
  (void)b;
  (void)c;
  const long long step = (long long)gridDim.x * blockDim.x;
#pragma unroll 4
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
    const float g = gradient[i];
    float p = parameter[i];
#if OPTIMIZER == 0  // SGD
    p -= a * g;
#elif OPTIMIZER == 1 || OPTIMIZER == 2  // RMSprop, Adagrad
    float v = slot0[i];
    v = OPTIMIZER == 1 ? kRho * v + (1 - kRho) * g * g : v + g * g;
    slot0[i] = v;
    p -= a * g / sqrtf(v + kEpsilon);
#elif OPTIMIZER == 3                    // Adadelta
    float v = slot0[i];
    float d = slot1[i];
    v = kAdadeltaRho * v + (1 - kAdadeltaRho) * g * g;
    const float delta = g * sqrtf(d + kEpsilon) / sqrtf(v + kEpsilon);
    d = kAdadeltaRho * d + (1 - kAdadeltaRho) * delta * delta;
    slot0[i] = v;
    slot1[i] = d;
    p -= a * delta;
#elif OPTIMIZER == 4 || OPTIMIZER == 5  // Adam, AdamW
    if (OPTIMIZER == 5) p *= b;
    float m = slot0[i];
    float v = slot1[i];
    m += (1 - kBeta1) * (g - m);
    v = kBeta2 * v + (1 - kBeta2) * g * g;
    slot0[i] = m;
    slot1[i] = v;
    p -= a * m / (sqrtf(v) + kEpsilon);
#elif OPTIMIZER == 6                    // Adamax
    float m = slot0[i];
    float u = slot1[i];
    m += (1 - kBeta1) * (g - m);
    u = fmaxf(kBeta2 * u, fabsf(g));
    slot0[i] = m;
    slot1[i] = u;
    p -= a * m / (u + kEpsilon);
#else                                   // Nadam
    float m = slot0[i];
    float v = slot1[i];
    m += (1 - kBeta1) * (g - m);
    v = kBeta2 * v + (1 - kBeta2) * g * g;
    slot0[i] = m;
    slot1[i] = v;
    p -= (m * a + g * b) / (sqrtf(v) * c + kEpsilon);
#endif
    parameter[i] = p;
  }
}
