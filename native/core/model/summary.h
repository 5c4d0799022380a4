#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/model_config.h"

namespace flexae {

/// One layer: its output without the batch, its numbers, its multiply-accumulates for one image.
struct SummaryRow {
  std::string name;  ///< Full name, as in the exported models.
  std::string type;  ///< Keras's class name.
  std::vector<int64_t> output;
  int64_t parameters = 0;
  int64_t macs = 0;
  bool fast_path = true;  ///< False where libtorch's operations compute it one by one.
};

/// What a network is made of and costs; shapes without the batch, counts of numbers.
struct Summary {
  std::vector<int64_t> input;
  std::vector<SummaryRow> rows;
  int64_t total = 0;
  int64_t non_trainable = 0;
  int64_t encoder_parameters = 0;
  std::vector<int64_t> embedding;
  int64_t macs = 0;
  /// Estimated peak bytes of training: weights, gradients, optimizer state and best weights, and
  /// what the backward pass needs of the activations.
  int64_t training_bytes = 0;
};

/// `device`: on which it would train. Throws Error(kConfig) as make_layers() does.
Summary summarize(const ModelConfig& config, int64_t batch_size, OptimizerKind optimizer,
                  at::Device device = at::kCPU);

}  // namespace flexae
