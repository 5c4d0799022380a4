#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace flexae::addon {

/// An array of JavaScript's as a tensor that reads its memory, and what keeps that there.
struct Viewed {
  at::Tensor tensor;
  std::shared_ptr<void> kept;
};

/// A Float32Array as N×D numbers. \param columns  D, a number of JavaScript's. Throws
/// Error(kConfig) if it is none, or D does not divide its length.
Viewed view_floats(const Napi::Value& value, const Napi::Value& columns, const char* name);

/// An Int32Array. Throws Error(kConfig) if it is none.
Viewed view_labels(const Napi::Value& value, const char* name);

/// A Float64Array as a tensor of its own. Throws Error(kConfig) if it is none.
at::Tensor copy_doubles(const Napi::Value& value, const char* name);

}  // namespace flexae::addon
