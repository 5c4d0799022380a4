#include "data/containers/inflate.h"

#include <zlib.h>

#include <array>
#include <new>

#ifdef FLEXAE_LIBDEFLATE
#include <libdeflate.h>

#include <memory>
#endif

namespace flexae {
namespace {

/// zlib's state, which is more than a small image.
class ZlibStream {
 public:
  static ZlibStream& of_this_thread() {
    thread_local ZlibStream stream;
    return stream;
  }

  ZlibStream() {
    if (::inflateInit2(&stream_, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~ZlibStream() { ::inflateEnd(&stream_); }
  ZlibStream(const ZlibStream&) = delete;
  ZlibStream& operator=(const ZlibStream&) = delete;

  bool inflate(std::span<const uint8_t> in, std::span<uint8_t> out) {
    if (::inflateReset(&stream_) != Z_OK) return false;
    stream_.next_in = const_cast<Bytef*>(in.data());  // NOLINT: zlib only reads it
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    return ::inflate(&stream_, Z_FINISH) == Z_STREAM_END && stream_.avail_out == 0;
  }

 private:
  z_stream stream_ = {};
};

#ifdef FLEXAE_LIBDEFLATE
bool inflate_by_libdeflate(std::span<const uint8_t> in, std::span<uint8_t> out) {
  constexpr auto kFree = [](libdeflate_decompressor* of) { libdeflate_free_decompressor(of); };
  thread_local std::unique_ptr<libdeflate_decompressor, decltype(kFree)> decompressor;
  if (!decompressor) decompressor.reset(libdeflate_alloc_decompressor());
  if (!decompressor) throw std::bad_alloc();
  // Without a place for the number of bytes, less than asked for is an error as well as more.
  return libdeflate_deflate_decompress(decompressor.get(), in.data(), in.size(), out.data(),
                                       out.size(), nullptr) == LIBDEFLATE_SUCCESS;
}
#endif

}  // namespace

std::span<const Inflater> inflaters() {
#ifdef FLEXAE_LIBDEFLATE
  static constexpr std::array kAll = {Inflater::kLibdeflate, Inflater::kZlib};
#else
  static constexpr std::array kAll = {Inflater::kZlib};
#endif
  return kAll;
}

bool inflate_raw(std::span<const uint8_t> in, std::span<uint8_t> out) {
  return inflate_by(inflaters().front(), in, out);
}

bool inflate_by(Inflater by, std::span<const uint8_t> in, std::span<uint8_t> out) {
#ifdef FLEXAE_LIBDEFLATE
  if (by == Inflater::kLibdeflate) return inflate_by_libdeflate(in, out);
#endif
  static_cast<void>(by);
  return ZlibStream::of_this_thread().inflate(in, out);
}

uint32_t zip_crc(std::span<const uint8_t> bytes) {
#ifdef FLEXAE_LIBDEFLATE
  return libdeflate_crc32(0, bytes.data(), bytes.size());
#else
  return static_cast<uint32_t>(::crc32_z(0, bytes.data(), bytes.size()));
#endif
}

}  // namespace flexae
