#include "analysis/device/device_mixture.h"

#include <ATen/ATen.h>

#include <tuple>

#include "analysis/device/device_points.h"
#include "analysis/mixture_density.h"

namespace flexae {

struct DeviceMixture::Block {
  int64_t first;
  int64_t rows;
  at::Tensor differences;  ///< k×rows×D: points less the component's mean
  at::Tensor logs;         ///< rows×k: log(weight · density)
  at::Tensor totals;       ///< rows: the logarithm of the mixture's density
};

void DeviceMixture::for_blocks(const Mixture& mixture,
                               const std::function<void(const Block&)>& work) const {
  const MixtureDensity density(mixture);
  const int64_t k = density.components();
  const int64_t width = points_.size(1);
  const at::Device device = points_.device();
  const at::Tensor means = mixture.means.to(device).unsqueeze(1);
  const at::Tensor constants = at::tensor(density.constants()).to(device);
  at::Tensor factors = mixture.precisions_cholesky.to(device);
  const bool diagonal = mixture.covariance == Covariance::kDiagonal;
  if (diagonal) factors = factors.unsqueeze(1);
  if (mixture.covariance == Covariance::kTied) factors = factors.expand({k, width, width});
  // Differences, their products and what is made of them, of 8 bytes a number.
  for_row_blocks(points_.size(0), 6 * k * width, [&](int64_t first, int64_t rows) {
    const at::Tensor some = points_.narrow(0, first, rows).to(at::kDouble);
    const at::Tensor differences = some.unsqueeze(0) - means;
    const at::Tensor scaled = diagonal ? differences * factors : at::bmm(differences, factors);
    const at::Tensor logs = (constants.unsqueeze(1) - scaled.square().sum(2).mul_(0.5)).t();
    work({first, rows, differences, logs, logs.logsumexp(1)});
  });
}

MixtureSums DeviceMixture::expect(const Mixture& mixture) const {
  const int64_t k = mixture.means.size(0);
  const int64_t width = points_.size(1);
  const auto wide = points_.options().dtype(at::kDouble);
  at::Tensor counts = at::zeros({k}, wide);
  at::Tensor first = at::zeros({k, width}, wide);
  at::Tensor likelihood = at::zeros({}, wide);
  at::Tensor second;
  if (mixture.covariance == Covariance::kFull) second = at::zeros({k, width, width}, wide);
  if (mixture.covariance == Covariance::kDiagonal) second = at::zeros({k, width}, wide);
  for_blocks(mixture, [&](const Block& block) {
    const at::Tensor shares = (block.logs - block.totals.unsqueeze(1)).exp_().t();
    const at::Tensor weighted = block.differences * shares.unsqueeze(2);
    counts.add_(shares.sum(1));
    first.add_(weighted.sum(1));
    likelihood.add_(block.totals.sum());
    if (mixture.covariance == Covariance::kFull) {
      second.baddbmm_(block.differences.transpose(1, 2), weighted);
    } else if (second.defined()) {
      second.add_((block.differences * weighted).sum(1));
    }
  });
  MixtureSums sums(k, width, mixture.covariance);
  sums.counts = to_host<double>(counts);
  sums.first = to_host<double>(first);
  if (second.defined()) sums.second = second.cpu();
  sums.log_likelihood = likelihood.item<double>();
  return sums;
}

MixturePrediction DeviceMixture::predict(const Mixture& mixture) const {
  const int64_t count = points_.size(0);
  MixturePrediction result{at::empty({count}, at::kInt), at::empty({count}, at::kFloat),
                           at::empty({count}, at::kDouble)};
  for_blocks(mixture, [&](const Block& block) {
    const auto [greatest, labels] = block.logs.max(1);
    result.labels.narrow(0, block.first, block.rows).copy_(labels);
    result.confidences.narrow(0, block.first, block.rows).copy_((greatest - block.totals).exp_());
    result.log_likelihoods.narrow(0, block.first, block.rows).copy_(block.totals);
  });
  return result;
}

}  // namespace flexae
