#pragma once

namespace flexae {

/// Instructions this processor has.
struct CpuFeatures {
  bool avx2 = false;
  bool avx512 = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
};

const CpuFeatures& cpu_features();

/// Hardware threads this process may use (its affinity, not the machine's size).
int available_cores();

}  // namespace flexae
