#pragma once

#include <napi.h>

#include <memory>

#include "core/comm/process_group.h"

namespace flexae::addon {

/// joinProcesses() of ts/addon/types.ts: a promise of a handle, once all processes are there.
Napi::Value join_processes(const Napi::CallbackInfo& info);

/// The group of such a handle; null for undefined.
std::shared_ptr<ProcessGroup> to_process_group(const Napi::Value& handle);

}  // namespace flexae::addon
