#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "data/cache/cache_file.h"
#include "data/files/cache_folder.h"
#include "data/image_store.h"

namespace flexae {

/// Keeps every image in one file on disk from its first load on, for this run and later ones.
///
/// The file is found by what its images are, so that a changed, added or removed one leads to
/// another file. While it is being written it has a temporary name and belongs to this process
/// alone; once every image was loaded it is completed in the background and takes its final name.
/// Images are read from it, not mapped: mapped pages would count as this process's memory.
///
/// Whatever goes wrong with the file, images are then decoded anew, and that is told once.
class DiskStore : public ImageStore {
 public:
  /// Called once at most, from any thread.
  using Note = std::function<void(const std::string& message)>;

  /// `source` names its images by their paths. Looks each of them up, and for a whole file of an
  /// earlier run. `folder` may be missing or "".
  DiskStore(std::unique_ptr<ImageStore> source, std::string folder, Note note);
  /// Waits for a file being completed; deletes one that is not whole.
  ~DiskStore() override;

  /// Whether an earlier run's file is in use.
  [[nodiscard]] bool reused() const { return file_ && !building_; }
  /// Begins a new file, unless one is in use. Call before any load. False if there can be none.
  bool begin();
  /// Bytes that a new file takes.
  [[nodiscard]] int64_t file_bytes() const;

  [[nodiscard]] int64_t size() const override { return source_->size(); }
  [[nodiscard]] const DecodeSpec& spec() const override { return source_->spec(); }
  [[nodiscard]] std::string name(int64_t index) const override { return source_->name(index); }
  [[nodiscard]] bool kept() const override { return file_ && !broken_ && left_ <= 0; }
  [[nodiscard]] std::optional<std::string> load(int64_t index, uint8_t* out) override;

 private:
  enum State : uint8_t {
    kEmpty,
    kFilling,
    kUnchecked,  // of an earlier run, not read yet
    kKept,
    kBad,
    kUnkept,  // to be decoded each time
  };

  bool open();
  [[nodiscard]] bool read(int64_t index, uint8_t* out) const;
  void keep(int64_t index, const uint8_t* pixels, const std::optional<std::string>& reason);
  [[nodiscard]] std::optional<std::string> repair(int64_t index, uint8_t* out);
  void complete();
  void seal();
  void give_up(int error);
  void tell(const std::string& message);

  const std::unique_ptr<ImageStore> source_;
  const std::string folder_;
  const Note note_;
  std::vector<FileStamp> stamps_;
  std::string key_;
  std::string path_;       // of the whole file
  std::string temporary_;  // of the one being written

  // Set before the first load.
  Descriptor file_;
  bool building_ = false;
  std::unique_ptr<std::atomic<uint8_t>[]> states_;
  // An image's is written before its state says that it is there.
  std::vector<uint64_t> hashes_;

  std::mutex reasons_mutex_;
  std::map<int64_t, std::string> reasons_;
  /// Images not tried yet.
  std::atomic<int64_t> left_;
  std::atomic<bool> broken_ = false;
  std::atomic<bool> told_ = false;
  /// Cleared when an image changes while the file is written.
  std::atomic<bool> sealable_ = true;
  bool sealed_ = false;  // the sealing thread's until that is joined
  std::thread sealing_;
};

}  // namespace flexae
