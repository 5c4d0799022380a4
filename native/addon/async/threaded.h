#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "addon/async/worker.h"
#include "core/base/error.h"

namespace flexae::addon {

/// A T that several calls may want at once, and that may be disposed of meanwhile. It lives on a
/// thread of its own.
template <typename T>
class Threaded {
 public:
  /// `make` runs on the thread; throws what it throws. `name` begins the message of a use after
  /// dispose(), as in "The model".
  Threaded(std::string name, const std::function<std::unique_ptr<T>()>& make)
      : name_(std::move(name)) {
    call<void>([&] { object_ = make(); });
  }

  /// Waits for `use`, one at a time; throws what it throws, and Error(kDisposed).
  template <typename R>
  R with(const std::function<R(T&)>& use) {
    return call<R>([&] { return use(*object_); });
  }

  /// Does not wait. `use` must not throw. False after dispose().
  bool post(std::function<void(T&)> use) {
    return worker_.post([this, use = std::move(use)] { use(*object_); });
  }

  /// Runs `use` on the calling thread, once what was called before is done. `use` must not throw.
  /// False after dispose().
  bool run(const std::function<void(T&)>& use) {
    return worker_.run([&] { use(*object_); });
  }

  /// Does not wait for what was called before, which still finds the object.
  void dispose() {
    worker_.close([this] { object_.reset(); });
  }

  /// Waits for the call under way; those behind it are dropped.
  void stop() { worker_.stop(); }

  /// The message of a use after dispose().
  [[nodiscard]] std::string gone() const { return name_ + " has been disposed of."; }

 private:
  template <typename R>
  R call(const std::function<R()>& work) {
    std::packaged_task<R()> task(work);
    std::future<R> result = task.get_future();
    if (!worker_.post([&task] { task(); })) {
      throw Error(ErrorCode::kDisposed, gone());
    }
    return result.get();
  }

  std::string name_;
  std::unique_ptr<T> object_;
  Worker worker_;  ///< Ends before what it works on.
};

}  // namespace flexae::addon
