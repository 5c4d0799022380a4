#pragma once

#include <barrier>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

// Stands in for CUDA where a kernel of cuda/kernels is compiled as plain C++, for tests: include
// this, set the kernel's macros, and include the kernel within a namespace. Blocks run one after
// the other, the threads of a block as threads of the host; slow, and exact about barriers.

#define GLOBAL_KERNEL inline
#define ALIGNED_SHARED alignas(16) static
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
/// One block runs at a time, so that what is static is the block's.
#define __shared__ static
#define __restrict__

namespace flexae::host_threads {

/// A place in a grid or a block, or the size of one, as CUDA's dim3.
struct Dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

inline thread_local Dim3 this_thread;
inline thread_local Dim3 this_block;
inline Dim3 block_size;
inline Dim3 grid_size;
inline std::unique_ptr<std::barrier<>> block_barrier;

/// Runs `kernel`, a call with its arguments, for a grid of blocks of `threads` threads.
inline void launch(Dim3 grid, unsigned threads, const std::function<void()>& kernel) {
  grid_size = grid;
  block_size = {threads, 1, 1};
  block_barrier = std::make_unique<std::barrier<>>(threads);
  std::vector<std::jthread> team;
  team.reserve(threads);
  for (unsigned thread = 0; thread < threads; ++thread) {
    team.emplace_back([&, thread] {
      this_thread = {thread, 0, 0};
      for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
          for (unsigned x = 0; x < grid.x; ++x) {
            this_block = {x, y, z};
            kernel();
            block_barrier->arrive_and_wait();
          }
        }
      }
    });
  }
}

}  // namespace flexae::host_threads

#define threadIdx flexae::host_threads::this_thread
#define blockIdx flexae::host_threads::this_block
#define blockDim flexae::host_threads::block_size
#define gridDim flexae::host_threads::grid_size
#define __syncthreads() flexae::host_threads::block_barrier->arrive_and_wait()
