#include "core/comm/process_group.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "ranks.h"

namespace flexae {
namespace {

class ProcessGroups : public testing::Test {
 protected:
  void SetUp() override {
    if (!processes_problem().empty()) GTEST_SKIP() << processes_problem();
  }
};

void expect_none(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST_F(ProcessGroups, AddUpBroadcastAndGather) {
  expect_none(run_ranks(3, [](ProcessGroup& group) {
    const int rank = group.rank();
    EXPECT_EQ(group.size(), 3);
    // Several under way, on both lanes.
    const at::Tensor large = at::full({100'000}, rank + 1, at::kFloat);
    const at::Tensor small = at::full({3}, 10.0 * (rank + 1), at::kDouble);
    const auto first = group.start_sum(large, Communicator::Lane::kBulk);
    const auto second = group.start_sum(small, Communicator::Lane::kQuick);
    second->wait();
    first->wait();
    EXPECT_TRUE(at::equal(large, at::full({100'000}, 6, at::kFloat)));
    EXPECT_TRUE(at::equal(small, at::full({3}, 60, at::kDouble)));
    const at::Tensor given = at::full({4}, rank, at::kFloat);
    group.broadcast(given);
    EXPECT_TRUE(at::equal(given, at::zeros({4})));
    EXPECT_EQ(group.broadcast_text(rank == 0 ? "all alike" : ""), "all alike");
    EXPECT_EQ(group.broadcast_text(""), "");
    // Of different lengths, one of them empty.
    const std::vector<std::string> texts =
        group.gather(std::string(static_cast<size_t>(rank), 'x'));
    EXPECT_EQ(texts, (std::vector<std::string>{"", "x", "xx"}));
    EXPECT_EQ(group.exchange("from " + std::to_string(rank)),
              (std::vector<std::string>{"from 0", "from 1", "from 2"}));
    EXPECT_GE(group.traffic().bulk_bytes, 400'000);
  }));
}

TEST_F(ProcessGroups, OneThatFailsEndsAllOthersWithItsReason) {
  const std::vector<std::string> errors = run_ranks(3, [](ProcessGroup& group) {
    if (group.rank() == 1) throw Error(ErrorCode::kIo, "the disk is full");
    // The third does not come to this sum.
    group.sum(at::ones({2}));
  });
  EXPECT_EQ(errors[1], "the disk is full");
  for (const size_t rank : {0, 2}) {
    EXPECT_NE(errors[rank].find("rank 1 ("), std::string::npos) << errors[rank];
    EXPECT_NE(errors[rank].find("failed: the disk is full"), std::string::npos) << errors[rank];
  }
}

TEST_F(ProcessGroups, SaysWhoDidNotCome) {
  JoinOptions options = place_of(0, 3, free_port());
  options.join_seconds = 1;
  try {
    (void)ProcessGroup::join(options);
    FAIL() << "joined nobody";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kProcess);
    EXPECT_NE(std::string(error.what()).find("rank 1, 2 did not come"), std::string::npos)
        << error.what();
  }
}

TEST_F(ProcessGroups, SaysThatThePortIsInUse) {
  const int taken = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_any;
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  getsockname(taken, reinterpret_cast<sockaddr*>(&address), &length);
  const int port = ntohs(address.sin6_port);
  try {
    JoinOptions options = place_of(0, 2, port);
    options.join_seconds = 2;
    (void)ProcessGroup::join(options);
    FAIL() << "joined";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_NE(std::string(error.what()).find("Port " + std::to_string(port) + " is in use"),
              std::string::npos)
        << error.what();
  }
  close(taken);
}

}  // namespace
}  // namespace flexae
