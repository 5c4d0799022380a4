// Embeds PNG files with a trained encoder, by libtorch.
//
//     embed_torch EN.PT IMAGE...
//
// Prints a line an image: its path, and the numbers.

#include <torch/script.h>

#include <cstdio>
#include <exception>
#include <vector>

#include "area_resize.h"
#include "image.h"

int main(int count, char** arguments) try {
  if (count < 3) {
    std::fputs("usage: embed_torch EN.PT IMAGE...\n", stderr);
    return 2;
  }
  const c10::InferenceMode no_gradients;
  torch::jit::Module encoder = torch::jit::load(arguments[1], torch::kCPU);
  encoder.eval();
  // Channels, height, width.
  const std::vector<int64_t> shape = encoder.attr("input_shape").toIntVector();
  for (int i = 2; i < count; ++i) {
    Image image = resize(with_channels(read_png(arguments[i]), shape[0]),
                         static_cast<size_t>(shape[2]), static_cast<size_t>(shape[1]));
    const at::Tensor rows =
        torch::from_blob(image.pixels.data(), {1, shape[1], shape[2], shape[0]}, torch::kUInt8);
    // Encoders take N×C×H×W, and of bytes each divided by 255.
    const at::Tensor images = rows.permute({0, 3, 1, 2}).contiguous();
    const at::Tensor embedding = encoder.forward({images}).toTensor().flatten();
    std::printf("%s", arguments[i]);
    for (int64_t k = 0; k < embedding.numel(); ++k) {
      std::printf(" %.9g", embedding[k].item<float>());
    }
    std::printf("\n");
  }
  return 0;
} catch (const c10::Error& error) {
  std::fprintf(stderr, "%s\n", error.what_without_backtrace());
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
