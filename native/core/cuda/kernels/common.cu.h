// Shared by all kernels of this folder. Such a file is compiled in two ways: by NVRTC at run time,
// for the GPU at hand, and as plain C++ in the tests, after cuda/host_threads.h, which stands in
// for threads and blocks. What a kernel is made for is said by macros:
//
//   STORAGE_BF16  1: activations and their gradients are bf16 in memory; 0: fp32
//
// Everything is computed in fp32. No header may be included: NVRTC comes without any.

/// What begins a kernel. As plain C++ several versions of one live side by side in namespaces.
#ifndef GLOBAL_KERNEL
#define GLOBAL_KERNEL extern "C" __global__
/// Memory of a block for loads of 16 bytes.
#define ALIGNED_SHARED __shared__ __align__(16)
#endif

#if STORAGE_BF16
typedef unsigned short storage;  // The bits.
#else
typedef float storage;
#endif

/// Values of a vector load or store: 16 bytes where the count allows.
template <int N>
struct alignas(N * sizeof(storage) < 16 ? N * sizeof(storage) : 16) Packed {
  storage values[N];
};

__device__ inline float bits_to_float(unsigned bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

__device__ inline unsigned float_to_bits(float value) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(value);
#else
  unsigned bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}

__device__ inline float to_float(unsigned short bits) {
  return bits_to_float((unsigned)bits << 16);
}
__device__ inline float to_float(float value) {
  return value;
}

/// To nearest, ties to even, as PyTorch; NaN stays NaN.
__device__ inline void from_float(float value, unsigned short& out) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out) : "f"(value));
#else
  const unsigned bits = float_to_bits(value);
  out = value != value ? (unsigned short)0x7fc0
                       : (unsigned short)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
}
__device__ inline void from_float(float value, float& out) {
  out = value;
}

template <int N>
__device__ inline void load(const storage* from, float (&values)[N]) {
  const Packed<N> packed = *reinterpret_cast<const Packed<N>*>(from);
  for (int i = 0; i < N; ++i) values[i] = to_float(packed.values[i]);
}

template <int N>
__device__ inline void store(storage* to, const float (&values)[N]) {
  Packed<N> packed;
  for (int i = 0; i < N; ++i) from_float(values[i], packed.values[i]);
  *reinterpret_cast<Packed<N>*>(to) = packed;
}
