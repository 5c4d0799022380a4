#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "analysis/quads.h"
#include "analysis/umap_layout.h"
#include "core/base/math.h"

namespace flexae {

/// Moves single points of a map by the forces that others exert. Positions lie one after the other,
/// each filled up with zeros to whole quads. \tparam Q  quads a position, or 0 for any number.
template <int Q>
class MapMover {
 public:
  /// There are `count` points that may be drawn to repel.
  MapMover(const LayoutOptions& options, int64_t count, int64_t quads)
      : count_(static_cast<uint64_t>(count)),
        quads_(static_cast<int>(quads)),
        negatives_(options.negative_samples),
        a_(static_cast<float>(options.curve.a)),
        b_(static_cast<float>(options.curve.b)),
        attraction_(static_cast<float>(-2 * options.curve.a * options.curve.b)),
        repulsion_(static_cast<float>(2 * options.repulsion * options.curve.b)) {}

  /// Room that draw_for() and move() need beyond the attracting points, for `samples` draws.
  [[nodiscard]] int64_t room(int64_t samples) const { return samples * negatives_ + kAtOnce; }

  /// Draws the points of `others` that repel one: writes them behind the `count` that attract it,
  /// and lets all of them come from memory. They are drawn `samples` times, by numbers
  /// from `state`. \return how many points attract or repel.
  int64_t draw_for(int32_t* points, int64_t count, int64_t samples, uint64_t state,
                   const float* others) const {
    const int64_t all = count + samples * negatives_;
    // What is beyond them has no force, but is read.
    const int64_t end = count + round_up(all - count + kAtOnce - 1, 2);
    for (int64_t i = count; i < end; i += 2) {
      const uint64_t bits = next_bits(state);
      points[i] = static_cast<int32_t>((bits & 0xffffffff) * count_ >> 32);
      points[i + 1] = static_cast<int32_t>((bits >> 32) * count_ >> 32);
    }
    for (int64_t i = 0; i < all; ++i) {
      const float* position = others + points[i] * stride();
      __builtin_prefetch(position);
      __builtin_prefetch(position + stride() - 1);
    }
    return all;
  }

  /// Moves the point at `from` to `to`, by `rate` times the force on it at `from`.
  /// The `points` are of `others`: `attracting` that attract it, and up to `all` that repel it.
  void move(const float* from, float* to, const float* others, const int32_t* points,
            int64_t attracting, int64_t all, float rate) const {
    Quad place[kMostQuads];
    Quad force[kMostQuads];
    for (int q = 0; q < quads(); ++q) place[q] = load(from + 4 * q);
    for (int q = 0; q < quads(); ++q) force[q] = Quad{};
    const float* lanes[kAtOnce];
    const auto add = [&](int64_t i, auto groups) {
      constexpr int kGroups = decltype(groups)::value;
      for (int l = 0; l < 4 * kGroups; ++l) lanes[l] = others + points[i + l] * stride();
      add_forces<kGroups>(place, lanes, attracting - i, all - i, force);
    };
    int64_t i = 0;
    for (; all - i > 4; i += 8) add(i, std::integral_constant<int, 2>());
    if (i < all) add(i, std::integral_constant<int, 1>());
    for (int q = 0; q < quads(); ++q) store(to + 4 * q, place[q] + rate * force[q]);
  }

 private:
  static constexpr int64_t kAtOnce = 8;  // points whose forces are computed together
  static constexpr int kMostQuads = Q > 0 ? Q : static_cast<int>(kMostMapDimensions) / 4;
  static constexpr float kLeastSquare = 1e-30F;  // points nearer than this lie in one place
  static constexpr float kGreatestForce = 4;     // along a coordinate, as in umap-learn
  static constexpr float kSoftening = 0.001F;    // so that repulsion stays finite, as there

  [[nodiscard]] int quads() const { return Q > 0 ? Q : quads_; }
  [[nodiscard]] int64_t stride() const { return int64_t{4} * quads(); }

  static Quad load(const float* from) { return *reinterpret_cast<const Quad*>(from); }
  static void store(float* to, Quad values) { *reinterpret_cast<Quad*>(to) = values; }

  /// Which of four lanes are among the first `count`.
  static IntQuad first_of(int64_t count) {
    const auto n = static_cast<int32_t>(std::clamp<int64_t>(count, 0, 4));
    return IntQuad{0, 1, 2, 3} < n;
  }

  static uint64_t next_bits(uint64_t& state) {
    // SplitMix64
    uint64_t x = state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }

  /// Adds the forces of a few groups of four points on one at `place`. \param attracting  how many
  /// of the first attract, where others repel. \param count  how many have a force at all.
  template <int groups>
  [[gnu::always_inline]] inline void add_forces(const Quad* place, const float* const* lanes,
                                                int64_t attracting, int64_t count,
                                                Quad* force) const {
    Quad squares[groups];
    for (int g = 0; g < groups; ++g) {
      Quad parts[4];
      for (int l = 0; l < 4; ++l) {
        parts[l] = Quad{};
        for (int q = 0; q < quads(); ++q) {
          const Quad difference = place[q] - load(lanes[4 * g + l] + 4 * q);
          parts[l] += difference * difference;
        }
      }
      squares[g] = sums_of(parts[0], parts[1], parts[2], parts[3]);
    }
    // What a difference is multiplied with: the derivative of the cross entropy.
    Quad powers[groups];
    for (int g = 0; g < groups; ++g) powers[g] = squares[g];
    raise_to<groups>(b_, powers);
    Quad factors[groups];
    IntQuad long_forces{};
    for (int g = 0; g < groups; ++g) {
      const IntQuad attracts = first_of(attracting - 4 * g);
      const IntQuad counts = first_of(count - 4 * g) & (squares[g] > kLeastSquare);
      const Quad above = attracts ? attraction_ * powers[g] : all_of(repulsion_);
      const Quad below =
          (attracts ? squares[g] : squares[g] + kSoftening) * (1.0F + a_ * powers[g]);
      factors[g] = counts ? above / below : Quad{};
      // Where no force is too long, none of its coordinates is.
      long_forces |= factors[g] * factors[g] * squares[g] > kGreatestForce * kGreatestForce;
    }
    const bool limited = any_of(long_forces);
    for (int g = 0; g < groups; ++g) {
      if (limited) {
        add_scaled<true>(place, lanes + 4 * g, factors[g], force);
      } else {
        add_scaled<false>(place, lanes + 4 * g, factors[g], force);
      }
    }
  }

  template <bool limited>
  void add_scaled(const Quad* place, const float* const* lanes, Quad factors, Quad* force) const {
    for (int l = 0; l < 4; ++l) {
      const Quad factor = all_of(factors[l]);
      for (int q = 0; q < quads(); ++q) {
        Quad part = factor * (place[q] - load(lanes[l] + 4 * q));
        if (limited) {
          part = part > kGreatestForce ? all_of(kGreatestForce) : part;
          part = part < -kGreatestForce ? all_of(-kGreatestForce) : part;
        }
        force[q] += part;
      }
    }
  }

  uint64_t count_;
  int quads_;
  int64_t negatives_;
  float a_;
  float b_;
  float attraction_;
  float repulsion_;
};

}  // namespace flexae
