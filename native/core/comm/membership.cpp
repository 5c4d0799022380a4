#include "core/comm/membership.h"

#ifdef FLEXAE_GLOO

#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "core/base/error.h"

namespace flexae {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kBeat{1000};
/// Without a sign of life for so long, a process is lost; where a connection to somebody broke, so
/// that one is lost for sure, sooner.
constexpr seconds kLost{12};
constexpr milliseconds kLostOfSuspects{4000};
constexpr milliseconds kSuspectBeat{200};
/// How long whoever met a broken connection waits for somebody to be named.
constexpr seconds kExplanation{20};
/// A store that does not answer for so long is gone.
constexpr seconds kStuck{14};
/// So long a process may take to hear that the training is over, and to leave it.
constexpr seconds kDeaf{13};
/// Whoever has the store keeps it for others so long.
constexpr seconds kLastOnes{20};
constexpr seconds kLastOnesOfFailure{3};
constexpr milliseconds kPoll{50};

constexpr const char* kFailed = "failed";
constexpr const char* kRoster = "roster";
constexpr const char* kBye = "bye";

std::string key(const char* what, int rank) {
  return std::string(what) + "/" + std::to_string(rank);
}

std::vector<uint8_t> to_bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

std::string to_text(const std::vector<uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string this_process() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return std::string(host.data()) + ", process " + std::to_string(getpid());
}

std::string place(const JoinOptions& options) {
  return options.master_address + ":" + std::to_string(options.master_port);
}

std::string whole_seconds(double seconds) {
  return std::to_string(static_cast<int64_t>(seconds)) + " s";
}

bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// What c10d says, without its stack.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::shared_ptr<Membership> Membership::join(const JoinOptions& options) {
  const std::shared_ptr<Membership> made(new Membership(options));
  made->open_store();
  try {
    made->take_seat();
    made->wait_for_all();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kProcess,
                "The store at " + place(options) +
                    " was lost while the processes came together: " + first_line(error));
  }
  std::thread([made] { made->watch(); }).detach();
  std::thread([made] { made->watch_the_watch(); }).detach();
  return made;
}

void Membership::open_store() {
  c10d::TCPStoreOptions tcp;
  tcp.port = static_cast<uint16_t>(options_.master_port);
  tcp.waitWorkers = false;
  tcp.timeout = milliseconds(static_cast<int64_t>(options_.join_seconds * 1000));
  const auto connect = [&](bool serves) -> c10::intrusive_ptr<c10d::Store> {
    tcp.isServer = serves;
    return c10::make_intrusive<c10d::PrefixStore>(
        options_.prefix, c10::make_intrusive<c10d::TCPStore>(options_.master_address, tcp));
  };
  try {
    store_ = connect(options_.hosts_store && options_.rank == 0);
    watched_ = connect(false);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    if (holds(text, "EADDRINUSE") || holds(text, "ddress already in use")) {
      throw Error(ErrorCode::kConfig,
                  "Port " + std::to_string(options_.master_port) +
                      " is in use: choose another one with MASTER_PORT, or end what has it.");
    }
    throw Error(ErrorCode::kProcess,
                "Rank " + std::to_string(options_.rank) + " cannot reach " +
                    (options_.hosts_store ? "rank 0" : "the store") + " at " + place(options_) +
                    " within " + whole_seconds(options_.join_seconds) +
                    ".\nSee that it runs there, that MASTER_ADDR and MASTER_PORT are right, and "
                    "that no firewall is between.");
  }
}

void Membership::take_seat() {
  const int rank = options_.rank;
  const std::string me = this_process();
  if (store_->add(key("seat", rank), 1) != 1) {
    throw Error(ErrorCode::kConfig,
                "Two processes are rank " + std::to_string(rank) + ", one of them " + me +
                    ".\nGive each a RANK of its own, and another MASTER_PORT to another training.");
  }
  store_->set(key("alive", rank), to_bytes("0"));
  store_->set(key("here", rank), to_bytes(std::to_string(options_.world_size) + " " + me));
}

void Membership::wait_for_all() {
  const auto until =
      Clock::now() + milliseconds(static_cast<int64_t>(options_.join_seconds * 1000));
  const int size = options_.world_size;
  std::vector<std::string> here;
  for (int i = 0; i < size; ++i) here.push_back(key("here", i));
  const auto has_failed = [&] {
    if (!store_->check({kFailed})) return;
    throw Error(ErrorCode::kProcess, to_text(store_->get(kFailed)));
  };
  if (options_.rank != 0) {
    // A little more: rank 0 says who is missing.
    while (!store_->check({kRoster})) {
      has_failed();
      if (Clock::now() > until + seconds(5)) {
        throw Error(ErrorCode::kProcess, "Rank 0 did not come to " + place(options_) + " within " +
                                             whole_seconds(options_.join_seconds) + ".");
      }
      std::this_thread::sleep_for(kPoll);
    }
  } else {
    while (!store_->check(here)) {
      has_failed();
      if (Clock::now() > until) {
        std::string missing;
        for (int i = 0; i < size; ++i) {
          if (!store_->check({here[static_cast<size_t>(i)]})) {
            missing += (missing.empty() ? "" : ", ") + std::to_string(i);
          }
        }
        const std::string reason =
            "Of " + std::to_string(size) + " processes, rank " + missing + " did not come to " +
            place(options_) + " within " + whole_seconds(options_.join_seconds) +
            ".\nStart all of them, with the same WORLD_SIZE, MASTER_ADDR and MASTER_PORT.";
        fail(reason);
        throw Error(ErrorCode::kProcess, reason);
      }
      std::this_thread::sleep_for(kPoll);
    }
    store_->set(kRoster, to_bytes("all"));
  }
  for (const std::vector<uint8_t>& bytes : store_->multiGet(here)) {
    const std::string text = to_text(bytes);
    const size_t space = text.find(' ');
    names_.push_back(text.substr(space + 1));
    if (text.substr(0, space) == std::to_string(size)) continue;
    throw Error(ErrorCode::kConfig, who(static_cast<int>(names_.size()) - 1) +
                                        " has a WORLD_SIZE of " + text.substr(0, space) +
                                        ", and rank " + std::to_string(options_.rank) + " one of " +
                                        std::to_string(size) + ".");
  }
}

std::string Membership::who(int rank) const {
  const auto at = static_cast<size_t>(rank);
  return "rank " + std::to_string(rank) + (at < names_.size() ? " (" + names_[at] + ")" : "");
}

void Membership::set_failure(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty() || is_over_) return;
  failure_ = reason;
  failed_at_ = Clock::now();
  change_.notify_all();
}

std::string Membership::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Membership::require_all() {
  const std::string reason = failure();
  if (reason.empty()) return;
  hear();
  throw Error(ErrorCode::kProcess, "The training ended: " + reason);
}

void Membership::hear() {
  const std::lock_guard lock(mutex_);
  is_heard_ = true;
  change_.notify_all();
}

void Membership::explain(const std::string& error) {
  {
    std::unique_lock lock(mutex_);
    suspects_ = true;
    change_.notify_all();
    change_.wait_for(lock, kExplanation, [this] { return !failure_.empty(); });
  }
  fail(who(options_.rank) + " lost its connection to another: " + error);
  require_all();
  throw Error(ErrorCode::kProcess, "The training ended: " + error);
}

void Membership::fail(const std::string& reason) noexcept {
  // There is a reason already; the store may be what is gone.
  if (has_failed()) return;
  try {
    store_->compareSet(kFailed, {}, to_bytes(reason));
    set_failure(to_text(store_->get(kFailed)));
  } catch (const std::exception&) {
    // Without the store, the others see it by themselves.
    set_failure(reason);
  }
}

std::vector<std::string> Membership::exchange(const std::string& text) {
  const std::string round = "exchange" + std::to_string(exchanges_++);
  std::vector<std::string> keys;
  for (int i = 0; i < options_.world_size; ++i) keys.push_back(key(round.c_str(), i));
  const std::string all = round + "/all";
  try {
    store_->set(keys[static_cast<size_t>(options_.rank)], to_bytes(text));
    // Rank 0 alone looks at everybody's.
    const std::vector<std::string> expected = options_.rank == 0 ? keys : std::vector{all};
    while (!store_->check(expected)) {
      require_all();
      std::this_thread::sleep_for(kPoll);
    }
    if (options_.rank == 0) store_->set(all, to_bytes("all"));
    std::vector<std::string> texts;
    for (const auto& bytes : store_->multiGet(keys)) texts.push_back(to_text(bytes));
    return texts;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    explain(first_line(error));
  }
}

void Membership::leave() {
  {
    const std::lock_guard lock(mutex_);
    if (is_store_gone_) {
      is_over_ = true;
      change_.notify_all();
      return;
    }
  }
  try {
    store_->set(key("alive", options_.rank), to_bytes(kBye));
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
      change_.notify_all();
    }
    if (options_.rank != 0 || !options_.hosts_store) return;
    // Where it failed, somebody never does.
    const auto patience = failure().empty() ? kLastOnes : kLastOnesOfFailure;
    std::vector<std::string> keys;
    for (int i = 0; i < options_.world_size; ++i) keys.push_back(key("alive", i));
    const auto until = Clock::now() + patience;
    while (Clock::now() < until) {
      bool all = true;
      for (const auto& bytes : store_->multiGet(keys)) all = all && to_text(bytes) == kBye;
      if (all) return;
      std::this_thread::sleep_for(kPoll);
    }
  } catch (const std::exception&) {
    // Whoever is gone need not be told.
  }
}

bool Membership::rest(milliseconds time) {
  std::unique_lock lock(mutex_);
  change_.wait_for(lock, time, [this] { return is_over_; });
  return !is_over_;
}

void Membership::watch() {
  const int size = options_.world_size;
  std::vector<std::string> last(static_cast<size_t>(size));
  std::vector<Clock::time_point> changed(static_cast<size_t>(size), Clock::now());
  bool suspected = false;
  for (int64_t beat = 1;; ++beat) {
    bool suspects = false;
    bool is_heard = false;
    {
      const std::lock_guard lock(mutex_);
      last_round_ = Clock::now();
      is_heard = is_heard_;
      suspects = suspects_;
      if (is_over_) return;
    }
    if (suspects && !suspected) changed.assign(changed.size(), Clock::now());
    suspected = suspects;
    try {
      watched_->set(key("alive", options_.rank), to_bytes(is_heard ? kBye : std::to_string(beat)));
      if (watched_->check({kFailed})) set_failure(to_text(watched_->get(kFailed)));
      std::vector<int> ranks;
      std::vector<std::string> keys;
      for (int i = 0; i < size; ++i) {
        const bool looks = i != options_.rank && (options_.rank == 0 || i == 0 || suspects);
        if (!looks) continue;
        ranks.push_back(i);
        keys.push_back(key("alive", i));
      }
      const auto found = watched_->multiGet(keys);
      for (size_t k = 0; k < ranks.size(); ++k) {
        const auto at = static_cast<size_t>(ranks[k]);
        const std::string text = to_text(found[k]);
        const auto now = Clock::now();
        if (text != last[at]) {
          last[at] = text;
          changed[at] = now;
        }
        const auto silent = now - changed[at];
        if (text == kBye
                ? !suspects
                : silent <= (suspects ? milliseconds(kLostOfSuspects) : milliseconds(kLost))) {
          continue;
        }
        fail(who(ranks[k]) + " was lost: it gave no sign of life for " +
             std::to_string(std::chrono::duration_cast<seconds>(silent).count()) + " s");
      }
    } catch (const std::exception&) {
      {
        const std::lock_guard lock(mutex_);
        is_store_gone_ = true;
      }
      set_failure(options_.hosts_store
                      ? who(0) + " was lost: the store it had at " + place(options_) + " is gone"
                      : "the store at " + place(options_) + " is gone");
    }
    if (!rest(suspects ? kSuspectBeat : kBeat)) return;
  }
}

void Membership::watch_the_watch() {
  while (rest(milliseconds(500))) {
    std::string unheard;
    {
      const std::lock_guard lock(mutex_);
      const auto now = Clock::now();
      if (now - last_round_ > kStuck) is_store_gone_ = true;
      if (failure_.empty() && is_store_gone_) {
        failure_ = "the store at " + place(options_) + " does not answer; " + who(0) +
                   ", or the network to it, is gone";
        failed_at_ = now;
        change_.notify_all();
      }
      if (!failure_.empty() && now - failed_at_ > kDeaf) unheard = failure_;
    }
    if (unheard.empty()) continue;
    // Whatever it is busy with, it will not see the others again. Files are written whole or not.
    std::fprintf(stderr, "flexae: The training ended: %s\n", unheard.c_str());
    _exit(1);
  }
}

}  // namespace flexae

#endif
