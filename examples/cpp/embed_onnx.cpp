// Embeds PNG files with an encoder exported by `--to onnx --with-resize`, by onnxruntime.
//
//     embed_onnx EN.ONNX IMAGE...
//
// Prints a line an image: its path, and the numbers. The graph resizes, so that nothing does here.

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "image.h"

int main(int count, char** arguments) try {
  if (count < 3) {
    std::fputs("usage: embed_onnx EN.ONNX IMAGE...\n", stderr);
    return 2;
  }
  const Ort::Env env;
  Ort::Session session(env, arguments[1], Ort::SessionOptions());
  const Ort::TypeInfo type = session.GetInputTypeInfo(0);
  const auto input = type.GetTensorTypeAndShapeInfo();
  if (input.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 || input.GetShape()[1] != -1) {
    throw std::runtime_error("the model resizes nothing: export it with --with-resize");
  }
  // Images × height × width × channels, of which only the channels are the model's to say.
  const int64_t channels = input.GetShape()[3];
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const char* taken = "images";
  const char* given = "embedding";
  for (int i = 2; i < count; ++i) {
    Image image = with_channels(read_png(arguments[i]), channels);
    const std::array<int64_t, 4> shape = {1, static_cast<int64_t>(image.height),
                                          static_cast<int64_t>(image.width), channels};
    const Ort::Value images = Ort::Value::CreateTensor<uint8_t>(
        memory, image.pixels.data(), image.pixels.size(), shape.data(), shape.size());
    const auto outputs = session.Run(Ort::RunOptions(), &taken, &images, 1, &given, 1);
    const float* embedding = outputs[0].GetTensorData<float>();
    const size_t numbers = outputs[0].GetTensorTypeAndShapeInfo().GetElementCount();
    std::printf("%s", arguments[i]);
    for (size_t k = 0; k < numbers; ++k) std::printf(" %.9g", embedding[k]);
    std::printf("\n");
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
