#include "core/comm/process_group.h"

#include <atomic>

#include "core/base/error.h"
#include "core/comm/nccl.h"

#ifdef FLEXAE_GLOO

#include <ATen/ATen.h>
#include <arpa/inet.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <utility>

#include "core/comm/membership.h"

#endif

namespace flexae {
namespace {

std::atomic<bool> lost_others{false};

}  // namespace

std::string nccl_problem() {
  return Nccl::problem();
}

bool has_lost_others() {
  return lost_others.load();
}

#ifndef FLEXAE_GLOO

std::string processes_problem() {
  return "this build has no gloo.\nInstall Debian's libgloo-dev and build the addon again";
}

std::unique_ptr<ProcessGroup> ProcessGroup::join(const JoinOptions& /*options*/) {
  throw Error(ErrorCode::kConfig,
              "Several processes cannot train together: " + processes_problem() + ".");
}

#else

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Gloo = c10::intrusive_ptr<c10d::ProcessGroupGloo>;

/// Of one sum. Whoever is lost is found sooner by its signs of life; this is for one that lives and
/// does not come.
constexpr std::chrono::minutes kLongestSum{10};
constexpr milliseconds kLook{200};
/// Small sums of few processes are gathered, which takes half of the messages of a ring.
constexpr int kMostGathered = 8;
constexpr int64_t kFewNumbers = int64_t{1} << 14;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// This host's address as the one at `host` sees it; "" if it cannot be told.
std::string address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return "";
  std::string address;
  for (const addrinfo* to = found; to != nullptr && address.empty(); to = to->ai_next) {
    const int probe = socket(to->ai_family, SOCK_DGRAM, 0);
    if (probe < 0) continue;
    // Nothing is sent: the kernel says by which address it would be.
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    std::array<char, NI_MAXHOST> text{};
    if (connect(probe, to->ai_addr, to->ai_addrlen) == 0 &&
        getsockname(probe, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      address = text.data();
    }
    close(probe);
  }
  freeaddrinfo(found);
  return address;
}

Gloo make_gloo(const Membership& members, const char* lane) {
  const JoinOptions& join = members.options();
  auto options = c10d::ProcessGroupGloo::Options::create(
      milliseconds(static_cast<int64_t>(join.join_seconds * 1000)));
  options->threads = 2;
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  const std::string address = address_towards(join.master_address, join.master_port);
  if (interface != nullptr && *interface != '\0') {
    options->devices = {c10d::ProcessGroupGloo::createDeviceForInterface(interface)};
  } else if (!address.empty()) {
    options->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(address)};
  } else {
    options->devices = {c10d::ProcessGroupGloo::createDefaultDevice()};
  }
  const auto store = c10::make_intrusive<c10d::PrefixStore>(lane, members.store());
  auto made =
      c10::make_intrusive<c10d::ProcessGroupGloo>(store, join.rank, join.world_size, options);
  made->setTimeout(kLongestSum);
  return made;
}

/// What a sum's end tells whoever waits for it.
struct End {
  std::mutex mutex;
  std::condition_variable change;
  bool is_there = false;
  std::string error;
  double seconds = 0;
};

class GlooGroup : public ProcessGroup {
 public:
  explicit GlooGroup(const JoinOptions& options) : members_(Membership::join(options)) {
    // It waits for others without looking whether they live.
    const auto lanes = std::make_shared<std::pair<Gloo, Gloo>>();
    run_watched([members = members_, lanes] {
      lanes->first = make_gloo(*members, "quick");
      lanes->second = make_gloo(*members, "bulk");
    });
    quick_ = lanes->first;
    bulk_ = lanes->second;
  }

  ~GlooGroup() override {
    if (has_left_) return;
    // Its destructor would wait for those who are gone.
    lost_others.store(true);
    (void)nccl_.release();
    (void)quick_.release();
    (void)bulk_.release();
  }

  [[nodiscard]] int rank() const override { return members_->options().rank; }
  [[nodiscard]] int size() const override { return members_->options().world_size; }
  [[nodiscard]] Traffic traffic() const override { return traffic_; }

  std::unique_ptr<Reduction> start_sum(const at::Tensor& tensor, Lane lane) override {
    if (sums_on_device(tensor)) return start_on_device(tensor, lane);
    // gloo adds up in the host's memory.
    const at::Tensor host = tensor.cpu();
    if (lane == Lane::kQuick && size() <= kMostGathered && host.numel() <= kFewNumbers) {
      return start_gathered(tensor, host);
    }
    return std::make_unique<Sum>(*this, lane, tensor, host, start(lane, [&](Gloo& gloo) {
      std::vector<at::Tensor> tensors{host};
      return gloo->allreduce(tensors);
    }));
  }

  void broadcast(const at::Tensor& tensor) override {
    const at::Tensor host = tensor.cpu();
    Sum(*this, Lane::kQuick, tensor, host, start(Lane::kQuick, [&](Gloo& gloo) {
      std::vector<at::Tensor> tensors{host};
      return gloo->broadcast(tensors);
    })).wait();
  }

  std::vector<std::string> exchange(const std::string& text) override {
    return members_->exchange(text);
  }

  void fail(const std::string& reason) noexcept override {
    const JoinOptions& me = members_->options();
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    members_->hear();
    members_->fail("rank " + std::to_string(me.rank) + " (" + host.data() + ", process " +
                   std::to_string(getpid()) + ") failed: " + first_line(reason));
  }

  void leave() override {
    members_->leave();
    if (members_->has_failed()) {
      lost_others.store(true);
      return;
    }
    has_left_ = true;
    nccl_.reset();
    quick_.reset();
    bulk_.reset();
  }

 private:
  /// A sum under way, in `host`, which is `tensor` on a CPU.
  class Sum : public Reduction {
   public:
    Sum(GlooGroup& group, Lane lane, at::Tensor tensor, at::Tensor host, std::shared_ptr<End> end)
        : group_(group),
          lane_(lane),
          tensor_(std::move(tensor)),
          host_(std::move(host)),
          end_(std::move(end)) {}

    void wait() override {
      const auto begin = Clock::now();
      double seconds = 0;
      std::string error;
      {
        std::unique_lock lock(end_->mutex);
        while (!end_->change.wait_for(lock, kLook, [this] { return end_->is_there; })) {
          lock.unlock();
          group_.members_->require_all();
          lock.lock();
        }
        seconds = end_->seconds;
        error = end_->error;
      }
      if (!error.empty()) group_.members_->explain(first_line(error));
      if (!parts_.empty()) {
        host_.copy_(parts_.front());
        for (size_t rank = 1; rank < parts_.size(); ++rank) host_.add_(parts_[rank]);
      }
      if (!tensor_.is_same(host_) && !tensor_.is_cpu()) tensor_.copy_(host_);
      group_.count(lane_, host_.numel() * host_.element_size(), seconds, seconds_since(begin));
    }

    /// The sum is that of these, once they are there.
    void add_up(std::vector<at::Tensor> parts) { parts_ = std::move(parts); }

   private:
    GlooGroup& group_;
    Lane lane_;
    at::Tensor tensor_;
    at::Tensor host_;
    std::shared_ptr<End> end_;
    std::vector<at::Tensor> parts_;
  };

  /// A sum that was sent to a device, whose current stream waits for it.
  class DeviceSum : public Reduction {
   public:
    DeviceSum(at::Device device, const c10::Stream& side) : device_(device), done_(device.type()) {
      done_.record(side);
    }
    void wait() override {
      done_.block(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
    }

   private:
    at::Device device_;
    c10::Event done_;
  };

  /// Everyone's numbers come to everyone, and each adds them up in the order of ranks: the same to
  /// the last bit. A ring would add up on its way, and go round twice.
  std::unique_ptr<Reduction> start_gathered(const at::Tensor& tensor, const at::Tensor& host) {
    std::vector<at::Tensor> parts;
    for (int rank = 0; rank < size(); ++rank) parts.push_back(at::empty_like(host));
    auto sum = std::make_unique<Sum>(*this, Lane::kQuick, tensor, host,
                                     start(Lane::kQuick, [&](Gloo& gloo) {
                                       std::vector<std::vector<at::Tensor>> outputs{parts};
                                       std::vector<at::Tensor> inputs{host};
                                       return gloo->allgather(outputs, inputs);
                                     }));
    sum->add_up(std::move(parts));
    return sum;
  }

  /// Whether NCCL adds it up; all processes come to the same.
  bool sums_on_device(const at::Tensor& tensor) {
    if (!tensor.is_cuda()) return false;
    if (!has_tried_nccl_) {
      has_tried_nccl_ = true;
      try_nccl(tensor.device());
    }
    return nccl_ != nullptr;
  }

  bool all_of_us(bool have) {
    const at::Tensor count = at::full({1}, have ? 1 : 0, at::kLong);
    sum(count);
    return count.item<int64_t>() == size();
  }

  /// Without it, as where processes share a GPU, sums go by the host.
  void try_nccl(at::Device device) {
    if (!all_of_us(Nccl::problem().empty())) return;
    const std::string id = broadcast_text(rank() == 0 ? Nccl::new_id() : std::string());
    const auto made = std::make_shared<std::unique_ptr<Nccl>>();
    run_watched([made, id, device, rank = rank(), size = size()] {
      try {
        *made = std::make_unique<Nccl>(id, rank, size, device);
      } catch (const Error&) {
        made->reset();
      }
    });
    if (!all_of_us(*made != nullptr)) return;
    nccl_ = std::move(*made);
    side_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }

  std::unique_ptr<Reduction> start_on_device(const at::Tensor& tensor, Lane lane) {
    members_->require_all();
    const at::Device device = tensor.device();
    c10::Event ready(device.type());
    ready.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
    ready.block(*side_);
    nccl_->sum(tensor, *side_);
    // How long it takes the host does not look at.
    count(lane, tensor.numel() * tensor.element_size(), 0, 0);
    return std::make_unique<DeviceSum>(device, *side_);
  }

  template <typename Work>
  std::shared_ptr<End> start(Lane lane, Work work) {
    members_->require_all();
    auto end = std::make_shared<End>();
    const auto begin = Clock::now();
    try {
      const auto future = work(lane == Lane::kQuick ? quick_ : bulk_)->getFuture();
      future->addCallback([end, begin](c10::ivalue::Future& done) {
        const std::lock_guard lock(end->mutex);
        end->is_there = true;
        end->seconds = seconds_since(begin);
        if (done.hasError()) end->error = done.tryRetrieveErrorMessage();
        end->change.notify_all();
      });
    } catch (const std::exception& error) {
      members_->explain(first_line(error.what()));
    }
    return end;
  }

  void count(Lane lane, int64_t bytes, double seconds, double waited) {
    ++traffic_.sums;
    traffic_.bytes += bytes;
    traffic_.seconds += seconds;
    traffic_.waited += waited;
    if (lane == Lane::kQuick) return;
    traffic_.bulk_bytes += bytes;
    traffic_.bulk_seconds += seconds;
    traffic_.bulk_waited += waited;
  }

  /// Runs `work` on a thread of its own, and leaves it there if another process is lost meanwhile.
  template <typename Work>
  void run_watched(Work work) {
    const auto end = std::make_shared<End>();
    std::thread([end, work] {
      std::string error;
      try {
        work();
      } catch (const std::exception& thrown) {
        error = thrown.what();
      }
      const std::lock_guard lock(end->mutex);
      end->is_there = true;
      end->error = error;
      end->change.notify_all();
    }).detach();
    std::unique_lock lock(end->mutex);
    while (!end->change.wait_for(lock, kLook, [&] { return end->is_there; })) {
      lock.unlock();
      try {
        members_->require_all();
      } catch (...) {
        lost_others.store(true);
        throw;
      }
      lock.lock();
    }
    if (end->error.empty()) return;
    lost_others.store(true);
    members_->explain(first_line(end->error));
  }

  std::shared_ptr<Membership> members_;
  Gloo quick_;
  Gloo bulk_;
  std::unique_ptr<Nccl> nccl_;  ///< Null where sums of a device's values go by the host.
  std::optional<c10::Stream> side_;
  bool has_tried_nccl_ = false;
  Traffic traffic_;
  bool has_left_ = false;
};

}  // namespace

std::string processes_problem() {
  return "";
}

std::unique_ptr<ProcessGroup> ProcessGroup::join(const JoinOptions& options) {
  return std::make_unique<GlooGroup>(options);
}

#endif

}  // namespace flexae
