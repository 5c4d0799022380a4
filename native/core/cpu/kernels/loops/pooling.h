#pragma once

// Loops of PoolingKernels and UnpoolingKernels.

#include <cstdint>

#include "core/cpu/kernels/loops/simd.h"
#include "core/cpu/kernels/pooling.h"

namespace flexae {
namespace {

using ByteLanes [[gnu::vector_size(kLanes), gnu::aligned(1), gnu::may_alias]] = uint8_t;

/// Integers as wide as F, one for each value.
template <typename F>
struct PlacesOf {
  using Type = IntLanes;
};
template <>
struct PlacesOf<float> {
  using Type = int32_t;
};

inline void put_places(uint8_t* to, int32_t places) {
  *to = static_cast<uint8_t>(places);
}
inline void put_places(uint8_t* to, IntLanes places) {
  const ByteLanes narrow = __builtin_convertvector(places, ByteLanes);
  __builtin_memcpy(to, &narrow, sizeof narrow);
}

template <typename F>
inline typename PlacesOf<F>::Type get_places(const uint8_t* from) {
  if constexpr (sizeof(F) == sizeof(float)) {
    return *from;
  } else {
    ByteLanes narrow;
    __builtin_memcpy(&narrow, from, sizeof narrow);
    return __builtin_convertvector(narrow, IntLanes);
  }
}

void average_rows(const float* a, const float* b, float* out, int64_t width, int64_t channels,
                  float weight) {
  for (int64_t x = 0; x < width; ++x) {
    const float* pa = a + 2 * x * channels;
    const float* pb = b + 2 * x * channels;
    float* po = out + x * channels;
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      po[c] = (pa[c] + pa[c + channels] + pb[c] + pb[c + channels]) * weight;
    }
  }
}

/// kWhich: whether places are wanted.
template <bool kWhich>
void maximum_rows_of(const float* a, const float* b, float* out, uint8_t* which, int64_t width,
                     int64_t channels) {
  for (int64_t x = 0; x < width; ++x, a += 2 * channels, b += 2 * channels, out += channels) {
    cover_by_registers(channels, [&]<typename F>(F, int64_t c) {
      typename PlacesOf<F>::Type places{};
      F greatest = get<F>(a + c);
      const auto meet = [&](F value, int32_t place) {
        // NaN goes through, as in PyTorch: the last one's place.
        // NOLINTNEXTLINE(misc-redundant-expression): of registers, too
        const auto better = value > greatest || value != value;
        greatest = better ? value : greatest;
        if constexpr (kWhich) {
          places = better ? decltype(places){} + place : places;
        }
      };
      meet(get<F>(a + channels + c), 1);
      meet(get<F>(b + c), 2);
      meet(get<F>(b + channels + c), 3);
      put(out + c, greatest);
      if constexpr (kWhich) put_places(which + x * channels + c, places);
    });
  }
}

void maximum_rows(const float* a, const float* b, float* out, uint8_t* which, int64_t width,
                  int64_t channels) {
  which != nullptr ? maximum_rows_of<true>(a, b, out, which, width, channels)
                   : maximum_rows_of<false>(a, b, out, which, width, channels);
}

template <typename T>
void spread_rows(const T* grad, T* a, T* b, int64_t width, int64_t channels) {
  for (int64_t x = 0; x < width; ++x, grad += channels, a += 2 * channels, b += 2 * channels) {
    for_each_register(channels, [&]<typename F>(F, int64_t c) {
      const F part = 0.25F * get<F>(grad + c);
      put(a + c, part);
      put(a + channels + c, part);
      put(b + c, part);
      put(b + channels + c, part);
    });
  }
}

template <typename T>
void scatter_rows(const T* grad, const uint8_t* which, T* a, T* b, int64_t width,
                  int64_t channels) {
  for (int64_t x = 0; x < width; ++x) {
    cover_by_registers(channels, [&]<typename F>(F, int64_t c) {
      const auto places = get_places<F>(which + c);
      const F whole = get<F>(grad + c);
      const auto give = [&](T* to, int32_t place) { put(to, places == place ? whole : F{}); };
      give(a + c, 0);
      give(a + channels + c, 1);
      give(b + c, 2);
      give(b + channels + c, 3);
    });
    grad += channels;
    which += channels;
    a += 2 * channels;
    b += 2 * channels;
  }
}

constexpr PoolingKernels make_pooling_kernels() {
  return {.average_rows = average_rows, .maximum_rows = maximum_rows};
}

template <typename T>
constexpr UnpoolingKernels<T> make_unpooling_kernels() {
  return {.spread_rows = spread_rows<T>, .scatter_rows = scatter_rows<T>};
}

}  // namespace
}  // namespace flexae
