#include "core/model/layer_plan.h"

#include "core/cpu/conv_block.h"
#include "core/cpu/dense_layer.h"
#include "core/layers/batch_norm.h"
#include "core/layers/conv.h"
#include "core/layers/kinds.h"

namespace flexae {
namespace {

using Specs = std::span<const LayerSpec>;

/// One way to compute a few layers as one.
struct Implementation {
  /// How many of the layers that `specs` begins with it takes; 0 if it is not for them.
  size_t (*takes)(const std::vector<LayerSpec>& specs, size_t first);
  bool (*is_fast)(Specs specs);
  decltype(PlannedLayer::make) make;
};

bool always_fast(Specs /*specs*/) {
  return true;
}

bool is_pair(const std::vector<LayerSpec>& specs, size_t i, const LayerKind& first,
             const LayerKind& second) {
  return i + 1 < specs.size() && specs[i].is(first) && specs[i + 1].is(second);
}

constexpr Implementation kConvStage{
    .takes = conv_stage_length,
    .is_fast = always_fast,
    .make = [](Specs specs, const ModelConfig& config, Precision precision, uint64_t bits) {
      return make_conv_stage({specs.begin(), specs.end()}, config, precision, bits);
    }};

constexpr Implementation kDenseByHand{
    .takes = [](const std::vector<LayerSpec>& specs, size_t i) -> size_t {
      return specs[i].is(kinds::kDense) ? 1 : 0;
    },
    .is_fast = always_fast,
    .make = [](Specs specs, const ModelConfig& config, Precision /*precision*/,
               uint64_t bits) { return make_dense_layer(specs[0], config, bits); }};

constexpr Implementation kPooledNorm{
    .takes = [](const std::vector<LayerSpec>& specs, size_t i) -> size_t {
      return is_pair(specs, i, kinds::kBatchNorm, kinds::kPool) ? 2 : 0;
    },
    .is_fast = always_fast,
    .make = [](Specs specs, const ModelConfig& config, Precision /*precision*/,
               uint64_t /*bits*/) { return make_pooled_norm(specs[0], specs[1], config); }};

constexpr Implementation kUpsampledConv{
    .takes = [](const std::vector<LayerSpec>& specs, size_t i) -> size_t {
      const bool cuts_nothing_off =
          specs[i].out.h == 2 * specs[i].in.h && specs[i].out.w == 2 * specs[i].in.w;
      return cuts_nothing_off && is_pair(specs, i, kinds::kUpsample, kinds::kConvTranspose) ? 2 : 0;
    },
    .is_fast = [](Specs specs) { return upsampled_conv_has_gpu_kernels(specs[1]); },
    .make = [](Specs specs, const ModelConfig& config, Precision /*precision*/,
               uint64_t bits) { return make_upsampled_conv(specs[0], specs[1], config, bits); }};

size_t takes_any(const std::vector<LayerSpec>& /*specs*/, size_t /*first*/) {
  return 1;
}

std::unique_ptr<Layer> make_single(Specs specs, const ModelConfig& config, Precision /*precision*/,
                                   uint64_t bits) {
  return make_layer(specs[0], config, bits);
}

/// The layers of core/layers, which take whatever there is.
constexpr Implementation kSingleOnCpu{
    .takes = takes_any, .is_fast = [](Specs) { return false; }, .make = make_single};
constexpr Implementation kSingleOnGpu{
    .takes = takes_any,
    .is_fast = [](Specs specs) { return specs[0].kind->has_gpu_kernels(specs[0]); },
    .make = make_single};

// The first that takes a layer has it.
constexpr Implementation kOnCpu[] = {kConvStage, kDenseByHand, kSingleOnCpu};
constexpr Implementation kOnCpuWithoutStages[] = {kDenseByHand, kSingleOnCpu};
constexpr Implementation kOnGpu[] = {kPooledNorm, kUpsampledConv, kSingleOnGpu};

std::span<const Implementation> implementations(at::Device device, bool stages) {
  if (!device.is_cpu()) return kOnGpu;
  if (stages) return kOnCpu;
  return kOnCpuWithoutStages;
}

}  // namespace

std::vector<PlannedLayer> plan_layers(const std::vector<LayerSpec>& specs, at::Device device,
                                      bool stages) {
  std::vector<PlannedLayer> plan;
  for (size_t i = 0; i < specs.size(); i += plan.back().count) {
    for (const Implementation& implementation : implementations(device, stages)) {
      const size_t count = implementation.takes(specs, i);
      if (count == 0) continue;
      const Specs taken(specs.data() + i, count);
      PlannedLayer& planned = plan.emplace_back();
      planned.first = planned.seeded = i;
      planned.count = count;
      // An upsampling in front has no weights.
      if (count > 1 && specs[i].parameters() == 0) ++planned.seeded;
      planned.fast = implementation.is_fast(taken);
      planned.make = implementation.make;
      break;
    }
  }
  return plan;
}

std::vector<size_t> slow_layers(const std::vector<LayerSpec>& specs,
                                const std::vector<PlannedLayer>& plan) {
  std::vector<size_t> slow;
  for (const PlannedLayer& planned : plan) {
    for (size_t i = planned.first; i < planned.first + planned.count; ++i) {
      if (!planned.fast && specs[i].is_work()) slow.push_back(i);
    }
  }
  return slow;
}

std::string slow_layers_note(const std::vector<std::string>& names, at::Device device) {
  if (names.empty()) return "";
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  const bool one = names.size() == 1;
  return list + (one ? " has" : " have") + " no fast path on " + device.str() +
         ": libtorch's operations compute " + (one ? "it" : "them") +
         " one by one, which is slower.";
}

}  // namespace flexae
