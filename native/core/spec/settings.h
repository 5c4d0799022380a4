// Written by `npm run tables` from ts/config/parameters.ts: change that instead.
// clang-format off
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/spec/setting.h"
#include "core/spec/vocabulary.h"

namespace flexae {

/// The network. The four lists of the convolutions have one length.
struct ModelConfig {
  /// height and width the images are resized to
  int64_t height = 256;
  /// height and width the images are resized to
  int64_t width = 256;
  /// 1 grayscale, 3 RGB
  int64_t channels = 1;
  /// filters of the convolutions, one a layer
  std::vector<int64_t> filters{32, 64, 128, 256};
  /// 2×2 pooling of each layer: avg, max or no
  std::vector<Pooling> pooling{Pooling::kAvg, Pooling::kAvg, Pooling::kNone, Pooling::kNone};
  /// kernel size of each layer
  std::vector<int64_t> kernel_size{5, 5, 3, 3};
  /// stride of each layer
  std::vector<int64_t> strides{2, 2, 2, 2};
  /// activation of the hidden layers
  Activation activation = Activation::kElu;
  /// activation of the last dense layers of the encoder and the decoder
  Activation last_activation = Activation::kSelu;
  /// dropout of the flattened convolutions and of the dense encoder
  double drop_rate = 0.5;
  /// widths of the dense encoder; the last is the embedding
  std::vector<int64_t> dims{1000};
  /// dense layers on or off; off, the embedding is the flattened convolutions
  bool mlp = true;
  /// bias in the dense layers
  bool use_bias = true;
  /// initial weights of the dense layers, by Keras's names
  Initializer kernel_initializer = Initializer::kGlorotUniform;
  /// initial biases of the dense layers
  Initializer bias_initializer = Initializer::kZeros;
  /// penalty on the dense weights, e.g. l2(0.001)
  Regularizer kernel_regularizer;
  /// penalty on the dense biases
  Regularizer bias_regularizer;
  /// penalty on the dense outputs
  Regularizer activity_regularizer;
  /// constraint on the dense weights, e.g. max_norm(2)
  Constraint kernel_constraint;
  /// constraint on the dense biases
  Constraint bias_constraint;
  /// initial weights of the convolutions
  Initializer cnn_kernel_initializer = Initializer::kGlorotUniform;
  /// initial biases of the convolutions
  Initializer cnn_bias_initializer = Initializer::kZeros;
  /// penalty on the convolutions' weights
  Regularizer cnn_kernel_regularizer;
  /// momentum of the batch normalisation's moving statistics
  double batch_norm_momentum = 0.99;
  /// epsilon of the batch normalisation
  double batch_norm_epsilon = 0.001;
};

/// How a network is trained.
struct TrainingSettings {
  /// epochs
  int64_t epochs = 100;
  /// images in a batch
  int64_t batch_size = 32;
  /// sgd, rmsprop, adagrad, adadelta, adam, adamw, adamax, nadam
  OptimizerKind optimizer = OptimizerKind::kAdadelta;
  /// learning rate
  double learning_rate = 1.0;
  /// epochs without a better validation loss before stopping
  int64_t patience = 100;
  /// least epochs between two ep….ckpt checkpoints, which only the best so far get
  int64_t period = 100;
  /// epochs between two last.ckpt, from which --resume goes on; 0 for none
  int64_t checkpoint_epochs = 1;
  /// minutes between two last.ckpt within an epoch; 0 for none
  double checkpoint_minutes = 10.0;
  /// how many ep….ckpt checkpoints stay, the newest
  int64_t keep = 0;
  /// what a loss or gradient that is not finite does: stop, or skip (back to the last good point at
  /// half the learning rate, at most three times)
  OnNan on_nan = OnNan::kStop;
  /// of several processes, normalize by the whole batch, as one would; or each by its own part
  bool sync_batch_norm = true;
  /// everything random follows from it
  int64_t seed = 1;
  /// auto, cpu, cuda or cuda:N
  std::string device = "auto";
  /// auto, fp32 or bf16; auto takes bf16 where the hardware computes it
  std::string precision = "auto";
  /// compute threads
  int64_t threads = 0;
  /// flip training images left to right at random
  bool horizontal_flip = true;
  /// flip training images upside down at random
  bool vertical_flip = true;
};

/// Calls `visit(setting, member)` for each member of a ModelConfig, const or not.
template <typename Struct, typename Visit>
void for_each_model_setting(Struct& of, const Visit& visit) {
  visit(Setting{.key = "height", .name = "imageShape",
                .least = 8, .most = 65536,
                .expected = "two integers from 8 to 65536 (height, width)"},
        of.height);
  visit(Setting{.key = "width", .name = "imageShape",
                .least = 8, .most = 65536,
                .expected = "two integers from 8 to 65536 (height, width)"},
        of.width);
  visit(Setting{.key = "channels", .name = "channels",
                .among = {1, 3},
                .expected = "1 (grayscale) or 3 (RGB)"},
        of.channels);
  visit(Setting{.key = "filters", .name = "filters",
                .least = 1, .most = 1048576.0, .most_entries = 64,
                .expected = "a list of 1 to 64 integers from 1 to 1048576"},
        of.filters);
  visit(Setting{.key = "pooling", .name = "pooling",
                .per_layer = true},
        of.pooling);
  visit(Setting{.key = "kernelSize", .name = "kernel_size",
                .least = 1, .most = 255, .per_layer = true,
                .expected = "a list of integers from 1 to 255"},
        of.kernel_size);
  visit(Setting{.key = "strides", .name = "strides",
                .least = 1, .most = 255, .per_layer = true,
                .expected = "a list of integers from 1 to 255"},
        of.strides);
  visit(Setting{.key = "activation", .name = "activation"},
        of.activation);
  visit(Setting{.key = "lastActivation", .name = "last_activation"},
        of.last_activation);
  visit(Setting{.key = "dropRate", .name = "dropRate",
                .least = 0, .most = 1, .below_most = true,
                .expected = "a number of at least 0 and below 1"},
        of.drop_rate);
  visit(Setting{.key = "dims", .name = "dims",
                .least = 1, .most = 1048576.0, .most_entries = 64,
                .expected = "a list of 1 to 64 integers from 1 to 1048576"},
        of.dims);
  visit(Setting{.key = "mlp", .name = "AutoencoderMLP_switch"},
        of.mlp);
  visit(Setting{.key = "useBias", .name = "use_bias"},
        of.use_bias);
  visit(Setting{.key = "kernelInitializer", .name = "kernel_initializer"},
        of.kernel_initializer);
  visit(Setting{.key = "biasInitializer", .name = "bias_initializer"},
        of.bias_initializer);
  visit(Setting{.key = "kernelRegularizer", .name = "kernel_regularizer"},
        of.kernel_regularizer);
  visit(Setting{.key = "biasRegularizer", .name = "bias_regularizer"},
        of.bias_regularizer);
  visit(Setting{.key = "activityRegularizer", .name = "activity_regularizer"},
        of.activity_regularizer);
  visit(Setting{.key = "kernelConstraint", .name = "kernel_constraint"},
        of.kernel_constraint);
  visit(Setting{.key = "biasConstraint", .name = "bias_constraint"},
        of.bias_constraint);
  visit(Setting{.key = "cnnKernelInitializer", .name = "cnn_kernel_initializer"},
        of.cnn_kernel_initializer);
  visit(Setting{.key = "cnnBiasInitializer", .name = "cnn_bias_initializer"},
        of.cnn_bias_initializer);
  visit(Setting{.key = "cnnKernelRegularizer", .name = "cnn_kernel_regularizer"},
        of.cnn_kernel_regularizer);
  visit(Setting{.key = "batchNormMomentum", .name = "batch_norm_momentum",
                .least = 0, .most = 1, .below_most = true,
                .expected = "a number of at least 0 and below 1"},
        of.batch_norm_momentum);
  visit(Setting{.key = "batchNormEpsilon", .name = "batch_norm_epsilon",
                .least = 0, .above_least = true,
                .expected = "a number above 0"},
        of.batch_norm_epsilon);
}

/// Calls `visit(setting, member)` for each member of a TrainingSettings, const or not.
template <typename Struct, typename Visit>
void for_each_training_setting(Struct& of, const Visit& visit) {
  visit(Setting{.key = "epochs", .name = "train_epochs",
                .least = 1, .most = 2147483647.0,
                .expected = "an integer of at least 1"},
        of.epochs);
  visit(Setting{.key = "batchSize", .name = "batch_size",
                .least = 1, .most = 2147483647.0,
                .expected = "an integer of at least 1"},
        of.batch_size);
  visit(Setting{.key = "optimizer", .name = "optimizer"},
        of.optimizer);
  visit(Setting{.key = "learningRate", .name = "learning_rate",
                .least = 0, .above_least = true,
                .expected = "a number above 0"},
        of.learning_rate);
  visit(Setting{.key = "patience", .name = "patience",
                .least = 1, .most = 2147483647.0,
                .expected = "an integer of at least 1"},
        of.patience);
  visit(Setting{.key = "period", .name = "period",
                .least = 1, .most = 2147483647.0,
                .expected = "an integer of at least 1"},
        of.period);
  visit(Setting{.key = "checkpointEpochs", .name = "checkpoint_epochs",
                .least = 0, .most = 2147483647.0,
                .expected = "an integer of at least 0 (0: no last.ckpt)"},
        of.checkpoint_epochs);
  visit(Setting{.key = "checkpointMinutes", .name = "checkpoint_minutes",
                .least = 0, .most = 1000000.0,
                .expected = "a number from 0 (only between epochs) to 1000000"},
        of.checkpoint_minutes);
  visit(Setting{.key = "keep", .name = "keep",
                .least = 0, .most = 2147483647.0,
                .expected = "an integer of at least 0 (0: all)"},
        of.keep);
  visit(Setting{.key = "onNan", .name = "on_nan"},
        of.on_nan);
  visit(Setting{.key = "syncBatchNorm", .name = "sync_batch_norm"},
        of.sync_batch_norm);
  visit(Setting{.key = "seed", .name = "seed",
                .least = 0, .most = 9007199254740991.0,
                .expected = "an integer from 0 to 9007199254740991"},
        of.seed);
  visit(Setting{.key = "device", .name = "device"},
        of.device);
  visit(Setting{.key = "precision", .name = "precision"},
        of.precision);
  visit(Setting{.key = "threads", .name = "threads",
                .least = 0, .most = 1024,
                .expected = "an integer from 0 (by cores) to 1024"},
        of.threads);
  visit(Setting{.key = "horizontalFlip", .name = "horizontal_flip"},
        of.horizontal_flip);
  visit(Setting{.key = "verticalFlip", .name = "vertical_flip"},
        of.vertical_flip);
}

}  // namespace flexae
