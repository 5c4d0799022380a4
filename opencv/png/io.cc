// opencv4nodejs's `imencode` for PNG files, by libpng alone. It takes the place of io/io.cc where
// the binary is to be carried elsewhere: OpenCV's imgcodecs, videoio and highgui load some 250
// libraries, GDAL, GTK and FFmpeg among them.

#include "io/io.h"

#include <png.h>

namespace {

/// The format of libpng that lies in memory as the matrix does; throws if there is none.
png_uint_32 format_of(const cv::Mat& image) {
  switch (image.type()) {
    case CV_8UC1:
      return PNG_FORMAT_GRAY;
    case CV_8UC3:
      return PNG_FORMAT_BGR;
    case CV_8UC4:
      return PNG_FORMAT_BGRA;
    default:
      throw std::runtime_error("only bytes of 1, 3 or 4 channels can be encoded");
  }
}

std::vector<uchar> encode(const std::string& extension, const cv::Mat& image) {
  if (extension != ".png") throw std::runtime_error("only .png can be encoded here");
  if (image.empty()) throw std::runtime_error("the image is empty");
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.cols);
  header.height = static_cast<png_uint_32>(image.rows);
  header.format = format_of(image);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<uchar> file(size);
  const auto stride = static_cast<png_int_32>(image.step);
  if (png_image_write_to_memory(&header, file.data(), &size, 0, image.data, stride, nullptr) == 0) {
    throw std::runtime_error(header.message);
  }
  file.resize(size);
  return file;
}

}  // namespace

NAN_MODULE_INIT(Io::Init) {
  Nan::SetMethod(target, "imencode", Imencode);
}

NAN_METHOD(Io::Imencode) {
  FF::TryCatch tryCatch("Io::Imencode");
  std::string extension;
  cv::Mat image;
  if (FF::StringConverter::arg(0, &extension, info) || Mat::Converter::arg(1, &image, info)) {
    return tryCatch.reThrow();
  }
  try {
    const std::vector<uchar> file = encode(extension, image);
    const auto* bytes = reinterpret_cast<const char*>(file.data());
    info.GetReturnValue().Set(Nan::CopyBuffer(bytes, file.size()).ToLocalChecked());
  } catch (const std::exception& error) {
    tryCatch.throwError(error.what());
  }
}
