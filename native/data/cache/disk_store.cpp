#include "data/cache/disk_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <span>
#include <system_error>
#include <utility>

#include "data/files/hash.h"
#include "data/image_file.h"

namespace flexae {
namespace {

constexpr const char* kRemedy =
    "Set FLEXAE_CACHE to a folder with room for them, or use --cache none.";

uint64_t hash_of(const uint8_t* pixels, const DecodeSpec& spec) {
  return xxh64({pixels, static_cast<size_t>(spec.bytes())});
}

}  // namespace

DiskStore::DiskStore(std::unique_ptr<ImageStore> source, std::string folder, Note note)
    : source_(std::move(source)),
      folder_(std::move(folder)),
      note_(std::move(note)),
      states_(std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(source_->size()))),
      hashes_(static_cast<size_t>(source_->size())),
      left_(source_->size()) {
  CacheKey key(spec());
  stamps_.reserve(hashes_.size());
  for (int64_t i = 0; i < size(); ++i) {
    const std::string path = name(i);
    stamps_.push_back(stamp_of(path));
    key.add(path, stamps_.back());
  }
  key_ = key.text();
  if (folder_.empty()) return;
  path_ = cache_path(folder_, key_);
  if (!open()) file_ = Descriptor();
}

DiskStore::~DiskStore() {
  if (sealing_.joinable()) sealing_.join();
  if (building_ && !sealed_) ::unlink(temporary_.c_str());
}

bool DiskStore::open() {
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  file_ = Descriptor(::open(path_.c_str(), O_RDWR | kFlags));
  // Someone else's file, or a read-only disk's, serves as well but for repairs.
  if (!file_) file_ = Descriptor(::open(path_.c_str(), O_RDONLY | kFlags));
  if (!file_) return false;
  // Says that it is in use, now and (by its time) lately.
  ::flock(file_.get(), LOCK_SH | LOCK_NB);
  const auto index = read_cache_index(file_.get(), key_, spec(), size());
  if (!index) {
    ::unlink(path_.c_str());
    return false;
  }
  ::futimens(file_.get(), nullptr);
  for (size_t i = 0; i < index->entries.size(); ++i) {
    const CacheEntry& entry = index->entries[i];
    switch (entry.state) {
      case CacheEntry::kImage:
        hashes_[i] = entry.value;
        states_[i] = kUnchecked;
        break;
      case CacheEntry::kBad:
        reasons_.emplace(static_cast<int64_t>(i), index->reasons.substr(entry.value, entry.length));
        states_[i] = kBad;
        break;
      default:
        states_[i] = kUnkept;
    }
  }
  left_ = 0;
  return true;
}

int64_t DiskStore::file_bytes() const {
  return index_offset(size(), spec()) + size() * static_cast<int64_t>(sizeof(CacheEntry));
}

bool DiskStore::begin() {
  if (file_) return true;
  if (folder_.empty()) {
    tell("Decoded images are not kept on disk, since no home folder is known.\n" +
         std::string(kRemedy));
    return false;
  }
  if (const std::string problem = prepare_cache_folder(folder_); !problem.empty()) {
    tell("Decoded images cannot be kept in " + folder_ + ": " + problem + ".\n" + kRemedy);
    return false;
  }
  trim_cache_folder(folder_, file_bytes());
  file_ = create_temporary(folder_, key_, temporary_);
  if (!file_) {
    give_up(errno);
    return false;
  }
  building_ = true;
  // Where the file system can, room for all is taken at once: then it does not run out midway.
  int error = 0;
  do {
    error = ::fallocate(file_.get(), 0, 0, file_bytes()) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != 0 && error != EOPNOTSUPP && error != ENOSYS) {
    give_up(error);
    return false;
  }
  return true;
}

std::optional<std::string> DiskStore::load(int64_t index, uint8_t* out) {
  if (file_ && !broken_) {
    std::atomic<uint8_t>& state = states_[static_cast<size_t>(index)];
    switch (state.load(std::memory_order_acquire)) {
      case kBad: {
        const std::lock_guard lock(reasons_mutex_);
        return reasons_.at(index);
      }
      case kKept:
        if (read(index, out)) return std::nullopt;
        break;
      case kUnchecked:
        if (read(index, out) && hash_of(out, spec()) == hashes_[static_cast<size_t>(index)]) {
          state.store(kKept, std::memory_order_relaxed);
          return std::nullopt;
        }
        return repair(index, out);
      default:
        break;
    }
  }
  auto reason = source_->load(index, out);
  if (building_ && !broken_) keep(index, out, reason);
  return reason;
}

bool DiskStore::read(int64_t index, uint8_t* out) const {
  // A file given up meanwhile was emptied first: what was read then is nothing.
  return read_at(file_.get(), out, spec().bytes(), image_offset(index, spec())) && !broken_;
}

// Decoding is repeatable, so the right bytes are known by their hash, and other processes that read
// this file at the moment lose nothing by their being written again.
std::optional<std::string> DiskStore::repair(int64_t index, uint8_t* out) {
  tell("The decoded images kept in " + path_ + " were damaged; they are decoded again.");
  auto reason = source_->load(index, out);
  std::atomic<uint8_t>& state = states_[static_cast<size_t>(index)];
  if (!reason && hash_of(out, spec()) == hashes_[static_cast<size_t>(index)]) {
    if (write_at(file_.get(), out, spec().bytes(), image_offset(index, spec())) == 0) {
      state.store(kKept, std::memory_order_release);
    }
  } else {
    // No longer what it was made from: a later run makes a new one.
    ::unlink(path_.c_str());
    state.store(kUnkept, std::memory_order_relaxed);
  }
  return reason;
}

void DiskStore::keep(int64_t index, const uint8_t* pixels,
                     const std::optional<std::string>& reason) {
  const auto i = static_cast<size_t>(index);
  uint8_t empty = kEmpty;
  if (!states_[i].compare_exchange_strong(empty, kFilling)) return;
  // These bytes serve this run, but must not pass for the file's as it was.
  if (stamp_of(name(index)) != stamps_[i]) sealable_ = false;
  uint8_t state = kUnkept;
  if (!reason) {
    const int error = write_at(file_.get(), pixels, spec().bytes(), image_offset(index, spec()));
    if (error != 0) {
      give_up(error);
      return;
    }
    hashes_[i] = hash_of(pixels, spec());
    state = kKept;
  } else if (lies_in_content(*reason)) {
    const std::lock_guard lock(reasons_mutex_);
    reasons_.emplace(index, *reason);
    state = kBad;
  }
  states_[i].store(state, std::memory_order_release);
  if (left_.fetch_sub(1) == 1) complete();
}

// Every image has been tried. Writing gigabytes back takes its time, and no batch should wait.
void DiskStore::complete() {
  if (!sealable_) return;
  try {
    sealing_ = std::thread([this] { seal(); });
  } catch (const std::system_error&) {
    seal();
  }
}

void DiskStore::seal() {
  CacheIndex index;
  index.entries.resize(hashes_.size());
  for (size_t i = 0; i < hashes_.size(); ++i) {
    CacheEntry& entry = index.entries[i];
    if (states_[i] == kKept) {
      entry = {hashes_[i], CacheEntry::kImage, 0};
    } else if (states_[i] == kBad) {
      const std::string& reason = reasons_.at(static_cast<int64_t>(i));
      entry = {index.reasons.size(), CacheEntry::kBad, static_cast<uint32_t>(reason.size())};
      index.reasons += reason;
    }
  }
  if (const int error = write_cache_index(file_.get(), key_, spec(), index)) {
    give_up(error);
    return;
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    give_up(errno);
    return;
  }
  sealed_ = true;
  ::flock(file_.get(), LOCK_SH | LOCK_NB);
  const Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.get());
  trim_cache_folder(folder_, 0, path_);
}

// The file may still be open in other threads, so it is emptied, not closed.
void DiskStore::give_up(int error) {
  broken_ = true;
  // Where that fails too, the space comes back with the end of the run.
  if (file_) static_cast<void>(::ftruncate(file_.get(), 0) == 0);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  tell("Decoded images cannot be kept in " + folder_ + ": " +
       std::generic_category().message(error) + ".\n" + kRemedy);
}

void DiskStore::tell(const std::string& message) {
  if (!told_.exchange(true) && note_) note_(message);
}

}  // namespace flexae
