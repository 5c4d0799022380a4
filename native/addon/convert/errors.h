#pragma once

#include <napi.h>

#include <exception>
#include <string>

#include "core/base/error.h"

namespace flexae::addon {

/// Any C++ exception as a code and a short message: libtorch's own run to pages of stack.
struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

/// What the exception being handled is. Call inside a catch block.
Failure current_failure();

/// A JavaScript Error with `code` set.
Napi::Error to_js(Napi::Env env, const Failure& failure);

/// Runs `body` and turns whatever it throws into a JavaScript error.
template <typename F>
auto guarded(Napi::Env env, F&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js(env, current_failure());
  }
}

}  // namespace flexae::addon
