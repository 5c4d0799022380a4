#include "addon/handles/run_folder.h"

#include <memory>
#include <string>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "core/files/folder_lock.h"
#include "core/train/checkpoint/checkpoint.h"

namespace flexae::addon {

Napi::Value read_checkpoint(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::string path = to_text(info[0], "path");
    return Task<Checkpoint>::run(
        env,
        [path] {
          Checkpoint checkpoint = flexae::read_checkpoint(path);
          // Verified; only what describes them crosses over.
          for (NamedTensors* tensors : {&checkpoint.snapshot.model, &checkpoint.snapshot.best,
                                        &checkpoint.snapshot.slots}) {
            tensors->clear();
          }
          return checkpoint;
        },
        [](Napi::Env env, Checkpoint& checkpoint) -> Napi::Value {
          const TrainingState& state = checkpoint.snapshot.state;
          Napi::Array history = Napi::Array::New(env, state.history.size());
          for (uint32_t i = 0; i < state.history.size(); ++i) {
            history.Set(i, to_js(env, state.history[i]));
          }
          Napi::Object object = Napi::Object::New(env);
          object.Set("epoch", static_cast<double>(state.epoch));
          object.Set("batch", static_cast<double>(state.progress.batch));
          object.Set("bestEpoch", static_cast<double>(state.best_epoch));
          object.Set("configJson", checkpoint.config_json);
          object.Set("settingsJson", checkpoint.settings_json);
          object.Set("history", history);
          return object;
        });
  });
}

Napi::Value lock_folder(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto lock = std::make_shared<std::unique_ptr<FolderLock>>(
        std::make_unique<FolderLock>(to_text(info[0], "path")));
    Napi::Object handle = Napi::Object::New(env);
    handle.Set("release", Napi::Function::New(
                              env, [lock](const Napi::CallbackInfo& /*info*/) { lock->reset(); }));
    return handle;
  });
}

Napi::Value is_folder_held(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    return Napi::Boolean::New(env, FolderLock::is_held(to_text(info[0], "path")));
  });
}

}  // namespace flexae::addon
