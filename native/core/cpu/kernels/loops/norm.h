#pragma once

// Loops of NormKernels.

#include <cstdint>

#include "core/cpu/kernels/loops/activations.h"
#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/norm.h"

namespace flexae {
namespace {

template <typename F>
struct Affine {
  F scale;
  F shift;
};

template <typename T, typename O>
void affine_activate(const T* x, O* y, int64_t n, const float* scale, const float* shift,
                     int64_t period, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    by_channel(
        n, period,
        [&]<typename F>(F, int64_t c) {
          return Affine<F>{get<F>(scale + c), get<F>(shift + c)};
        },
        [&]<typename F>(int64_t i, const Affine<F>& k) {
          put(y + i, apply<kind, T>(get<F>(x + i) * k.scale + k.shift));
        },
        [](int64_t, const auto&) {});
  });
}

template <typename F>
struct NormSums {
  F scale;
  F shift;
  F center;
  F s1;
  F s2;
};

template <typename T>
void norm_backward_sums(const T* x, const T* dy, int64_t n, const float* scale, const float* shift,
                        const float* center, int64_t period, Activation activation, float* s1,
                        float* s2) {
  dispatch(activation, [&]<Activation kind>() {
    by_channel(
        n, period,
        [&]<typename F>(F, int64_t c) {
          return NormSums<F>{get<F>(scale + c), get<F>(shift + c), get<F>(center + c),
                             get<F>(s1 + c), get<F>(s2 + c)};
        },
        [&]<typename F>(int64_t i, NormSums<F>& k) {
          const F value = get<F>(x + i);
          const F dz = get<F>(dy + i) * slope<kind, T>(value * k.scale + k.shift);
          k.s1 += dz;
          k.s2 += dz * (value - k.center);
        },
        [&](int64_t c, const auto& k) {
          put(s1 + c, k.s1);
          put(s2 + c, k.s2);
        });
  });
}

template <typename F>
struct NormApply {
  F scale;
  F shift;
  F dx_scale;
  F dx_slope;
  F dx_offset;
};

template <typename T>
void norm_backward_apply(const T* x, const T* dy, T* dx, int64_t n, const float* scale,
                         const float* shift, const float* dx_scale, const float* dx_slope,
                         const float* dx_offset, int64_t period, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    by_channel(
        n, period,
        [&]<typename F>(F, int64_t c) {
          return NormApply<F>{get<F>(scale + c), get<F>(shift + c), get<F>(dx_scale + c),
                              get<F>(dx_slope + c), get<F>(dx_offset + c)};
        },
        [&]<typename F>(int64_t i, const NormApply<F>& k) {
          const F value = get<F>(x + i);
          const F dz = get<F>(dy + i) * slope<kind, T>(value * k.scale + k.shift);
          put(dx + i, k.dx_scale * dz + (k.dx_slope * value + k.dx_offset));
        },
        [](int64_t, const auto&) {});
  });
}

/// Calls body(i, mean) for `width` means over 2×2 pixels, of a register of channels from c on: i is
/// where the first pixel under it is in a row, the second is `channels` behind it.
template <typename Body>
inline void under_means(int64_t c, int64_t width, int64_t channels, Body body) {
  for (int64_t x = 0; x < width; ++x) body(2 * x * channels + c, x * channels + c);
}

template <typename T>
void average_activated(const T* a, const T* b, T* out, int64_t width, int64_t channels,
                       const float* scale, const float* shift, Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const Affine<Lanes> k{get<Lanes>(scale + c), get<Lanes>(shift + c)};
      const auto act = [&](const T* x) {
        return apply<kind, T>(get<Lanes>(x) * k.scale + k.shift);
      };
      under_means(c, width, channels, [&](int64_t i, int64_t mean) {
        const Lanes first = act(a + i) + act(a + i + channels);
        const Lanes second = act(b + i) + act(b + i + channels);
        put(out + mean, 0.25F * (first + second));
      });
    }
  });
}

template <typename T>
void averaged_backward_sums(const T* a, const T* b, const T* grad, int64_t width, int64_t channels,
                            const float* scale, const float* shift, const float* center,
                            Activation activation, float* s1, float* s2) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t c = 0; c < channels; c += kLanes) {
      NormSums<Lanes> k{get<Lanes>(scale + c), get<Lanes>(shift + c), get<Lanes>(center + c),
                        get<Lanes>(s1 + c), get<Lanes>(s2 + c)};
      under_means(c, width, channels, [&](int64_t i, int64_t mean) {
        const Lanes dy = 0.25F * get<Lanes>(grad + mean);
        const auto add = [&](const T* x) {
          const Lanes value = get<Lanes>(x);
          const Lanes dz = dy * slope<kind, T>(value * k.scale + k.shift);
          k.s1 += dz;
          k.s2 += dz * (value - k.center);
        };
        add(a + i);
        add(a + i + channels);
        add(b + i);
        add(b + i + channels);
      });
      put(s1 + c, k.s1);
      put(s2 + c, k.s2);
    }
  });
}

template <typename T>
void averaged_backward_apply(const T* a, const T* b, const T* grad, T* da, T* db, int64_t width,
                             int64_t channels, const float* scale, const float* shift,
                             const float* dx_scale, const float* dx_slope, const float* dx_offset,
                             Activation activation) {
  dispatch(activation, [&]<Activation kind>() {
    for (int64_t c = 0; c < channels; c += kLanes) {
      const NormApply<Lanes> k{get<Lanes>(scale + c), get<Lanes>(shift + c),
                               get<Lanes>(dx_scale + c), get<Lanes>(dx_slope + c),
                               get<Lanes>(dx_offset + c)};
      under_means(c, width, channels, [&](int64_t i, int64_t mean) {
        const Lanes dy = 0.25F * k.dx_scale * get<Lanes>(grad + mean);
        const auto one = [&](const T* x, T* dx) {
          const Lanes value = get<Lanes>(x);
          const Lanes dz = dy * slope<kind, T>(value * k.scale + k.shift);
          put(dx, dz + (k.dx_slope * value + k.dx_offset));
        };
        one(a + i, da + i);
        one(a + i + channels, da + i + channels);
        one(b + i, db + i);
        one(b + i + channels, db + i + channels);
      });
    }
  });
}

template <typename F>
struct Moments {
  F center;
  F s1;
  F s2;
};

template <typename T>
void moments(const T* x, int64_t n, const float* center, int64_t period, float* s1, float* s2) {
  by_channel(
      n, period,
      [&]<typename F>(F, int64_t c) {
        return Moments<F>{get<F>(center + c), get<F>(s1 + c), get<F>(s2 + c)};
      },
      [&]<typename F>(int64_t i, Moments<F>& k) {
        const F d = get<F>(x + i) - k.center;
        k.s1 += d;
        k.s2 += d * d;
      },
      [&](int64_t c, const auto& k) {
        put(s1 + c, k.s1);
        put(s2 + c, k.s2);
      });
}

template <typename T>
constexpr NormKernels<T> make_norm_kernels() {
  return {
      .affine_activate = affine_activate<T, T>,
      .affine_activate_wide = affine_activate<T, float>,
      .backward_sums = norm_backward_sums<T>,
      .backward_apply = norm_backward_apply<T>,
      .average_activated = average_activated<T>,
      .averaged_backward_sums = averaged_backward_sums<T>,
      .averaged_backward_apply = averaged_backward_apply<T>,
      .moments = moments<T>,
  };
}

}  // namespace
}  // namespace flexae
