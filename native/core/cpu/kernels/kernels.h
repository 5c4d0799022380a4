#pragma once

#include <cstdint>

#include "core/cpu/kernels/bf16.h"
#include "core/cpu/kernels/elementwise.h"
#include "core/cpu/kernels/images.h"
#include "core/cpu/kernels/loss.h"
#include "core/cpu/kernels/norm.h"
#include "core/cpu/kernels/optimizers.h"
#include "core/cpu/kernels/pooling.h"
#include "core/cpu/kernels/products.h"
#include "core/cpu/kernels/winograd.h"

namespace flexae {

/// Loops over values that are stored as T, fp32 or bf16, and computed with in fp32. Narrowing
/// rounds to the nearest, ties to even. Where a function says "wide" the result, or what it is
/// "of", is fp32 in memory.
template <typename T>
struct ValueKernels {
  ProductKernels<T> products;
  NormKernels<T> norm;
  Winograd2dKernels<T> winograd_2d;
  ElementwiseKernels<T> elementwise;
  UnpoolingKernels<T> unpooling;
};

/// The inner loops of training on a CPU, a table a family, compiled once for each instruction set.
/// All arrays are contiguous.
struct Kernels {
  const char* name;

  /// fp32 values in one register.
  int64_t lanes;

  ValueKernels<float> fp32;
  ValueKernels<Bf16> bf16;
  Winograd1dKernels winograd_1d;
  SumKernels sums;
  PoolingKernels pooling;
  PairKernels pairs;
  ImageKernels images;
  LossKernels loss;
  OptimizerKernels optimizers;
};

/// The set that computes here: the best one for this processor, or the one that FLEXAE_KERNELS in
/// the environment names. Throws Error(kConfig) where it names none that this processor has. What a
/// user begins asks first: from many threads at once is no place to throw.
const Kernels& kernels();
/// Whether FLEXAE_KERNELS names the set. What is in no set, AMX by the BLAS, is then left out too.
bool kernels_are_named();
template <typename T>
const ValueKernels<T>& kernels_of();
template <>
inline const ValueKernels<float>& kernels_of() {
  return kernels().fp32;
}
template <>
inline const ValueKernels<Bf16>& kernels_of() {
  return kernels().bf16;
}

/// The set of that name, or the best one for "". Throws Error(kConfig) that lists the names.
const Kernels& choose_kernels(const char* name);

/// Each set, or null where it was not compiled or the processor lacks the instructions.
const Kernels* baseline_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512bf16_kernels();

}  // namespace flexae
