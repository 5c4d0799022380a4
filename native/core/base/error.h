#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace flexae {

/// What went wrong; reaches JavaScript as the error's `code` (`FLEXAE_CONFIG`, ...).
enum class ErrorCode {
  kConfig,
  kData,
  kIo,
  kModel,
  kMemory,
  kNan,
  kDisposed,
  kProcess,  ///< Another process of the training failed, or cannot be reached.
  kInternal
};

/// An error with one or two lines of message that name the thing and the remedy.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace flexae
