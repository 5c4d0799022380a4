#pragma once

#include <cstdint>
#include <span>

#include "data/formats/image_header.h"

namespace flexae {

/// The header of a BMP; see read_image_header().
[[nodiscard]] HeaderResult read_bmp_header(std::span<const uint8_t> bytes);

}  // namespace flexae
