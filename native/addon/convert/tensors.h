#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/tensor/named_tensors.h"

namespace flexae::addon {

/// The arrays of `given`, name by name, as {values, shape}: those of floats are read where they
/// lie, which `kept` holds, those of doubles are copied. Throws Error(kConfig) naming one whose
/// shape is not of its length.
NamedTensors to_named_tensors(const Napi::Object& given, std::vector<std::shared_ptr<void>>& kept);

}  // namespace flexae::addon
