#include "core/comm/communicator.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace flexae {
namespace {

class Alone : public Communicator {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  std::unique_ptr<Reduction> start_sum(const at::Tensor& /*tensor*/, Lane /*lane*/) override {
    class Done : public Reduction {
      void wait() override {}
    };
    return std::make_unique<Done>();
  }
  void broadcast(const at::Tensor& /*tensor*/) override {}
};

at::Tensor bytes_of(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), bytes.mutable_data_ptr<uint8_t>());
  return bytes;
}

std::string text_of(const at::Tensor& bytes) {
  const auto* data = bytes.const_data_ptr<uint8_t>();
  return {data, data + bytes.numel()};
}

}  // namespace

std::string Communicator::broadcast_text(const std::string& text) {
  if (is_alone()) return text;
  const at::Tensor length = at::full({1}, static_cast<int64_t>(text.size()), at::kLong);
  broadcast(length);
  const int64_t count = length.item<int64_t>();
  const at::Tensor bytes = rank() == 0 ? bytes_of(text) : at::empty({count}, at::kByte);
  if (count > 0) broadcast(bytes);
  return text_of(bytes);
}

std::vector<std::string> Communicator::gather(const std::string& text) {
  // Everybody has room for all, zero but for its own: the sum is what all have written.
  const at::Tensor lengths = at::zeros({size()}, at::kLong);
  auto* length = lengths.mutable_data_ptr<int64_t>();
  length[rank()] = static_cast<int64_t>(text.size());
  sum(lengths);
  int64_t before = 0;
  int64_t total = 0;
  for (int i = 0; i < size(); ++i) {
    if (i == rank()) before = total;
    total += length[i];
  }
  const at::Tensor all = at::zeros({total}, at::kByte);
  std::copy(text.begin(), text.end(), all.mutable_data_ptr<uint8_t>() + before);
  if (total > 0) sum(all);
  std::vector<std::string> texts;
  int64_t begin = 0;
  for (int i = 0; i < size(); ++i) {
    texts.push_back(text_of(all.narrow(0, begin, length[i])));
    begin += length[i];
  }
  return texts;
}

Communicator& Communicator::alone() {
  static Alone communicator;
  return communicator;
}

}  // namespace flexae
