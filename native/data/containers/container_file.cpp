#include "data/containers/container_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/files/descriptor.h"
#include "data/files/cache_folder.h"
#include "data/files/path_text.h"

namespace flexae {
namespace {

std::string message_of(int error) {
  return std::generic_category().message(error);
}

std::shared_ptr<const Container> container_of(const std::string& place, const std::string& key,
                                              Descriptor file) {
  auto index = ContainerIndex::map(file.get(), key);
  if (!index) return nullptr;
  const bool holds_data = index->holds_data();
  // An index is mapped and needs its file no more.
  return std::make_shared<const Container>(place, std::move(index),
                                           holds_data ? std::move(file) : Descriptor());
}

}  // namespace

std::shared_ptr<const Container> open_container(const std::string& place, const std::string& folder,
                                                const std::string& key) {
  if (folder.empty()) return nullptr;
  const std::string path = cache_path(folder, key);
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return nullptr;
  // Says that it is in use, now and (by its time) lately.
  ::flock(file.get(), LOCK_SH | LOCK_NB);
  ::futimens(file.get(), nullptr);
  auto container = container_of(place, key, std::move(file));
  if (!container) ::unlink(path.c_str());
  return container;
}

ContainerFile::ContainerFile(std::string place, std::string folder, std::string key,
                             bool holds_data)
    : place_(std::move(place)),
      folder_(std::move(folder)),
      key_(std::move(key)),
      holds_data_(holds_data) {
  std::string problem = folder_.empty() ? "no home folder is known" : prepare_cache_folder(folder_);
  if (problem.empty()) {
    trim_cache_folder(folder_, 0);
    file_ = create_temporary(folder_, key_, temporary_);
    if (!file_) problem = message_of(errno);
  }
  if (problem.empty()) return;
  if (holds_data_) fail(problem);
  use_memory();
}

ContainerFile::~ContainerFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void ContainerFile::use_memory() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
  file_ = Descriptor(::memfd_create("flexae-index", MFD_CLOEXEC));
  if (!file_) fail(message_of(errno));
}

void ContainerFile::fail(const std::string& reason) const {
  const std::string what = holds_data_ ? " has to be unpacked once, but its images"
                                       : " cannot be opened: the names of its images";
  throw Error(ErrorCode::kIo, shown_path(place_) + what + " cannot be kept in " +
                                  (folder_.empty() ? "a cache" : shown_path(folder_)) + ": " +
                                  reason + ".\nSet FLEXAE_CACHE to a folder with room for them.");
}

void ContainerFile::append(std::span<const uint8_t> bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (const int error = write_at(file_.get(), bytes.data(), size, position())) {
    fail(message_of(error));
  }
  data_bytes_ += size;
}

size_t ContainerFile::read(std::span<uint8_t> to, int64_t position) const {
  const int64_t left = std::max<int64_t>(0, this->position() - std::max(position, kContainerData));
  const auto size = std::min<size_t>(to.size(), static_cast<size_t>(left));
  if (position < kContainerData || size == 0) return 0;
  if (!read_at(file_.get(), to.data(), static_cast<int64_t>(size), position)) fail("it is cut off");
  return size;
}

std::shared_ptr<const Container> ContainerFile::finish(const ContainerContents& contents) {
  int error = write_container_index(file_.get(), key_, contents, data_bytes_);
  if (error != 0 && !holds_data_ && !temporary_.empty()) {
    use_memory();
    error = write_container_index(file_.get(), key_, contents, 0);
  }
  if (error != 0) fail(message_of(error));
  if (!temporary_.empty()) {
    if (::rename(temporary_.c_str(), cache_path(folder_, key_).c_str()) != 0) {
      fail(message_of(errno));
    }
    temporary_.clear();
    ::flock(file_.get(), LOCK_SH | LOCK_NB);
  }
  auto container = container_of(place_, key_, std::move(file_));
  // What was just written fails only if what was handed over is not sound.
  if (!container) throw Error(ErrorCode::kInternal, "The index of " + place_ + " is not sound");
  return container;
}

}  // namespace flexae
