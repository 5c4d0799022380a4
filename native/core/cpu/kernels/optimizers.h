#pragma once

#include <cstdint>

namespace flexae {

/// One step of an optimizer on n parameters p with gradients g; see optimizer.cpp for the formulas.
/// All return whether g holds no infinity and no NaN.
struct OptimizerKernels {
  bool (*sgd)(float* p, const float* g, int64_t n, float lr);
  bool (*adadelta)(float* p, const float* g, float* a, float* d, int64_t n, float lr, float rho,
                   float epsilon);
  /// decay: what p is multiplied with first (AdamW; 1 otherwise).
  bool (*adam)(float* p, const float* g, float* m, float* v, int64_t n, float alpha, float beta1,
               float beta2, float epsilon, float decay);
  bool (*rmsprop)(float* p, const float* g, float* v, int64_t n, float lr, float rho,
                  float epsilon);
  bool (*adagrad)(float* p, const float* g, float* a, int64_t n, float lr, float epsilon);
  /// lr: already divided by 1 − β₁ᵗ.
  bool (*adamax)(float* p, const float* g, float* m, float* u, int64_t n, float lr, float beta1,
                 float beta2, float epsilon);
  /// p −= (m·cm + g·cg) / (√v·cv + ε)
  bool (*nadam)(float* p, const float* g, float* m, float* v, int64_t n, float cm, float cg,
                float cv, float beta1, float beta2, float epsilon);
};

}  // namespace flexae
