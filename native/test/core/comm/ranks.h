#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/comm/process_group.h"

namespace flexae {

/// A port that nobody has, a moment ago.
inline int free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  bind(probe, reinterpret_cast<sockaddr*>(&address), length);
  getsockname(probe, reinterpret_cast<sockaddr*>(&address), &length);
  close(probe);
  return ntohs(address.sin_port);
}

inline JoinOptions place_of(int rank, int size, int port) {
  JoinOptions options;
  options.rank = rank;
  options.world_size = size;
  options.master_address = "127.0.0.1";
  options.master_port = port;
  options.prefix = "test";
  options.join_seconds = 30;
  return options;
}

/// Threads that join as processes do, by sockets; each leaves when it is done. \return what each
/// one threw, as text.
inline std::vector<std::string> run_ranks(int size,
                                          const std::function<void(ProcessGroup&)>& body) {
  const int port = free_port();
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      std::unique_ptr<ProcessGroup> group;
      try {
        group = ProcessGroup::join(place_of(rank, size, port));
        body(*group);
      } catch (const std::exception& error) {
        errors[static_cast<size_t>(rank)] = error.what();
        if (group) group->fail(error.what());
      }
      if (group) group->leave();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace flexae
