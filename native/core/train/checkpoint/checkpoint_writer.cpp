#include "core/train/checkpoint/checkpoint_writer.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <utility>

#include "core/files/atomic_file.h"

namespace flexae {

CheckpointWriter::CheckpointWriter(std::string run_dir, int64_t keep)
    : run_dir_(std::move(run_dir)), keep_(keep) {}

CheckpointWriter::~CheckpointWriter() {
  if (writing_.valid()) writing_.wait();
}

void CheckpointWriter::write(std::shared_ptr<const Checkpoint> checkpoint,
                             const std::vector<std::string>& links) {
  wait();
  writing_ = std::async(std::launch::async, [this, checkpoint = std::move(checkpoint), links] {
    std::vector<std::string> paths;
    paths.reserve(links.size());
    for (const std::string& name : links) paths.push_back(run_dir_ + "/" + name);
    const std::string last = run_dir_ + "/last.ckpt";
    link_file_atomic(last, run_dir_ + "/previous.ckpt");
    write_checkpoint(last, *checkpoint, paths);
    if (keep_ > 0) prune();
  });
}

void CheckpointWriter::check() {
  if (writing_.valid() && writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    writing_.get();
  }
}

void CheckpointWriter::wait() {
  if (writing_.valid()) writing_.get();
}

void CheckpointWriter::prune() const {
  static const std::regex pattern(R"(ep(\d{3,10})-loss\d+\.\d{7}-val_loss\d+\.\d{7}\.ckpt)");
  std::vector<std::pair<int64_t, std::filesystem::path>> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir_, error)) {
    const std::string name = entry.path().filename().string();
    std::smatch match;
    if (std::regex_match(name, match, pattern)) {
      found.emplace_back(std::strtoll(match[1].str().c_str(), nullptr, 10), entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  const auto keep = static_cast<size_t>(keep_);
  for (size_t i = 0; i + keep < found.size(); ++i) std::filesystem::remove(found[i].second, error);
}

}  // namespace flexae
