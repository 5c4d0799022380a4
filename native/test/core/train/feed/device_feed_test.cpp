#include "core/train/feed/device_feed.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

namespace flexae {
namespace {

constexpr int64_t kImages = 23;
constexpr int64_t kBatch = 4;

/// Image i is filled with i; some cannot be read. Gives its batches in one buffer, as a source may.
class Numbered : public BatchSource {
 public:
  explicit Numbered(std::set<int64_t> unreadable = {}) : unreadable_(std::move(unreadable)) {}

  [[nodiscard]] int64_t size() const override { return kImages; }
  void start(std::vector<int64_t> order, int64_t batch_size) override {
    ++starts;
    order_ = std::move(order);
    batch_ = static_cast<size_t>(batch_size);
    position_ = 0;
  }
  bool next(Batch& batch) override {
    if (position_ >= order_.size()) return false;
    const size_t end = std::min(order_.size(), position_ + batch_);
    batch.indices.clear();
    for (; position_ < end; ++position_) {
      if (!unreadable_.contains(order_[position_])) batch.indices.push_back(order_[position_]);
    }
    const auto count = static_cast<int64_t>(batch.indices.size());
    if (buffer_.numel() == 0) buffer_ = at::empty({kBatch, 2, 3, 1}, at::kByte);
    batch.images = buffer_.narrow(0, 0, count);
    for (int64_t i = 0; i < count; ++i) {
      batch.images[i].fill_(batch.indices[static_cast<size_t>(i)]);
    }
    return true;
  }
  int starts = 0;

 private:
  std::set<int64_t> unreadable_;
  std::vector<int64_t> order_;
  at::Tensor buffer_ = at::empty({0}, at::kByte);
  size_t batch_ = 1;
  size_t position_ = 0;
};

std::vector<int64_t> order(int64_t step) {
  std::vector<int64_t> order(kImages);
  for (int64_t i = 0; i < kImages; ++i) order[static_cast<size_t>(i)] = i * step % kImages;
  return order;
}

using Pass = std::vector<std::pair<int64_t, std::vector<int64_t>>>;

/// Numbers and indices of the rest of a pass; the images are checked.
Pass rest(DeviceFeed& feed) {
  Pass pass;
  DeviceFeed::Item item;
  while (feed.next(item)) {
    EXPECT_EQ(item.images.sizes(),
              (std::vector<int64_t>{static_cast<int64_t>(item.indices.size()), 2, 3, 1}));
    for (size_t i = 0; i < item.indices.size(); ++i) {
      EXPECT_TRUE(item.images[static_cast<int64_t>(i)].eq(item.indices[i]).all().item<bool>());
    }
    pass.emplace_back(item.batch, item.indices);
  }
  return pass;
}

Pass pass_of(DeviceFeed& feed, const std::vector<int64_t>& order) {
  feed.start(order, kBatch);
  return rest(feed);
}

TEST(DeviceFeed, GivesWhatTheSourceGivesAndCountsEmptyBatches) {
  Numbered source({4, 5, 6, 7, 9});
  DeviceFeed feed(source, at::kCPU);
  const Pass expected{{1, {0, 1, 2, 3}},
                      {3, {8, 10, 11}},
                      {4, {12, 13, 14, 15}},
                      {5, {16, 17, 18, 19}},
                      {6, {20, 21, 22}}};
  EXPECT_EQ(pass_of(feed, order(1)), expected);
  EXPECT_EQ(pass_of(feed, order(1)), expected);
  EXPECT_EQ(source.starts, 2);
}

TEST(DeviceFeed, LaterPassesComeFromTheResidentSet) {
  const std::set<int64_t> unreadable{4, 5, 6, 7, 9};
  Numbered reference(unreadable);
  DeviceFeed plain(reference, at::kCPU);
  Numbered source(unreadable);
  DeviceFeed feed(source, at::kCPU, /*resident_bytes=*/kImages * 6);
  for (const int64_t step : {1, 5, 1, 7}) {
    EXPECT_EQ(pass_of(feed, order(step)), pass_of(plain, order(step))) << step;
  }
  EXPECT_EQ(source.starts, 1);
  // Another batch size, a part of the set, nothing.
  feed.start({3, 22, 9, 0}, 3);
  EXPECT_EQ(rest(feed), (Pass{{1, {3, 22}}, {2, {0}}}));
  EXPECT_EQ(pass_of(feed, {}), Pass{});
  EXPECT_EQ(pass_of(feed, {4, 9}), Pass{});
  EXPECT_EQ(source.starts, 1);
}

TEST(DeviceFeed, AsksTheSourceUntilEveryImageHasBeenSeen) {
  Numbered source({9});
  DeviceFeed feed(source, at::kCPU, kImages * 6);
  // As after a resumption within an epoch.
  const std::vector<int64_t> whole = order(5);
  pass_of(feed, {whole.begin() + 8, whole.end()});
  EXPECT_EQ(source.starts, 1);
  // Abandoned after a batch.
  feed.start(whole, kBatch);
  DeviceFeed::Item item;
  ASSERT_TRUE(feed.next(item));
  EXPECT_EQ(source.starts, 2);
  const Pass first = pass_of(feed, whole);
  EXPECT_EQ(source.starts, 3);
  EXPECT_EQ(pass_of(feed, whole), first);
  EXPECT_EQ(source.starts, 3);
}

TEST(DeviceFeed, ASetTooLargeStaysWithTheSource) {
  Numbered source;
  DeviceFeed feed(source, at::kCPU, kImages * 6 - 1);
  const Pass first = pass_of(feed, order(3));
  EXPECT_EQ(first.size(), 6U);
  EXPECT_EQ(pass_of(feed, order(3)), first);
  EXPECT_EQ(source.starts, 2);
}

}  // namespace
}  // namespace flexae
