#include "core/cpu/dense.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "core/base/aligned_vector.h"
#include "core/base/math.h"
#include "core/cpu/convolution.h"
#include "core/cpu/kernels/kernels.h"

namespace flexae {
namespace {

/// Rows of the weight that a thread works on at a time, and columns in the product that sums over
/// rows: with their sums they fit into a second-level cache.
constexpr int64_t kRows = 12;
constexpr int64_t kColumns = 1024;

/// What rows of a buffer are further apart than they are long, so that values below each other do
/// not all fall to one set of the first-level cache.
template <typename Item>
constexpr int64_t kApart = 64 / sizeof(Item);

/// Bytes that most second-level caches hold.
constexpr int64_t kNear = 768 << 10;

/// Images for which a panel of a packed weight is read.
constexpr int64_t kImages = 96;

/// Images to a panel of a packed batch: of few, one register holds all.
int64_t panel_of(int64_t images) {
  const int64_t lanes = kernels().lanes;
  return images > lanes ? 2 * lanes : lanes;
}

/// Rows of fp32 values, `columns` of each, as items: values, or pairs of values of neighbouring
/// rows, where a missing last row is `zeros`. Items' rows are `items_stride` apart.
void to_items(const float* rows, int64_t stride, int64_t count, int64_t columns,
              const float* /*zeros*/, float* items, int64_t items_stride) {
  for (int64_t i = 0; i < count; ++i) {
    std::copy_n(rows + i * stride, columns, items + i * items_stride);
  }
}

void to_items(const float* rows, int64_t stride, int64_t count, int64_t columns, const float* zeros,
              Bf16Pair* items, int64_t items_stride) {
  for (int64_t i = 0; i < count; i += 2, items += items_stride) {
    const float* first = rows + i * stride;
    kernels().pairs.pair_up_wide(first, i + 1 < count ? first + stride : zeros, items, columns);
  }
}

}  // namespace

template <typename T>
bool DenseProducts<T>::available() {
  return Convolution<T>::multiplies_in_place();
}

template <typename T>
const T* DenseProducts<T>::factor(const at::Tensor& tensor) {
  if constexpr (std::is_same_v<T, float>) {
    return values<float>(tensor);
  } else {
    T* narrow = factor_.get(tensor.numel());
    kernels_of<T>().elementwise.store(values<float>(tensor), narrow, tensor.numel());
    return narrow;
  }
}

template <typename T>
const T* DenseProducts<T>::rows_apart(const at::Tensor& vectors, int64_t stride) {
  const int64_t columns = vectors.size(1);
  if (stride == columns) return factor(vectors);
  // What is behind a row is zero from the beginning, and nobody writes there.
  T* rows = rows_.zeros(vectors.size(0) * stride);
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    kernels_of<T>().elementwise.store(values<float>(vectors) + i * columns, rows + i * stride,
                                      columns);
  }
  return rows;
}

template <typename T>
void DenseProducts<T>::pack_batch(const at::Tensor& vectors) {
  const int64_t images = vectors.size(0);
  batch_.reset(1, vectors.size(1), round_up(images, panel_of(images)));
  batch_.set_all(factor(vectors), images);
}

template <typename T>
at::Tensor DenseProducts<T>::forward(const at::Tensor& x, const at::Tensor& weight) {
  const int64_t images = x.size(0);
  const int64_t inputs = weight.size(1);
  const int64_t outputs = weight.size(0);
  at::Tensor out = at::empty({images, outputs}, at::kFloat);
  if (images == 0) return out;
  pack_batch(x);
  const int64_t width = round_up(images, panel_of(images));
  auto* y = out.mutable_data_ptr<float>();
  const auto* w = weight.const_data_ptr<float>();
  at::parallel_for(0, ceil_div(outputs, kRows), 1, [&](int64_t begin, int64_t end) {
    std::array<const T*, kRows> rows{};
    std::array<float*, kRows> results{};
    // Weights with images for channels: what comes out is the other way round.
    AlignedVector<float> sums(static_cast<size_t>(kRows * width));
    const int64_t stride = round_up(inputs, Factor<T>::kValues);
    AlignedVector<T> narrow(std::is_same_v<T, float> ? 0 : static_cast<size_t>(kRows * stride));
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kRows;
      const int64_t count = std::min(kRows, outputs - first);
      for (int64_t i = 0; i < count; ++i) {
        const float* row = w + (first + i) * inputs;
        const auto at = static_cast<size_t>(i);
        if constexpr (std::is_same_v<T, float>) {
          rows[at] = row;
        } else {
          T* to = narrow.data() + i * stride;
          kernels_of<T>().elementwise.store(row, to, inputs);
          rows[at] = to;
        }
        results[at] = sums.data() + i * width;
      }
      const float* next = w + (block + 1 < end ? first + kRows : first) * inputs;
      kernels_of<T>().products.convolve_fetching(rows.data(), results.data(), count, inputs,
                                                 batch_.data(), width, next);
      transpose(sums.data(), width, count, images, y + first, outputs);
    }
  });
  return out;
}

template <typename T>
void DenseProducts<T>::keep(const at::Tensor& weight) {
  weight_.reset(1, weight.size(1), weight.size(0));
  weight_.set_all(factor(weight), weight.size(0));
  factor_ = {};
}

template <typename T>
at::Tensor DenseProducts<T>::infer(const at::Tensor& x) {
  const int64_t images = x.size(0);
  const int64_t inputs = x.size(1);
  const int64_t outputs = weight_.channels();
  at::Tensor out = at::empty({images, outputs}, at::kFloat);
  if (images == 0) return out;
  const int64_t stride = round_up(inputs, Factor<T>::kValues);
  const T* vectors = rows_apart(x, stride);
  auto* y = out.mutable_data_ptr<float>();
  const int64_t lanes = 2 * kernels().lanes;
  const int64_t panels = ceil_div(outputs, lanes);
  // Few outputs go round for all threads if each takes a part of the images.
  const int64_t parts = ceil_div(at::get_num_threads(), panels);
  const int64_t block = std::min(kImages, round_up(ceil_div(images, parts), kRows));
  const int64_t blocks = ceil_div(images, block);
  at::parallel_for(0, panels * blocks, 1, [&](int64_t begin, int64_t end) {
    std::array<const T*, kImages> rows{};
    std::array<float*, kImages> results{};
    for (int64_t item = begin; item < end; ++item) {
      const int64_t channel = item / blocks * lanes;
      const int64_t first = item % blocks * block;
      const int64_t count = std::min(block, images - first);
      for (int64_t i = 0; i < count; ++i) {
        rows[static_cast<size_t>(i)] = vectors + (first + i) * stride;
        results[static_cast<size_t>(i)] = y + (first + i) * outputs + channel;
      }
      kernels_of<T>().products.convolve_wide(rows.data(), results.data(), count, 1, inputs, 0,
                                             weight_.step(channel, 0),
                                             std::min(lanes, outputs - channel));
    }
  });
  return out;
}

template <typename T>
at::Tensor DenseProducts<T>::input_gradient(const at::Tensor& dz, const at::Tensor& weight) {
  const int64_t images = dz.size(0);
  const int64_t inputs = weight.size(1);
  const int64_t outputs = weight.size(0);
  at::Tensor out = at::empty({images, inputs}, at::kFloat);
  if (images == 0) return out;
  pack_batch(dz);
  const int64_t lanes = panel_of(images);
  const int64_t panels = ceil_div(images, lanes);
  // More rows: the sums go to memory and back for each block of them.
  constexpr int64_t kBlock = 4 * kRows;
  constexpr int64_t kValues = Factor<T>::kValues;
  auto* dx = out.mutable_data_ptr<float>();
  const auto* w = weight.const_data_ptr<float>();
  // Values of fp32 are items already. Where rows lie a multiple of 64 KiB apart, though, all fall
  // to the same lines of a second-level cache, and are copied from there.
  const bool in_place = std::is_same_v<T, float> && inputs % (1 << 14) != 0;
  const int64_t width = std::min(kColumns, round_up(ceil_div(inputs, at::get_num_threads()), 16));
  at::parallel_for(0, (inputs + width - 1) / width, 1, [&](int64_t begin, int64_t end) {
    AlignedVector<float> sums(static_cast<size_t>(panels * width * lanes));
    const int64_t stride = width + kApart<Item>;
    AlignedVector<Item> items(in_place ? 0 : static_cast<size_t>(kBlock / kValues * stride));
    const AlignedVector<float> zeros(static_cast<size_t>(width), 0.0F);
    std::array<const Item*, kBlock> rows{};
    std::array<const Item*, kBlock> gradients{};
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t column = chunk * width;
      const int64_t columns = std::min(width, inputs - column);
      for (int64_t first = 0; first < outputs; first += kBlock) {
        const int64_t count = std::min(kBlock, outputs - first);
        const int64_t steps = (count + kValues - 1) / kValues;
        const float* next =
            w + (first + kBlock < outputs ? first + kBlock : first) * inputs + column;
        const float* block = w + first * inputs + column;
        if (!in_place) {
          to_items(block, inputs, count, columns, zeros.data(), items.data(), stride);
        }
        for (int64_t panel = 0; panel < panels; ++panel) {
          for (int64_t i = 0; i < steps; ++i) {
            rows[static_cast<size_t>(i)] = in_place
                                               ? reinterpret_cast<const Item*>(block + i * inputs)
                                               : items.data() + i * stride;
            gradients[static_cast<size_t>(i)] = batch_.step(panel * lanes, first / kValues + i);
          }
          kernels_of<T>().products.add_weight_gradient_fetching(
              rows.data(), steps, columns, gradients.data(), lanes,
              sums.data() + panel * width * lanes, first == 0, next, inputs);
        }
      }
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t image = panel * lanes;
        transpose(sums.data() + panel * width * lanes, lanes, columns,
                  std::min(lanes, images - image), dx + image * inputs + column, inputs);
      }
    }
  });
  return out;
}

template <typename T>
const RowwiseGradient& DenseProducts<T>::weight_gradient(const at::Tensor& dz,
                                                         const at::Tensor& x) {
  images_ = x.size(0);
  const int64_t inputs = x.size(1);
  const int64_t outputs = dz.size(1);
  const T* vectors = factor(x);
  inputs_.reset(1, images_, inputs);
  at::parallel_for(0, ceil_div(inputs, kColumns), 1, [&](int64_t begin, int64_t end) {
    const int64_t column = begin * kColumns;
    const int64_t columns = std::min(end * kColumns, inputs) - column;
    for (int64_t n = 0; n < images_; ++n) {
      inputs_.set(0, n, column, vectors + n * inputs + column, columns);
    }
  });
  const int64_t stride = round_up(images_, Factor<T>::kValues);
  T* rows = differences_.get(outputs * stride);
  const auto* differences = dz.const_data_ptr<float>();
  at::parallel_for(0, ceil_div(outputs, kRows), 1, [&](int64_t begin, int64_t end) {
    // Zero behind the images.
    AlignedVector<float> turned(static_cast<size_t>(kRows * stride));
    for (int64_t first = begin * kRows; first < std::min(end * kRows, outputs); first += kRows) {
      const int64_t count = std::min(kRows, outputs - first);
      transpose(differences + first, outputs, images_, count, turned.data(), stride);
      kernels_of<T>().elementwise.store(turned.data(), rows + first * stride, count * stride);
    }
  });
  return *this;
}

template <typename T>
int64_t DenseProducts<T>::rows_at_once() const {
  return kRows;
}

template <typename T>
void DenseProducts<T>::take_rows(int64_t begin, int64_t end, float* out,
                                 std::span<const float* const> read) const {
  const int64_t inputs = inputs_.channels();
  const int64_t stride = round_up(images_, Factor<T>::kValues);
  // With what the product itself goes through.
  const int64_t a_column =
      (1 + std::ssize(read)) * kRows * int64_t{sizeof(float)} + stride * int64_t{sizeof(T)};
  if (inputs * a_column > kNear) read = {};
  std::array<const T*, kRows> rows{};
  std::array<float*, kRows> results{};
  std::vector<const float*> next;
  for (int64_t first = begin; first < end; first += kRows) {
    const int64_t count = std::min(kRows, end - first);
    next.clear();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = (first - begin + i) * inputs;
      rows[static_cast<size_t>(i)] = differences_.data() + (first + i) * stride;
      results[static_cast<size_t>(i)] = out + at;
      for (const float* matrix : read) next.push_back(matrix + at);
    }
    kernels_of<T>().products.convolve_before(rows.data(), results.data(), count, images_,
                                             inputs_.data(), inputs, next.data(), std::ssize(next));
  }
}

template class DenseProducts<float>;
template class DenseProducts<Bf16>;

}  // namespace flexae
