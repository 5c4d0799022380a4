#include "analysis/device/device_pca.h"

#include <ATen/ATen.h>

#include "analysis/device/device_points.h"

namespace flexae {

Scatter scatter_on(at::Device device, const at::Tensor& points) {
  const at::Tensor sent = points.to(device);
  const int64_t width = sent.size(1);
  const at::Tensor mean = sent.sum(0, /*keepdim=*/false, at::kDouble).div_(sent.size(0));
  at::Tensor scatter = at::zeros({width, width}, mean.options());
  for_row_blocks(sent.size(0), 2 * width, [&](int64_t first, int64_t rows) {
    const at::Tensor centred = sent.narrow(0, first, rows).to(at::kDouble).sub_(mean);
    scatter.addmm_(centred.t(), centred);
  });
  return {mean.cpu(), scatter.cpu()};
}

at::Tensor coordinates_on(at::Device device, const at::Tensor& points, const at::Tensor& mean,
                          const at::Tensor& components) {
  at::Tensor coordinates = at::empty({points.size(0), components.size(0)}, at::kFloat);
  const at::Tensor turned = components.to(device).t();
  const at::Tensor middle = mean.to(device);
  for_row_blocks(points.size(0), 2 * points.size(1), [&](int64_t first, int64_t rows) {
    const at::Tensor sent = points.narrow(0, first, rows).to(device);
    coordinates.narrow(0, first, rows)
        .copy_(at::mm(sent.to(at::kDouble).sub_(middle), turned).to(at::kFloat));
  });
  return coordinates;
}

}  // namespace flexae
