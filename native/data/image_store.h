#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/decode.h"
#include "data/files/path_list.h"

namespace flexae {

/// Where single images come from: the seam between loading images and making batches of them.
/// A store may decode files, or answer from what it kept of them.
class ImageStore {
 public:
  virtual ~ImageStore() = default;
  ImageStore() = default;
  ImageStore(const ImageStore&) = delete;
  ImageStore& operator=(const ImageStore&) = delete;

  /// Number of images.
  [[nodiscard]] virtual int64_t size() const = 0;
  /// The size and channels that every image comes in.
  [[nodiscard]] virtual const DecodeSpec& spec() const = 0;
  /// What to call an image in messages: its path.
  [[nodiscard]] virtual std::string name(int64_t index) const = 0;

  /// Whether every image is at hand, so that a load is little more than a copy.
  [[nodiscard]] virtual bool kept() const { return false; }

  /// Writes image `index`, in [0, size()), as spec().bytes() bytes (H×W×C) to `out`. Returns why it
  /// cannot, or nothing on success. Called from many threads at once. Throws for trouble that is
  /// not the image's own.
  [[nodiscard]] virtual std::optional<std::string> load(int64_t index, uint8_t* out) = 0;
};

/// Decodes image files anew at each load.
class FileStore : public ImageStore {
 public:
  FileStore(PathList files, const DecodeSpec& spec) : files_(std::move(files)), spec_(spec) {}
  FileStore(const std::vector<std::string>& files, const DecodeSpec& spec)
      : FileStore(PathList(files), spec) {}

  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  [[nodiscard]] const DecodeSpec& spec() const override { return spec_; }
  [[nodiscard]] std::string name(int64_t index) const override {
    return files_[static_cast<size_t>(index)];
  }
  [[nodiscard]] std::optional<std::string> load(int64_t index, uint8_t* out) override {
    return decode_file(name(index), spec_, out);
  }

 private:
  PathList files_;
  DecodeSpec spec_;
};

}  // namespace flexae
