#pragma once

#include <cstdint>
#include <vector>

namespace flexae {

/// Which images of a batch a process has: `images` of them from `first` on, of `whole` in all
/// processes. Where there is one process, it has them all.
struct Share {
  // NOLINTNEXTLINE(google-explicit-constructor): a count is a share, of a process that is alone.
  Share(int64_t images) : images(images), whole(images) {}
  Share(int64_t images, int64_t first, int64_t whole)
      : images(images), first(first), whole(whole) {}

  int64_t images;
  int64_t first = 0;
  int64_t whole;

  [[nodiscard]] bool is_all() const { return images == whole; }
};

/// A process's part of `images` in a row: consecutive ones, those of lower ranks in front; the
/// first ranks have one more where they do not divide. May be empty.
[[nodiscard]] Share share_of(int64_t images, int rank, int size);

/// What a process takes of batches of `batch_size`, which `order` is cut into: its part of each,
/// one behind the other. All of its parts but the last are of the same size.
[[nodiscard]] std::vector<int64_t> shares_of(const std::vector<int64_t>& order, int64_t batch_size,
                                             int rank, int size);

}  // namespace flexae
