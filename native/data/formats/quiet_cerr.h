#pragma once

namespace flexae {

/// Drops what this thread writes to std::cerr while it lives. OpenCV writes there of every image
/// that it cannot decode, whatever its log level; those are reported in another way. What other
/// threads write goes where it went.
class QuietCerr {
 public:
  QuietCerr();
  ~QuietCerr();
  QuietCerr(const QuietCerr&) = delete;
  QuietCerr& operator=(const QuietCerr&) = delete;
};

}  // namespace flexae
