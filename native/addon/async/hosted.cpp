#include "addon/async/hosted.h"

namespace flexae::addon {
namespace {

void deliver(Napi::Env env, Napi::Function /*callback*/, Settler* settler, Settler::Call* call) {
  // Null while the environment is being torn down.
  if (env != nullptr) settler->settle(env, call);
}

}  // namespace

Settler::Channel Settler::channel(Napi::Env env) {
  // `deliver` is a parameter of the template, and so in the one file that needs it.
  return Channel(Napi::TypedThreadSafeFunction<Settler, Call, deliver>::New(
      env, "flexible-autoencoder model", 0, 1, this));
}

}  // namespace flexae::addon
