#include "core/export/exporter.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/model/autoencoder.h"
#include "core/model/loaded_model.h"
#include "test/core/temporary_folder.h"

namespace flexae {
namespace {

TEST(ExporterTest, WritesTheAutoencoderAndTheEncoderByDefault) {
  const TemporaryFolder folder;
  ModelConfig config;
  config.height = config.width = 16;
  config.filters = {2, 3};
  config.pooling = {Pooling::kNone, Pooling::kNone};
  config.kernel_size = {3, 3};
  config.strides = {2, 2};
  config.dims = {5};
  const Autoencoder model(config, /*seed=*/1, at::kCPU);
  const Exporters exporters = default_exporters();
  ASSERT_EQ(exporters.size(), 2U);
  EXPECT_EQ(exporters[0]->file(), "ae.pt");
  EXPECT_EQ(exporters[1]->file(), "en.pt");
  for (const auto& exporter : exporters) {
    const std::string path = folder.path(exporter->file());
    exporter->write(model, path, R"({"x":1})");
    // That config.json does not describe the network: its TorchScript must be trusted.
    const LoadedModel loaded(path, at::kCPU, /*trust=*/true, /*native=*/false);
    EXPECT_EQ(loaded.is_autoencoder(), exporter->file() == "ae.pt");
    EXPECT_EQ(loaded.config_json(), R"({"x":1})");
    EXPECT_EQ(loaded.embedding_shape(), std::vector<int64_t>{5});
  }
}

}  // namespace
}  // namespace flexae
