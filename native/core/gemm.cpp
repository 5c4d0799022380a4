#include "core/gemm.h"

#include <ATen/ATen.h>

// The BLAS inside libtorch_cpu. Weak: a libtorch built without one still loads, and takes the
// slower way below.
extern "C" __attribute__((weak)) void sgemm_(const char* transa, const char* transb, const int* m,
                                             const int* n, const int* k, const float* alpha,
                                             const float* a, const int* lda, const float* b,
                                             const int* ldb, const float* beta, float* c,
                                             const int* ldc);

namespace flexae {
namespace {

at::Tensor matrix(const float* data, int64_t rows, int64_t columns, int64_t ld, bool transposed) {
  const at::Tensor stored = at::from_blob(const_cast<float*>(data),
                                          {transposed ? columns : rows, transposed ? rows : columns},
                                          {ld, 1}, at::kFloat);
  return transposed ? stored.t() : stored;
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  if (sgemm_ != nullptr) {
    // BLAS is column-major: the transposed product, with the factors exchanged.
    const int mm = static_cast<int>(n);
    const int nn = static_cast<int>(m);
    const int kk = static_cast<int>(k);
    const int la = static_cast<int>(lda);
    const int lb = static_cast<int>(ldb);
    const int lc = static_cast<int>(ldc);
    const float one = 1.0F;
    sgemm_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &mm, &nn, &kk, &one, b, &lb, a, &la,
           &beta, c, &lc);
    return;
  }
  at::Tensor out = matrix(c, m, n, ldc, false);
  at::addmm_out(out, out, matrix(a, m, k, lda, transpose_a), matrix(b, k, n, ldb, transpose_b), beta,
                1.0);
}

}  // namespace flexae
