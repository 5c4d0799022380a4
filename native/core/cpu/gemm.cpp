#include "core/cpu/gemm.h"

#include <ATen/ATen.h>

// The BLAS inside libtorch_cpu. Weak: a libtorch built with another one still loads, and takes the
// slower way below.
extern "C" {
__attribute__((weak)) void gemm_bf16bf16f32_(const char* transa, const char* transb, const int* m,
                                             const int* n, const int* k, const float* alpha,
                                             const flexae::Bf16* a, const int* lda,
                                             const flexae::Bf16* b, const int* ldb,
                                             const float* beta, float* c, const int* ldc);
}

namespace flexae {
namespace {

at::Tensor matrix(const void* data, int64_t rows, int64_t columns, int64_t ld, bool transposed,
                  at::ScalarType type) {
  const at::Tensor stored =
      at::from_blob(const_cast<void*>(data),
                    {transposed ? columns : rows, transposed ? rows : columns}, {ld, 1}, type);
  return transposed ? stored.t() : stored;
}

}  // namespace

void gemm_bf16(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const Bf16* a,
               int64_t lda, const Bf16* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  if (&gemm_bf16bf16f32_ == nullptr) {
    return gemm_bf16_by_aten(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc);
  }
  // BLAS is column-major: the transposed product, with the factors exchanged.
  const int mm = static_cast<int>(n);
  const int nn = static_cast<int>(m);
  const int kk = static_cast<int>(k);
  const int la = static_cast<int>(lda);
  const int lb = static_cast<int>(ldb);
  const int lc = static_cast<int>(ldc);
  const float one = 1.0F;
  gemm_bf16bf16f32_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &mm, &nn, &kk, &one, b, &lb,
                    a, &la, &beta, c, &lc);
}

void gemm_bf16_by_aten(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                       const Bf16* a, int64_t lda, const Bf16* b, int64_t ldb, float beta, float* c,
                       int64_t ldc) {
  at::Tensor out = matrix(c, m, n, ldc, false, at::kFloat);
  // A product of bf16 would be rounded to bf16 at the end. As fp32 the factors are the same, and
  // their products exact.
  const at::Tensor product =
      at::mm(matrix(a, m, k, lda, transpose_a, at::kBFloat16).to(at::kFloat),
             matrix(b, k, n, ldb, transpose_b, at::kBFloat16).to(at::kFloat));
  if (beta == 0.0F) {
    out.copy_(product);
  } else {
    out.mul_(beta).add_(product);
  }
}

}  // namespace flexae
