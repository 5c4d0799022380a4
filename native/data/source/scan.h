#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace flexae {

/// The image files below a folder.
struct FolderScan {
  /// Absolute paths, ordered by class, then by path; compared bytewise.
  std::vector<std::string> files;
  /// Names of the sub-folders that hold images, in order; empty for a flat folder.
  std::vector<std::string> classes;
  /// For each file, its position in `classes`; empty for a flat folder.
  std::vector<int32_t> labels;
  /// Images lying directly in a folder that has classes: left out, since they belong to none.
  int64_t loose = 0;
  /// Files that are passed over because their names are not those of images.
  int64_t others = 0;
};

/// Told now and then how many images were found so far. False ends the scan.
using ScanProgress = std::function<bool(int64_t images)>;

/// A scan was ended by its ScanProgress.
struct ScanCancelled {};

/// Whether a file name ends in a known image extension (png jpg jpeg jpe bmp tif tiff webp pgm ppm
/// pbm pnm, in any case).
[[nodiscard]] bool has_image_extension(std::string_view name);

/// Lists the image files below `folder`: those of its sub-folders at any depth, each sub-folder a
/// class, or its own when no sub-folder holds an image. Files are chosen by extension and not
/// opened. Names that begin with a dot are passed over.
///
/// Links are followed, but every real folder is listed once: links that lead back up, or to a
/// folder listed already, add nothing. What has the name of an image but is none counts as a file,
/// so that loading it tells about it: a link to a missing file, a pipe, an empty folder.
///
/// Throws Error(kData) when `folder` is missing, is no folder, holds no image, or when it or a
/// sub-folder cannot be read; ScanCancelled where `progress` says so.
[[nodiscard]] FolderScan scan_folder(const std::string& folder, const ScanProgress& progress = {});

}  // namespace flexae
