#pragma once

#include <cstdint>
#include <span>

#include "data/formats/image_header.h"

namespace flexae {

/// The header of a TIFF; see read_image_header().
[[nodiscard]] HeaderResult read_tiff_header(std::span<const uint8_t> bytes);

}  // namespace flexae
