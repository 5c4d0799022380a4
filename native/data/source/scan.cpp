#include "data/source/scan.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "data/files/path_text.h"

namespace flexae {
namespace {

constexpr std::array<std::string_view, 12> kExtensions = {
    "png", "jpg", "jpeg", "jpe", "bmp", "tif", "tiff", "webp", "pgm", "ppm", "pbm", "pnm"};

std::string quoted(const std::string& path) {
  return "'" + shown_path(path) + "'";
}

std::string join(const std::string& folder, const std::string& name) {
  return folder.back() == '/' ? folder + name : folder + "/" + name;
}

/// So many entries are read between two reports: a folder may hold a million.
constexpr int64_t kEntriesAReport = 1024;

/// Counts what is found, and tells whoever waits for it.
class Reporter {
 public:
  explicit Reporter(const ScanProgress& progress) : progress_(progress) {}

  void add(bool is_image) {
    images_ += is_image ? 1 : 0;
    if (++entries_ % kEntriesAReport == 0 && progress_ && !progress_(images_)) {
      throw ScanCancelled{};
    }
  }

 private:
  const ScanProgress& progress_;
  int64_t images_ = 0;
  int64_t entries_ = 0;
};

/// One folder's entries, each kind in bytewise order of its names.
struct Listing {
  std::vector<std::string> images;
  std::vector<std::string> folders;
  std::vector<std::string> folder_links;
  int64_t others = 0;
};

[[noreturn]] void throw_unreadable(const std::string& folder, int error) {
  const std::string why = std::generic_category().message(error);
  throw Error(ErrorCode::kData, "Cannot read the folder " + quoted(folder) + ": " + why +
                                    ". Make it readable (chmod u+rx) or choose another folder.");
}

Listing list(const std::string& folder, Reporter& reporter) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(folder.c_str()), &closedir);
  if (!stream) throw_unreadable(folder, errno);
  Listing listing;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): own stream
    if (entry == nullptr) {
      if (errno != 0) throw_unreadable(folder, errno);
      break;
    }
    const std::string name = entry->d_name;
    if (name.starts_with('.')) continue;
    const auto add_file = [&] {
      const bool is_image = has_image_extension(name);
      reporter.add(is_image);
      if (is_image) {
        listing.images.push_back(name);
      } else {
        ++listing.others;
      }
    };
    // d_type spares a stat for each of what may be millions of files.
    if (entry->d_type == DT_DIR) {
      reporter.add(false);
      listing.folders.push_back(name);
      continue;
    }
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) {
      add_file();
      continue;
    }
    const std::string path = join(folder, name);
    struct stat own = {};
    if (lstat(path.c_str(), &own) != 0) continue;
    const bool link = S_ISLNK(own.st_mode);
    struct stat target = own;
    if ((link && stat(path.c_str(), &target) != 0) || !S_ISDIR(target.st_mode)) {
      add_file();
    } else {
      (link ? listing.folder_links : listing.folders).push_back(name);
    }
  }
  for (auto* names : {&listing.images, &listing.folders, &listing.folder_links}) {
    std::sort(names->begin(), names->end());
  }
  return listing;
}

/// Collects the images of the classes of one folder, listing each real folder once.
class Walker {
 public:
  struct Class {
    std::string name;
    std::vector<std::string> files;
    /// Folders of an image's name that have nothing in them.
    std::vector<std::string> hollow;
  };

  explicit Walker(Reporter& reporter) : reporter_(reporter) {}

  void walk_classes(const std::string& root, const Listing& listing) {
    others_ = listing.others;
    mark_seen(root);
    // Real folders come before links, so that a link never takes the files from the class they
    // lie in.
    for (const std::string& name : listing.folders) {
      if (mark_seen(join(root, name))) walk(join(root, name), name, add_class(name));
    }
    for (const std::string& name : listing.folder_links) {
      links_.push_back({join(root, name), name, add_class(name)});
    }
    std::sort(links_.begin(), links_.end(),
              [](const Link& a, const Link& b) { return a.path < b.path; });
    while (!links_.empty()) {
      const Link link = links_.front();
      links_.pop_front();
      if (mark_seen(link.path)) walk(link.path, link.name, link.owner);
    }
  }

  std::deque<Class>& classes() { return classes_; }
  [[nodiscard]] int64_t others() const { return others_; }

 private:
  struct Link {
    std::string path;
    std::string name;
    Class* owner;
  };

  Class* add_class(const std::string& name) { return &classes_.emplace_back(Class{name, {}, {}}); }

  /// False for a folder listed before, or one that has gone since its name was read.
  bool mark_seen(const std::string& path) {
    struct stat target = {};
    if (stat(path.c_str(), &target) != 0) {
      if (errno == ENOENT) return false;
      throw_unreadable(path, errno);
    }
    return seen_.emplace(target.st_dev, target.st_ino).second;
  }

  void walk(const std::string& folder, const std::string& own_name, Class* owner) {
    const Listing listing = list(folder, reporter_);
    others_ += listing.others;
    if (listing.images.empty() && listing.folders.empty() && listing.folder_links.empty() &&
        has_image_extension(own_name)) {
      owner->hollow.push_back(folder);
    }
    for (const std::string& name : listing.images) owner->files.push_back(join(folder, name));
    for (const std::string& name : listing.folders) {
      if (mark_seen(join(folder, name))) walk(join(folder, name), name, owner);
    }
    for (const std::string& name : listing.folder_links) {
      links_.push_back({join(folder, name), name, owner});
    }
  }

  Reporter& reporter_;
  std::deque<Class> classes_;  // a deque, because links point into it
  std::deque<Link> links_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  int64_t others_ = 0;
};

std::string absolute(const std::string& folder) {
  std::error_code error;
  auto path = std::filesystem::absolute(folder, error);
  // "link/.." is not the folder that holds the link, so only the system can resolve it.
  const bool climbs = std::find(path.begin(), path.end(), "..") != path.end();
  if (climbs) path = std::filesystem::canonical(path, error);
  if (error) throw_unreadable(folder, error.value());
  std::string text = path.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

bool has_image_extension(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  std::string extension(name.substr(dot + 1));
  for (char& character : extension) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character + 32);
  }
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

FolderScan scan_folder(const std::string& folder, const ScanProgress& progress) {
  if (folder.empty()) {
    throw Error(ErrorCode::kData, "The folder of images has an empty name. Give its path.");
  }
  struct stat info = {};
  if (stat(folder.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) throw_unreadable(folder, errno);
    throw Error(ErrorCode::kData, "There is no folder " + quoted(folder) +
                                      ". Create it and put images in it, or give another path.");
  }
  if (!S_ISDIR(info.st_mode)) {
    throw Error(ErrorCode::kData,
                quoted(folder) + " is not a folder. Give the path of a folder of images.");
  }

  const std::string root = absolute(folder);
  Reporter reporter(progress);
  Listing listing = list(root, reporter);
  Walker walker(reporter);
  walker.walk_classes(root, listing);
  for (std::string& name : listing.images) name = join(root, name);
  auto& classes = walker.classes();
  for (Walker::Class& entry : classes) {
    // They are named with the images they lie among, but make no class of their own.
    auto& among = entry.files.empty() ? listing.images : entry.files;
    std::move(entry.hollow.begin(), entry.hollow.end(), std::back_inserter(among));
  }
  std::sort(listing.images.begin(), listing.images.end());
  std::erase_if(classes, [](const Walker::Class& c) { return c.files.empty(); });
  std::sort(classes.begin(), classes.end(),
            [](const Walker::Class& a, const Walker::Class& b) { return a.name < b.name; });

  FolderScan scan;
  scan.others = walker.others();
  for (auto& entry : classes) {
    std::sort(entry.files.begin(), entry.files.end());
    const auto label = static_cast<int32_t>(scan.classes.size());
    scan.labels.insert(scan.labels.end(), entry.files.size(), label);
    scan.classes.push_back(entry.name);
    std::move(entry.files.begin(), entry.files.end(), std::back_inserter(scan.files));
  }
  if (scan.files.empty()) {
    scan.files = std::move(listing.images);
  } else {
    scan.loose = static_cast<int64_t>(listing.images.size());
  }
  if (scan.files.empty()) {
    throw Error(ErrorCode::kData,
                "There are no images in " + quoted(folder) +
                    ". Put .png, .jpg, .bmp, .tif, .webp or .pnm files in it, or one sub-folder "
                    "of them a class.");
  }
  return scan;
}

}  // namespace flexae
