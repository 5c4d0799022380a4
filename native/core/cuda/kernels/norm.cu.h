// Batch normalization with the activation and the 2×2 pooling behind it, forward and backward, on
// images N×H×W×C and, with H = W = 1, on vectors. Neither the normalized nor the activated image is
// ever written: the backward pass computes both again from the convolution's output.
//
//   VECTOR      channels a thread takes at once; divides the number of channels
//   ACTIVATION  as the enum Activation counts
//   POOLING     0 none, 1 mean, 2 maximum; windows at the edges hold the pixels that exist
//
// An image may lie in a larger one, of which it is the upper left part: lines are `pitch` pixels
// apart, images `image` pixels. So what a transposed convolution gives too much is not cut off by a
// copy.
//
// Threads of a block are lanes × rows: a lane is VECTOR channels, and with one it stays, so that
// what belongs to channels stays in registers. Sums go by partial sums of blocks, in a fixed order.

#if defined(__CUDA_ARCH__) && STORAGE_BF16
#define EXPONENTIAL(x) __expf(x)
#define EXPONENTIAL_LESS_1(x) (__expf(x) - 1.0f)
#else
#define EXPONENTIAL(x) expf(x)
#define EXPONENTIAL_LESS_1(x) expm1f(x)
#endif

constexpr float kSeluAlpha = 1.67326324235437728f;
constexpr float kSeluScale = 1.05070098735548049f;

__device__ inline float logistic(float v) {
  return 1.0f / (1.0f + EXPONENTIAL(-v));
}

__device__ inline float activation(float v) {
#if ACTIVATION == 0
  return v;
#elif ACTIVATION == 1
  return v > 0 ? v : 0.0f;
#elif ACTIVATION == 2
  return v > 0 ? v : EXPONENTIAL_LESS_1(v);
#elif ACTIVATION == 3
  return kSeluScale * (v > 0 ? v : kSeluAlpha * EXPONENTIAL_LESS_1(v));
#elif ACTIVATION == 4
  return 0.5f * v * (1.0f + erff(v * 0.70710678f));
#elif ACTIVATION == 5
  return tanhf(v);
#elif ACTIVATION == 6
  return logistic(v);
#elif ACTIVATION == 7
  return fminf(fmaxf(v / 6.0f + 0.5f, 0.0f), 1.0f);
#elif ACTIVATION == 8
  return fmaxf(v, 0.0f) + log1pf(EXPONENTIAL(-fabsf(v)));
#elif ACTIVATION == 9
  return v / (1.0f + fabsf(v));
#elif ACTIVATION == 10
  return EXPONENTIAL(v);
#elif ACTIVATION == 11
  return v * logistic(v);
#else
  return v > 0 ? v : 0.2f * v;
#endif
}

/// d activation(v) / dv
__device__ inline float slope(float v) {
#if ACTIVATION == 0
  return 1.0f;
#elif ACTIVATION == 1
  return v > 0 ? 1.0f : 0.0f;
#elif ACTIVATION == 2
  return v > 0 ? 1.0f : EXPONENTIAL(v);
#elif ACTIVATION == 3
  return kSeluScale * (v > 0 ? 1.0f : kSeluAlpha * EXPONENTIAL(v));
#elif ACTIVATION == 4
  return 0.5f * (1.0f + erff(v * 0.70710678f)) + v * 0.39894228f * EXPONENTIAL(-0.5f * v * v);
#elif ACTIVATION == 5
  const float y = tanhf(v);
  return 1.0f - y * y;
#elif ACTIVATION == 6
  const float y = logistic(v);
  return y * (1.0f - y);
#elif ACTIVATION == 7
  return v > -3.0f && v < 3.0f ? 1.0f / 6.0f : 0.0f;
#elif ACTIVATION == 8
  return logistic(v);
#elif ACTIVATION == 9
  const float d = 1.0f + fabsf(v);
  return 1.0f / (d * d);
#elif ACTIVATION == 10
  return EXPONENTIAL(v);
#elif ACTIVATION == 11
  const float y = logistic(v);
  return y * (1.0f + v * (1.0f - y));
#else
  return v > 0 ? 1.0f : 0.2f;
#endif
}

/// Where a thread stands. `groups`: vectors of channels a pixel has.
struct Place {
  int lane, row, lanes, rows;
  bool idle;
  int channel;  ///< The first of the thread's.
};
__device__ inline Place place(int channels) {
  const int groups = channels / VECTOR;
  Place p;
  p.lanes = groups < (int)blockDim.x ? groups : (int)blockDim.x;
  p.rows = (int)blockDim.x / p.lanes;
  p.lane = (int)threadIdx.x % p.lanes;
  p.row = (int)threadIdx.x / p.lanes;
  const int group = (int)blockIdx.y * p.lanes + p.lane;
  p.idle = p.row >= p.rows || group >= groups;
  p.channel = group * VECTOR;
  return p;
}

/// Where pixel `i` of images h×w lies.
__device__ inline long long spot(long long i, int h, int w, int pitch, long long image) {
  if (pitch == w && image == (long long)h * w) return i;
  const unsigned line = (unsigned)i / (unsigned)w;
  const unsigned n = line / (unsigned)h;
  return n * image + (long long)(line - n * (unsigned)h) * pitch +
         (long long)((unsigned)i - line * (unsigned)w);
}

/// Adds up two sums a channel over the rows of a block, and writes them to the block's partial
/// sums: [block][2][channels].
__device__ inline void add_up(const Place& p, const float (&first)[VECTOR],
                              const float (&second)[VECTOR], int channels, float* partials) {
  __shared__ float sums[2 * VECTOR * 256];
  for (int i = 0; i < VECTOR; ++i) {
    sums[i * 256 + threadIdx.x] = p.idle ? 0.0f : first[i];
    sums[(VECTOR + i) * 256 + threadIdx.x] = p.idle ? 0.0f : second[i];
  }
  __syncthreads();
  float* out = partials + (long long)blockIdx.x * 2 * channels;
  for (int k = (int)threadIdx.x; k < 2 * VECTOR * p.lanes; k += (int)blockDim.x) {
    const int lane = k % p.lanes;
    const int value = k / p.lanes;  // Below VECTOR: of the first sums.
    float total = 0;
    for (int row = 0; row < p.rows; ++row) total += sums[value * 256 + row * p.lanes + lane];
    const int channel = ((int)blockIdx.y * p.lanes + lane) * VECTOR + value % VECTOR;
    if (channel < channels) out[(value / VECTOR) * channels + channel] = total;
  }
}

/// Σ (x − pivot) and Σ (x − pivot)² by channel, the pivot being the first pixel's value: a mean far
/// from zero costs no precision.
GLOBAL_KERNEL void __launch_bounds__(256)
    moments(const storage* __restrict__ x, long long pixels, int h, int w, int pitch,
            long long image, int channels, float* __restrict__ partials) {
  const Place p = place(channels);
  float sum[VECTOR] = {};
  float squares[VECTOR] = {};
  if (!p.idle) {
    float pivot[VECTOR];
    load<VECTOR>(x + p.channel, pivot);
    const long long step = (long long)gridDim.x * p.rows;
#pragma unroll 4
    for (long long i = (long long)blockIdx.x * p.rows + p.row; i < pixels; i += step) {
      float value[VECTOR];
      load<VECTOR>(x + spot(i, h, w, pitch, image) * channels + p.channel, value);
      for (int k = 0; k < VECTOR; ++k) {
        const float d = value[k] - pivot[k];
        sum[k] += d;
        squares[k] += d * d;
      }
    }
  }
  add_up(p, sum, squares, channels, partials);
}

/// Both totals of a channel over the blocks, for the thread that has slice 0; 32 channels × 8
/// slices a block.
__device__ inline bool totals(const float* partials, int blocks, int channels, double& first,
                              double& second, int& channel) {
  __shared__ double sums[2 * 256];
  channel = (int)blockIdx.x * 32 + (int)threadIdx.x % 32;
  const int slice = (int)threadIdx.x / 32;
  first = second = 0;
  if (channel < channels) {
    for (int b = slice; b < blocks; b += 8) {
      first += partials[(long long)b * 2 * channels + channel];
      second += partials[((long long)b * 2 + 1) * channels + channel];
    }
  }
  sums[threadIdx.x] = first;
  sums[256 + threadIdx.x] = second;
  __syncthreads();
  if (slice != 0 || channel >= channels) return false;
  for (int s = 1; s < 8; ++s) {
    first += sums[s * 32 + threadIdx.x];
    second += sums[256 + s * 32 + threadIdx.x];
  }
  return true;
}

/// From moments to `stats`: [4][channels] of mean, 1/σ, scale and shift; and the moving statistics,
/// with the biased variance, as Keras. `bias`: of the convolution in front, or null.
GLOBAL_KERNEL void __launch_bounds__(256)
    finish_moments(const storage* x, const float* partials, int blocks, long long pixels,
                   int channels, const float* gamma, const float* beta, const float* bias,
                   float epsilon, float fresh, float* moving_mean, float* moving_variance,
                   float* stats) {
  double sum, squares;
  int c;
  if (!totals(partials, blocks, channels, sum, squares, c)) return;
  const double d = sum / (double)pixels;
  const double mean = (double)to_float(x[c]) + d;
  double variance = squares / (double)pixels - d * d;
  if (variance < 0) variance = 0;
  const float inverse = (float)(1.0 / sqrt(variance + (double)epsilon));
  stats[c] = (float)mean;
  stats[channels + c] = inverse;
  stats[2 * channels + c] = gamma[c] * inverse;
  stats[3 * channels + c] = beta[c] - (float)mean * gamma[c] * inverse;
  const float moved = (float)mean + (bias ? bias[c] : 0.0f);
  moving_mean[c] += fresh * (moved - moving_mean[c]);
  moving_variance[c] += fresh * ((float)variance - moving_variance[c]);
}

/// Scale and shift of the thread's channels.
struct Affine {
  float scale[VECTOR];
  float shift[VECTOR];
};
__device__ inline Affine affine(const float* stats, int channels, int channel) {
  Affine a;
  for (int k = 0; k < VECTOR; ++k) {
    a.scale[k] = stats[2 * channels + channel + k];
    a.shift[k] = stats[3 * channels + channel + k];
  }
  return a;
}

/// A window of pooling: its corner in the input, and which of its four pixels exist.
struct Window {
  long long corner;
  bool right, below;
};
__device__ inline Window window(long long i, int h, int w, int pitch, long long image, int oh,
                                int ow) {
  const unsigned line = (unsigned)i / (unsigned)ow;
  const unsigned n = line / (unsigned)oh;
  const int ox = (int)((unsigned)i - line * (unsigned)ow);
  const int oy = (int)(line - n * (unsigned)oh);
  return {n * image + 2LL * oy * pitch + 2 * ox, 2 * ox + 1 < w, 2 * oy + 1 < h};
}

/// y = pool(activation(x·scale + shift)). `pixels`: of y.
GLOBAL_KERNEL void __launch_bounds__(256)
    norm_forward(const storage* __restrict__ x, const float* __restrict__ stats,
                 storage* __restrict__ y, long long pixels, int h, int w, int pitch,
                 long long image, int oh, int ow, int channels) {
  (void)oh;
  (void)ow;
  const Place p = place(channels);
  if (p.idle) return;
  const Affine a = affine(stats, channels, p.channel);
  const long long step = (long long)gridDim.x * p.rows;
#pragma unroll 2
  for (long long i = (long long)blockIdx.x * p.rows + p.row; i < pixels; i += step) {
    float out[VECTOR];
#if POOLING == 0
    float value[VECTOR];
    load<VECTOR>(x + spot(i, h, w, pitch, image) * channels + p.channel, value);
    for (int k = 0; k < VECTOR; ++k) out[k] = activation(value[k] * a.scale[k] + a.shift[k]);
#else
    const Window v = window(i, h, w, pitch, image, oh, ow);
    const storage* from = x + v.corner * channels + p.channel;
    float value[4][VECTOR];
    load<VECTOR>(from, value[0]);
    if (v.right) load<VECTOR>(from + channels, value[1]);
    if (v.below) load<VECTOR>(from + (long long)pitch * channels, value[2]);
    if (v.right && v.below) load<VECTOR>(from + (long long)(pitch + 1) * channels, value[3]);
    const bool exists[4] = {true, v.right, v.below, v.right && v.below};
#if POOLING == 1
    const float share = 1.0f / ((v.right ? 2.0f : 1.0f) * (v.below ? 2.0f : 1.0f));
#endif
    for (int k = 0; k < VECTOR; ++k) {
      float total = 0;
      for (int q = 0; q < 4; ++q) {
        if (!exists[q]) continue;
        const float f = activation(value[q][k] * a.scale[k] + a.shift[k]);
#if POOLING == 1
        total += f;
#else
        total = q == 0 || f > total ? f : total;
#endif
      }
#if POOLING == 1
      out[k] = total * share;
#else
      out[k] = total;
#endif
    }
#endif
    store<VECTOR>(y + i * channels + p.channel, out);
  }
}

#if POOLING
/// x and dL/d(x·scale + shift) of a window's pixels, from dL/dy. Of those that do not exist, 0.
__device__ inline void window_gradient(const storage* x, const storage* grad, const Window& v,
                                       int pitch, int channels, const Affine& a,
                                       float (&value)[4][VECTOR], float (&d)[4][VECTOR]) {
  float g[VECTOR];
  load<VECTOR>(grad, g);
  const storage* from = x + v.corner * channels;
  load<VECTOR>(from, value[0]);
  if (v.right) load<VECTOR>(from + channels, value[1]);
  if (v.below) load<VECTOR>(from + (long long)pitch * channels, value[2]);
  if (v.right && v.below) load<VECTOR>(from + (long long)(pitch + 1) * channels, value[3]);
  const bool exists[4] = {true, v.right, v.below, v.right && v.below};
#if POOLING == 1
  const float share = 1.0f / ((v.right ? 2.0f : 1.0f) * (v.below ? 2.0f : 1.0f));
  for (int q = 0; q < 4; ++q) {
    for (int k = 0; k < VECTOR; ++k) {
      if (!exists[q]) value[q][k] = 0;
      d[q][k] = exists[q] ? g[k] * share * slope(value[q][k] * a.scale[k] + a.shift[k]) : 0.0f;
    }
  }
#else
  for (int k = 0; k < VECTOR; ++k) {
    int greatest = 0;
    float most = 0;
    for (int q = 0; q < 4; ++q) {
      d[q][k] = 0;
      if (!exists[q]) {
        value[q][k] = 0;
        continue;
      }
      const float f = activation(value[q][k] * a.scale[k] + a.shift[k]);
      if (q == 0 || f > most) {
        most = f;
        greatest = q;
      }
    }
    for (int q = 0; q < 4; ++q) {
      if (q == greatest) d[q][k] = g[k] * slope(value[q][k] * a.scale[k] + a.shift[k]);
    }
  }
#endif
}
#endif

/// Σ dv and Σ dv·(x − mean)/σ by channel, dv being the gradient of the normalized pixel. `pixels`:
/// of y.
GLOBAL_KERNEL void __launch_bounds__(256)
    norm_backward_sums(const storage* __restrict__ x, const float* __restrict__ stats,
                       const storage* __restrict__ grad, float* __restrict__ partials,
                       long long pixels, int h, int w, int pitch, long long image, int oh, int ow,
                       int channels) {
  (void)oh;
  (void)ow;
  const Place p = place(channels);
  float first[VECTOR] = {};
  float second[VECTOR] = {};
  if (!p.idle) {
    const Affine a = affine(stats, channels, p.channel);
    float mean[VECTOR];
    for (int k = 0; k < VECTOR; ++k) mean[k] = stats[p.channel + k];
    const long long step = (long long)gridDim.x * p.rows;
#pragma unroll 2
    for (long long i = (long long)blockIdx.x * p.rows + p.row; i < pixels; i += step) {
#if POOLING == 0
      float value[VECTOR];
      float g[VECTOR];
      load<VECTOR>(x + spot(i, h, w, pitch, image) * channels + p.channel, value);
      load<VECTOR>(grad + i * channels + p.channel, g);
      for (int k = 0; k < VECTOR; ++k) {
        const float d = g[k] * slope(value[k] * a.scale[k] + a.shift[k]);
        first[k] += d;
        second[k] += d * (value[k] - mean[k]);
      }
#else
      float value[4][VECTOR];
      float d[4][VECTOR];
      window_gradient(x + p.channel, grad + i * channels + p.channel,
                      window(i, h, w, pitch, image, oh, ow), pitch, channels, a, value, d);
      for (int q = 0; q < 4; ++q) {
        for (int k = 0; k < VECTOR; ++k) {
          first[k] += d[q][k];
          second[k] += d[q][k] * (value[q][k] - mean[k]);
        }
      }
#endif
    }
    for (int k = 0; k < VECTOR; ++k) second[k] *= stats[channels + p.channel + k];
  }
  add_up(p, first, second, channels, partials);
}

/// From those sums to the gradients of gamma and beta, and to `factors`, [3][channels], with which
/// dL/dx = dv·factors[0] + x·factors[1] + factors[2]. `pixels`: of x.
GLOBAL_KERNEL void __launch_bounds__(256)
    finish_backward(const float* partials, int blocks, long long pixels, int channels,
                    const float* stats, float* d_gamma, float* d_beta, float* factors) {
  double first, second;
  int c;
  if (!totals(partials, blocks, channels, first, second, c)) return;
  d_beta[c] = (float)first;
  d_gamma[c] = (float)second;
  const double mean = stats[c];
  const double inverse = stats[channels + c];
  const double scale = stats[2 * channels + c];
  const double by_x = -scale * inverse * second / (double)pixels;
  factors[c] = (float)scale;
  factors[channels + c] = (float)by_x;
  factors[2 * channels + c] = (float)(-scale * first / (double)pixels - by_x * mean);
}

/// dL/dx, laid out as x. `pixels`: of y.
GLOBAL_KERNEL void __launch_bounds__(256)
    norm_backward(const storage* __restrict__ x, const float* __restrict__ stats,
                  const float* __restrict__ factors, const storage* __restrict__ grad,
                  storage* __restrict__ dx, long long pixels, int h, int w, int pitch,
                  long long image, int oh, int ow, int channels) {
  (void)oh;
  (void)ow;
  const Place p = place(channels);
  if (p.idle) return;
  const Affine a = affine(stats, channels, p.channel);
  float by_d[VECTOR], by_x[VECTOR], constant[VECTOR];
  for (int k = 0; k < VECTOR; ++k) {
    by_d[k] = factors[p.channel + k];
    by_x[k] = factors[channels + p.channel + k];
    constant[k] = factors[2 * channels + p.channel + k];
  }
  const long long step = (long long)gridDim.x * p.rows;
#pragma unroll 2
  for (long long i = (long long)blockIdx.x * p.rows + p.row; i < pixels; i += step) {
#if POOLING == 0
    float value[VECTOR];
    float g[VECTOR];
    float out[VECTOR];
    const long long here = spot(i, h, w, pitch, image) * channels + p.channel;
    load<VECTOR>(x + here, value);
    load<VECTOR>(grad + i * channels + p.channel, g);
    for (int k = 0; k < VECTOR; ++k) {
      const float d = g[k] * slope(value[k] * a.scale[k] + a.shift[k]);
      out[k] = d * by_d[k] + value[k] * by_x[k] + constant[k];
    }
    store<VECTOR>(dx + here, out);
#else
    float value[4][VECTOR];
    float d[4][VECTOR];
    const Window v = window(i, h, w, pitch, image, oh, ow);
    window_gradient(x + p.channel, grad + i * channels + p.channel, v, pitch, channels, a, value,
                    d);
    storage* to = dx + v.corner * channels + p.channel;
    for (int q = 0; q < 4; ++q) {
      if ((q % 2 == 1 && !v.right) || (q / 2 == 1 && !v.below)) continue;
      float out[VECTOR];
      for (int k = 0; k < VECTOR; ++k) {
        out[k] = d[q][k] * by_d[k] + value[q][k] * by_x[k] + constant[k];
      }
      store<VECTOR>(to + (long long)((q / 2) * pitch + q % 2) * channels, out);
    }
#endif
  }
}
