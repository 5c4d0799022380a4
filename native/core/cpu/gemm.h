#pragma once

#include <cstdint>

#include "core/cpu/kernels/kernels.h"

namespace flexae {

/// C (m×n) = op(A)·op(B) + beta·C, row-major; op transposes where the flag is set. The factors are
/// bf16; sums are fp32 and are not rounded. `ld*` are row lengths of the matrices as stored. Runs
/// on the calling thread when called inside a parallel region.
void gemm_bf16(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const Bf16* a,
               int64_t lda, const Bf16* b, int64_t ldb, float beta, float* c, int64_t ldc);

/// The same without the BLAS inside libtorch, for a libtorch whose BLAS has no such product:
/// slower, since the factors are widened first.
void gemm_bf16_by_aten(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                       const Bf16* a, int64_t lda, const Bf16* b, int64_t ldb, float beta, float* c,
                       int64_t ldc);

}  // namespace flexae
