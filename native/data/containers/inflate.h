#pragma once

#include <cstdint>
#include <span>

namespace flexae {

/// Who undoes DEFLATE.
enum class Inflater : uint8_t { kZlib, kLibdeflate };

/// Those that this build has, the fastest first: libdeflate where it was there, and zlib.
[[nodiscard]] std::span<const Inflater> inflaters();

/// Undoes raw DEFLATE (RFC 1951) to exactly `out`; what stands behind its end is left alone. False
/// if it is not that, to the byte: `out` holds anything then. Throws std::bad_alloc.
///
/// Each thread keeps what this needs from one call to the next. Damaged bytes may be something to
/// one inflater and nothing to another: what came out is for a checksum to judge.
[[nodiscard]] bool inflate_raw(std::span<const uint8_t> in, std::span<uint8_t> out);
/// The same by one of them.
[[nodiscard]] bool inflate_by(Inflater by, std::span<const uint8_t> in, std::span<uint8_t> out);

/// The CRC-32 that zip files have.
[[nodiscard]] uint32_t zip_crc(std::span<const uint8_t> bytes);

}  // namespace flexae
