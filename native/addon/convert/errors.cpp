#include "addon/convert/errors.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>
#include <system_error>

namespace flexae::addon {
namespace {

const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kConfig:
      return "FLEXAE_CONFIG";
    case ErrorCode::kData:
      return "FLEXAE_DATA";
    case ErrorCode::kIo:
      return "FLEXAE_IO";
    case ErrorCode::kModel:
      return "FLEXAE_MODEL";
    case ErrorCode::kMemory:
      return "FLEXAE_MEMORY";
    case ErrorCode::kNan:
      return "FLEXAE_NAN";
    case ErrorCode::kDisposed:
      return "FLEXAE_DISPOSED";
    case ErrorCode::kProcess:
      return "FLEXAE_PROCESS";
    case ErrorCode::kInternal:
      return "FLEXAE_INTERNAL";
  }
  return "FLEXAE_INTERNAL";
}

Failure out_of_memory() {
  return {ErrorCode::kMemory,
          "Memory ran out.\nUse a smaller batch_size, smaller images or fewer filters; "
          "'flexae summary' estimates what a training takes."};
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

Failure current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const c10::OutOfMemoryError&) {
    return out_of_memory();
  } catch (const c10::Error& error) {
    const std::string_view text = error.what_without_backtrace();
    // The CPU's allocator has no exception type of its own.
    if (text.find("can't allocate memory") != std::string_view::npos) return out_of_memory();
    return {ErrorCode::kInternal, "libtorch: " + first_line(text)};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, first_line(error.what())};
  } catch (...) {
    return {ErrorCode::kInternal, "an unknown error"};
  }
}

Napi::Error to_js(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, code_name(failure.code)));
  return error;
}

}  // namespace flexae::addon
