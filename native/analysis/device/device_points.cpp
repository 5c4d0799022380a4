#include "analysis/device/device_points.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

#include <algorithm>

namespace flexae {

void for_row_blocks(int64_t rows, int64_t numbers,
                    const std::function<void(int64_t first, int64_t count)>& work) {
  const int64_t at_once = std::max<int64_t>(1, kDeviceNumbers / std::max<int64_t>(1, numbers));
  for (int64_t first = 0; first < rows; first += at_once) {
    work(first, std::min(at_once, rows - first));
  }
}

at::Tensor to_device(const std::vector<float>& values, at::IntArrayRef sizes, at::Device device) {
  // A copy: what is sent may be gone before it has arrived.
  return at::tensor(values).view(sizes).to(device);
}

DevicePoints::DevicePoints(const at::Tensor& points, const std::vector<float>& shift,
                           at::Device device)
    : values_(points.to(device)) {
  if (!shift.empty()) {
    shift_ = to_device(shift, {width()}, device);
    values_ = values_ - shift_;
  }
}

at::Tensor DevicePoints::centres(const std::vector<float>& centres) const {
  at::Tensor sent = to_device(centres, {-1, width()}, device());
  if (shift_.defined()) sent.sub_(shift_);
  return sent;
}

at::Tensor DevicePoints::nearest(const at::Tensor& centres) const {
  const at::NoTF32Guard exact;
  // |x − c|² without |x|², which is the same for all centres, halved.
  const at::Tensor halves = centres.square().sum(1).mul_(0.5);
  const at::Tensor turned = centres.t();
  at::Tensor labels = at::empty({count()}, values_.options().dtype(at::kLong));
  for_row_blocks(count(), centres.size(0), [&](int64_t first, int64_t rows) {
    const at::Tensor orders =
        at::addmm(halves, values_.narrow(0, first, rows), turned, /*beta=*/1, /*alpha=*/-1);
    labels.narrow(0, first, rows).copy_(orders.argmin(1));
  });
  return labels;
}

at::Tensor DevicePoints::squared_distances(const at::Tensor& centres,
                                           const at::Tensor& labels) const {
  at::Tensor squared = at::empty({count()}, values_.options());
  for_row_blocks(count(), width(), [&](int64_t first, int64_t rows) {
    const at::Tensor own = centres.index_select(0, labels.narrow(0, first, rows));
    squared.narrow(0, first, rows).copy_(own.sub_(values_.narrow(0, first, rows)).square_().sum(1));
  });
  return squared;
}

void DevicePoints::find_nearest(const float* centres, int64_t count, int32_t* labels,
                                float* squared_distances) const {
  const at::Tensor sent = this->centres(std::vector<float>(centres, centres + count * width()));
  const at::Tensor nearest = this->nearest(sent);
  const auto of = to_host<int32_t>(nearest.to(at::kInt));
  std::copy(of.begin(), of.end(), labels);
  const auto squared = to_host<float>(this->squared_distances(sent, nearest));
  std::copy(squared.begin(), squared.end(), squared_distances);
}

}  // namespace flexae
