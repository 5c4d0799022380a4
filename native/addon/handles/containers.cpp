#include "addon/handles/containers.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "core/base/error.h"
#include "data/containers/container.h"
#include "data/containers/container_file.h"
#include "data/files/cache_folder.h"
#include "data/files/path_text.h"
#include "data/image_file.h"

namespace flexae::addon {
namespace {

using ContainerPointer = std::shared_ptr<const Container>;

/// ContainerListing of ts/addon/types.ts; null where there is no container.
Napi::Value to_listing(Napi::Env env, const ContainerPointer& container) {
  if (!container) return env.Null();
  const ContainerIndex& index = container->index();
  const size_t count = index.members().size();
  Napi::Array files = Napi::Array::New(env, count);
  Napi::Int32Array labels = Napi::Int32Array::New(env, count);
  std::string path = container->place() + '/';
  const size_t root = path.size();
  for (size_t i = 0; i < count; ++i) {
    const Napi::HandleScope scope(env);
    path.resize(root);
    path += index.name(i);
    files.Set(static_cast<uint32_t>(i), path_to_js(env, path));
    labels[i] = index.members()[i].label;
  }
  Napi::Object listing = Napi::Object::New(env);
  listing.Set("files", files);
  listing.Set("labels", labels);
  listing.Set("classes", to_js(env, index.classes()));
  listing.Set("others", static_cast<double>(index.others()));
  return listing;
}

template <typename T>
std::vector<T> to_numbers(const Napi::Object& object, const char* name, napi_typedarray_type type,
                          size_t count) {
  const Napi::Value value = object.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type ||
      value.As<Napi::TypedArray>().ElementLength() != count) {
    throw Error(ErrorCode::kConfig, std::string("Expected a number of each member for ") + name);
  }
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.Data() + count};
}

/// MemberList of ts/addon/types.ts.
ContainerContents to_contents(const Napi::Object& object) {
  ContainerContents contents;
  const std::vector<std::string> names = to_paths(object.Get("names"), "names");
  const size_t count = names.size();
  const auto offsets = to_numbers<double>(object, "offsets", napi_float64_array, count);
  const auto lengths = to_numbers<uint32_t>(object, "lengths", napi_uint32_array, count);
  const auto stored = to_numbers<uint32_t>(object, "stored", napi_uint32_array, count);
  const auto crcs = to_numbers<uint32_t>(object, "crcs", napi_uint32_array, count);
  const auto labels = to_numbers<int32_t>(object, "labels", napi_int32_array, count);
  const auto forms = to_numbers<uint8_t>(object, "forms", napi_uint8_array, count);
  contents.members.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (!(offsets[i] >= 0) || offsets[i] > 9e15 || std::trunc(offsets[i]) != offsets[i]) {
      throw Error(ErrorCode::kConfig, "Expected a place in a file for offsets");
    }
    contents.names += names[i];
    if (contents.names.size() > UINT32_MAX) {
      throw Error(ErrorCode::kData, "Expected names of less than 4 GiB in all");
    }
    MemberEntry& member = contents.members[i];
    member.offset = static_cast<uint64_t>(offsets[i]);
    member.length = lengths[i];
    member.stored = stored[i];
    member.crc = crcs[i];
    member.label = labels[i];
    member.name_end = static_cast<uint32_t>(contents.names.size());
    member.form = static_cast<MemberForm>(forms[i]);
  }
  contents.classes = to_strings(object.Get("classes"), "classes");
  contents.others = static_cast<uint64_t>(get_integer(object, "others"));
  const Napi::Object shape = get_object(object, "shape");
  contents.shape = {static_cast<uint32_t>(get_integer(shape, "height")),
                    static_cast<uint32_t>(get_integer(shape, "width")),
                    static_cast<uint32_t>(get_integer(shape, "channels"))};
  return contents;
}

std::span<uint8_t> to_bytes(const Napi::Value& value) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Error(ErrorCode::kConfig, "Expected a Uint8Array for bytes");
  }
  auto bytes = value.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.ElementLength()};
}

using FilePointer = std::shared_ptr<std::unique_ptr<ContainerFile>>;

ContainerFile& opened(const FilePointer& file) {
  if (!*file) throw Error(ErrorCode::kInternal, "A container's index was finished already");
  return **file;
}

Napi::Value append(const FilePointer& file, const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    ContainerFile& open = opened(file);
    const auto position = static_cast<double>(open.position());
    open.append(to_bytes(info[0]));
    return Napi::Number::New(info.Env(), position);
  });
}

Napi::Value read(const FilePointer& file, const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::span<uint8_t> target = to_bytes(info[0]);
    const int64_t position = to_integer(info[1], "position");
    return Napi::Number::New(info.Env(), static_cast<double>(opened(file).read(target, position)));
  });
}

Napi::Value finish(const FilePointer& file, const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    static_cast<void>(opened(file));
    auto contents = std::make_shared<ContainerContents>(to_contents(to_object(info[0], "members")));
    auto taken = std::make_shared<std::unique_ptr<ContainerFile>>(std::move(*file));
    return Task<ContainerPointer>::run(
        info.Env(),
        [contents, taken] {
          ContainerPointer container = (*taken)->finish(*contents);
          taken->reset();
          mount_container(container);
          return container;
        },
        to_listing);
  });
}

std::string containers_folder() {
  return default_cache_folder(kContainersFolder);
}

}  // namespace

Napi::Value open_container(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    return Task<ContainerPointer>::run(
        env,
        [place = to_path(info[0], "place"), key = to_text(info[1], "key"),
         folder = containers_folder()] {
          ContainerPointer container = flexae::open_container(place, folder, key);
          if (container) mount_container(container);
          return container;
        },
        to_listing);
  });
}

Napi::Value create_container(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = to_object(info[2], "options");
    const auto file =
        std::make_shared<std::unique_ptr<ContainerFile>>(std::make_unique<ContainerFile>(
            to_path(info[0], "place"), containers_folder(), to_text(info[1], "key"),
            get_boolean(options, "holdsData")));
    Napi::Object handle = Napi::Object::New(env);
    handle.Set("append", Napi::Function::New(env, [file](const Napi::CallbackInfo& info) {
                 return append(file, info);
               }));
    handle.Set("read", Napi::Function::New(env, [file](const Napi::CallbackInfo& info) {
                 return read(file, info);
               }));
    handle.Set("finish", Napi::Function::New(env, [file](const Napi::CallbackInfo& info) {
                 return finish(file, info);
               }));
    handle.Set("discard", Napi::Function::New(
                              env, [file](const Napi::CallbackInfo& /*info*/) { file->reset(); }));
    return handle;
  });
}

Napi::Value read_images(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    using Bytes = std::vector<uint8_t>;
    /// What each file holds, or why it cannot be read.
    using Files = std::vector<std::variant<Bytes, std::string>>;
    return Task<Files>::run(
        env,
        [paths = to_paths(info[0], "files")] {
          Files files;
          ByteBuffer buffer;
          for (const std::string& path : paths) {
            std::span<const uint8_t> bytes;
            if (auto reason = read_image_file(path, buffer, bytes)) {
              files.emplace_back(std::move(*reason));
            } else {
              files.emplace_back(Bytes(bytes.begin(), bytes.end()));
            }
          }
          return files;
        },
        [](Napi::Env env, Files& files) -> Napi::Value {
          Napi::Array array = Napi::Array::New(env, files.size());
          for (uint32_t i = 0; i < files.size(); ++i) {
            if (const auto* reason = std::get_if<std::string>(&files[i])) {
              array.Set(i, *reason);
              continue;
            }
            const auto& bytes = std::get<Bytes>(files[i]);
            array.Set(i, Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size()));
          }
          return array;
        });
  });
}

Napi::Value stamp_images(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    using Stamps = std::vector<FileStamp>;
    return Task<Stamps>::run(
        env,
        [paths = to_paths(info[0], "files")] {
          Stamps stamps;
          for (const std::string& path : paths) stamps.push_back(stamp_of(path));
          return stamps;
        },
        [](Napi::Env env, Stamps& stamps) -> Napi::Value {
          Napi::Float64Array bytes = Napi::Float64Array::New(env, stamps.size());
          Napi::Float64Array times = Napi::Float64Array::New(env, stamps.size());
          for (size_t i = 0; i < stamps.size(); ++i) {
            constexpr double kMilliseconds = 1e3;
            bytes[i] = static_cast<double>(stamps[i].bytes);
            times[i] = kMilliseconds * static_cast<double>(stamps[i].seconds) +
                       1e-6 * static_cast<double>(stamps[i].nanoseconds);
          }
          Napi::Object object = Napi::Object::New(env);
          object.Set("bytes", bytes);
          object.Set("changed", times);
          return object;
        });
  });
}

}  // namespace flexae::addon
