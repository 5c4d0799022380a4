#include "addon/handles/process_group.h"

#include <string>
#include <vector>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"

namespace flexae::addon {
namespace {

using Group = std::shared_ptr<ProcessGroup>;

JoinOptions to_join_options(const Napi::Object& object) {
  JoinOptions options;
  options.rank = static_cast<int>(get_integer(object, "rank"));
  options.world_size = static_cast<int>(get_integer(object, "worldSize"));
  options.master_address = get_string(object, "masterAddress");
  options.master_port = static_cast<int>(get_integer(object, "masterPort"));
  options.hosts_store = get_boolean(object, "hostsStore");
  options.prefix = get_string(object, "prefix");
  options.join_seconds = get_number(object, "joinSeconds");
  return options;
}

Napi::Value exchange(const Napi::CallbackInfo& info, const Group& group) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const std::string text = to_text(info[0], "text");
    return Task<std::vector<std::string>>::run(
        env, [group, text] { return group->exchange(text); },
        [](Napi::Env env, std::vector<std::string>& texts) -> Napi::Value {
          Napi::Array all = Napi::Array::New(env, texts.size());
          for (uint32_t i = 0; i < texts.size(); ++i) all.Set(i, texts[i]);
          return all;
        });
  });
}

Napi::Value leave(const Napi::CallbackInfo& info, const Group& group) {
  return Task<bool>::run(
      info.Env(),
      [group] {
        group->leave();
        return true;
      },
      [](Napi::Env env, bool& /*done*/) -> Napi::Value { return env.Undefined(); });
}

Napi::Value to_handle(Napi::Env env, const Group& group) {
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("group", Napi::External<Group>::New(env, new Group(group),
                                                 [](Napi::Env, Group* owned) { delete owned; }));
  handle.Set("exchange",
             Napi::Function::New(env, [group](const Napi::CallbackInfo& info) -> Napi::Value {
               return exchange(info, group);
             }));
  handle.Set("fail", Napi::Function::New(env, [group](const Napi::CallbackInfo& info) {
               group->fail(to_text(info[0], "reason"));
             }));
  handle.Set("leave",
             Napi::Function::New(env, [group](const Napi::CallbackInfo& info) -> Napi::Value {
               return leave(info, group);
             }));
  return handle;
}

}  // namespace

Napi::Value join_processes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const JoinOptions options = to_join_options(to_object(info[0], "options"));
    return Task<Group>::run(
        env, [options] { return Group(ProcessGroup::join(options)); },
        [](Napi::Env env, Group& group) { return to_handle(env, group); });
  });
}

std::shared_ptr<ProcessGroup> to_process_group(const Napi::Value& handle) {
  if (handle.IsUndefined() || handle.IsNull()) return nullptr;
  const Napi::Value group = to_object(handle, "processes").Get("group");
  if (!group.IsExternal()) throw Error(ErrorCode::kConfig, "Expected a group for processes");
  return *group.As<Napi::External<Group>>().Data();
}

}  // namespace flexae::addon
