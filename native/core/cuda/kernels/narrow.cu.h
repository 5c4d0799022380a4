// Convolutions between images of few channels and cells of many: the first layer of an encoder, and
// the last of a decoder. Cell (y, x) stands under the taps (ty, tx) of the pixels
// (y·STRIDE + ty − pad_y, x·STRIDE + tx − pad_x).
//
//   KERNEL, STRIDE  taps a line, pixels from cell to cell
//   CHANNELS        of the images
//   CELLS           channels of the cells
//   VECTOR          channels of cells a thread of `forward` computes; CELLS / VECTOR is a power of
//   2
//
// Weights are fp32 in memory, in the order [CELLS][KERNEL][KERNEL][CHANNELS]; with bf16 storage
// they are rounded to it, as factors of products are. Sums are fp32.
//
// A block works on tiles of TILE_W×TILE_H cells, held in shared memory, and takes the next tile
// when it is done, so that weights are loaded once a block.

#define TILE_W 32
#define TILE_H 8
#define TAPS (KERNEL * KERNEL * CHANNELS)

__device__ inline float as_factor(float weight) {
#if STORAGE_BF16
  storage narrow;
  from_float(weight, narrow);
  return to_float(narrow);
#else
  return weight;
#endif
}

/// Weights as [tap][channel of cells], the tap counting as (ty, tx, channel of the image).
__device__ inline void load_weights(const float* weight, float* shared) {
  for (int i = (int)threadIdx.x; i < TAPS * CELLS; i += (int)blockDim.x) {
    const int c = i / TAPS;
    shared[(i - c * TAPS) * CELLS + c] = as_factor(weight[i]);
  }
}

/// A tile's place.
struct Tile {
  long long n;
  int y, x;  ///< Of its first cell.
};
__device__ inline Tile tile_at(long long i, int rows, int columns) {
  const int across = (columns + TILE_W - 1) / TILE_W;
  const int down = (rows + TILE_H - 1) / TILE_H;
  Tile t;
  t.n = i / ((long long)across * down);
  const int rest = (int)(i - t.n * across * down);
  t.y = rest / across * TILE_H;
  t.x = rest % across * TILE_W;
  return t;
}

#define PATCH_W ((TILE_W - 1) * STRIDE + KERNEL)
#define PATCH_H ((TILE_H - 1) * STRIDE + KERNEL)

/// The pixels under a tile, fp32, zero outside of the image: [PATCH_H][PATCH_W][CHANNELS].
__device__ inline void load_patch(const storage* image, const Tile& t, int h, int w, int pad_y,
                                  int pad_x, float* patch) {
  const storage* from = image + t.n * h * w * CHANNELS;
  const int top = t.y * STRIDE - pad_y;
  const int left = t.x * STRIDE - pad_x;
  for (int i = (int)threadIdx.x; i < PATCH_H * PATCH_W * CHANNELS; i += (int)blockDim.x) {
    const int row = i / (PATCH_W * CHANNELS);
    const int rest = i - row * (PATCH_W * CHANNELS);
    const int column = rest / CHANNELS;
    const int y = top + row;
    const int x = left + column;
    const bool inside = y >= 0 && y < h && x >= 0 && x < w;
    patch[i] =
        inside ? to_float(from[((long long)y * w + x) * CHANNELS + rest - column * CHANNELS]) : 0;
  }
}

#define GROUPS (CELLS / VECTOR)
/// Cells side by side that a thread computes.
#define SIDE 4

/// cells[n, y, x, c] = Σ image·weight. Threads: GROUPS × (TILE_W / SIDE) × TILE_H.
GLOBAL_KERNEL void __launch_bounds__(256)
    forward(const storage* __restrict__ image, const float* __restrict__ weight,
            storage* __restrict__ cells, long long tiles, int h, int w, int rows, int columns,
            int pad_y, int pad_x) {
  ALIGNED_SHARED float weights[TAPS * CELLS];
  __shared__ float patch[PATCH_H * PATCH_W * CHANNELS];
  load_weights(weight, weights);
  const int group = (int)threadIdx.x % GROUPS;
  const int quad = (int)threadIdx.x / GROUPS;
  for (long long i = blockIdx.x; i < tiles; i += gridDim.x) {
    const Tile t = tile_at(i, rows, columns);
    __syncthreads();
    load_patch(image, t, h, w, pad_y, pad_x, patch);
    __syncthreads();
    for (int q = quad; q < TILE_W / SIDE * TILE_H; q += (int)blockDim.x / GROUPS) {
      const int dy = q / (TILE_W / SIDE);
      const int dx = q % (TILE_W / SIDE) * SIDE;
      float sums[SIDE][VECTOR] = {};
      // Not unrolled: the compiler would keep all weights in registers, of which there are too few.
#pragma unroll 1
      for (int ty = 0; ty < KERNEL; ++ty) {
        const float* line = patch + ((dy * STRIDE + ty) * PATCH_W + dx * STRIDE) * CHANNELS;
        float pixels[((SIDE - 1) * STRIDE + KERNEL) * CHANNELS];
#pragma unroll
        for (int k = 0; k < ((SIDE - 1) * STRIDE + KERNEL) * CHANNELS; ++k) pixels[k] = line[k];
#pragma unroll
        for (int k = 0; k < KERNEL * CHANNELS; ++k) {
          const float* factors = weights + (ty * KERNEL * CHANNELS + k) * CELLS + group * VECTOR;
#pragma unroll
          for (int v = 0; v < VECTOR; ++v) {
            const float factor = factors[v];
#pragma unroll
            for (int s = 0; s < SIDE; ++s) sums[s][v] += pixels[s * STRIDE * CHANNELS + k] * factor;
          }
        }
      }
      const int y = t.y + dy;
      if (y >= rows) continue;
#pragma unroll
      for (int s = 0; s < SIDE; ++s) {
        const int x = t.x + dx + s;
        if (x < columns) {
          store<VECTOR>(
              cells + ((t.n * rows + y) * (long long)columns + x) * CELLS + group * VECTOR,
              sums[s]);
        }
      }
    }
  }
}

/// Cells beside a tile's own that its pixels stand under, before it.
#define BEFORE ((KERNEL + STRIDE - 1) / STRIDE - 1)
/// Cells of a tile in shared memory, with a gap so that threads side by side meet other banks.
#define CELL_PITCH (CELLS + 4)
/// Lines of a tile of `backward_data` for which there is room.
#define SCATTER_H (STORAGE_BF16 ? 8 : 4)

/// The image from the cells, each pixel once: pixels (b·STRIDE + phase − pad) stand under the cells
/// b, b − 1, … A thread has the STRIDE×STRIDE pixels of several b. Threads: 8 × SCATTER_H; the tile
/// is TILE_W×SCATTER_H.
GLOBAL_KERNEL void __launch_bounds__(256)
    backward_data(const storage* __restrict__ cells, const float* __restrict__ weight,
                  storage* __restrict__ image, long long tiles, int h, int w, int rows, int columns,
                  int blocks_y, int blocks_x, int pad_y, int pad_x) {
  ALIGNED_SHARED float weights[TAPS * CELLS];
  ALIGNED_SHARED storage near[(SCATTER_H + BEFORE) * (TILE_W + BEFORE) * CELL_PITCH];
  load_weights(weight, weights);
  const int lane = (int)threadIdx.x % 8;
  const int dy = (int)threadIdx.x / 8;
  const int across = (blocks_x + TILE_W - 1) / TILE_W;
  const int down = (blocks_y + SCATTER_H - 1) / SCATTER_H;
  for (long long i = blockIdx.x; i < tiles; i += gridDim.x) {
    const long long n = i / ((long long)across * down);
    const int rest = (int)(i - n * across * down);
    const int top = rest / across * SCATTER_H;
    const int left = rest % across * TILE_W;
    __syncthreads();
    const storage* from = cells + n * rows * columns * (long long)CELLS;
    for (int k = (int)threadIdx.x * 4; k < (SCATTER_H + BEFORE) * (TILE_W + BEFORE) * CELLS;
         k += (int)blockDim.x * 4) {
      const int place = k / CELLS;
      const int c = k - place * CELLS;
      const int y = top - BEFORE + place / (TILE_W + BEFORE);
      const int x = left - BEFORE + place % (TILE_W + BEFORE);
      Packed<4> four = {};
      if (y >= 0 && y < rows && x >= 0 && x < columns) {
        four = *reinterpret_cast<const Packed<4>*>(from + ((long long)y * columns + x) * CELLS + c);
      }
      *reinterpret_cast<Packed<4>*>(near + place * CELL_PITCH + c) = four;
    }
    __syncthreads();
    float sums[SIDE][STRIDE * STRIDE * CHANNELS] = {};
    for (int c = 0; c < CELLS; c += 4) {
#pragma unroll
      for (int j = 0; j <= BEFORE; ++j) {
#pragma unroll
        for (int k = 0; k <= BEFORE; ++k) {
          float values[SIDE][4];
#pragma unroll
          for (int s = 0; s < SIDE; ++s) {
            load<4>(near +
                        ((dy + BEFORE - j) * (TILE_W + BEFORE) + lane + 8 * s + BEFORE - k) *
                            CELL_PITCH +
                        c,
                    values[s]);
          }
#pragma unroll
          for (int py = 0; py < STRIDE; ++py) {
            const int ty = py + STRIDE * j;
#pragma unroll
            for (int px = 0; px < STRIDE; ++px) {
              const int tx = px + STRIDE * k;
              if (ty >= KERNEL || tx >= KERNEL) continue;
#pragma unroll
              for (int ch = 0; ch < CHANNELS; ++ch) {
                const float* factors = weights + ((ty * KERNEL + tx) * CHANNELS + ch) * CELLS + c;
#pragma unroll
                for (int v = 0; v < 4; ++v) {
                  const float factor = factors[v];
#pragma unroll
                  for (int s = 0; s < SIDE; ++s) {
                    sums[s][(py * STRIDE + px) * CHANNELS + ch] += values[s][v] * factor;
                  }
                }
              }
            }
          }
        }
      }
    }
#pragma unroll
    for (int s = 0; s < SIDE; ++s) {
#pragma unroll
      for (int p = 0; p < STRIDE * STRIDE; ++p) {
        const int y = (top + dy) * STRIDE + p / STRIDE - pad_y;
        const int x = (left + lane + 8 * s) * STRIDE + p % STRIDE - pad_x;
        if (y < 0 || y >= h || x < 0 || x >= w) continue;
#pragma unroll
        for (int ch = 0; ch < CHANNELS; ++ch) {
          from_float(sums[s][p * CHANNELS + ch],
                     image[((n * h + y) * (long long)w + x) * CHANNELS + ch]);
        }
      }
    }
  }
}

/// Parts of the weight's gradient: each is a line of taps of one channel of the image, for four
/// channels of cells.
#define PARTS (KERNEL * CHANNELS * (CELLS / 4))
/// Threads that share a tile's cells out among them, for each part.
#define STREAMS (256 / PARTS)
/// Lines of a tile for which there is room.
#define GRADIENT_H (STORAGE_BF16 && CHANNELS == 1 && KERNEL <= 5 ? 8 : 4)
#define GRADIENT_PATCH_H ((GRADIENT_H - 1) * STRIDE + KERNEL)

/// Σ image·cells over a block's tiles: partial sums [block][CELLS][KERNEL][KERNEL][CHANNELS].
/// Threads: PARTS × STREAMS. A tile is TILE_W×GRADIENT_H cells.
GLOBAL_KERNEL void __launch_bounds__(256)
    backward_weights(const storage* __restrict__ image, const storage* __restrict__ cells,
                     float* __restrict__ partials, long long tiles, int h, int w, int rows,
                     int columns, int pad_y, int pad_x) {
  __shared__ float patch[GRADIENT_PATCH_H * PATCH_W * CHANNELS];
  ALIGNED_SHARED storage tile[GRADIENT_H * TILE_W * CELLS];
  __shared__ float totals[STREAMS * TAPS * CELLS];
  const int part = (int)threadIdx.x % PARTS;
  const int stream = (int)threadIdx.x / PARTS;
  const int c = part % (CELLS / 4) * 4;
  const int ch = part / (CELLS / 4) % CHANNELS;
  const int ty = part / (CELLS / 4) / CHANNELS;
  float sums[KERNEL][4] = {};
  const int across = (columns + TILE_W - 1) / TILE_W;
  const int down = (rows + GRADIENT_H - 1) / GRADIENT_H;
  for (long long i = blockIdx.x; i < tiles; i += gridDim.x) {
    const long long n = i / ((long long)across * down);
    const int rest = (int)(i - n * across * down);
    const int top = rest / across * GRADIENT_H;
    const int left = rest % across * TILE_W;
    __syncthreads();
    const storage* pixels = image + n * h * w * (long long)CHANNELS;
    for (int k = (int)threadIdx.x; k < GRADIENT_PATCH_H * PATCH_W * CHANNELS;
         k += (int)blockDim.x) {
      const int row = k / (PATCH_W * CHANNELS);
      const int along = k - row * (PATCH_W * CHANNELS);
      const int column = along / CHANNELS;
      const int y = top * STRIDE - pad_y + row;
      const int x = left * STRIDE - pad_x + column;
      const bool inside = y >= 0 && y < h && x >= 0 && x < w;
      patch[k] =
          inside ? to_float(pixels[((long long)y * w + x) * CHANNELS + along - column * CHANNELS])
                 : 0;
    }
    const storage* from = cells + n * rows * columns * (long long)CELLS;
    for (int k = (int)threadIdx.x * 4; k < GRADIENT_H * TILE_W * CELLS; k += (int)blockDim.x * 4) {
      const int place = k / CELLS;
      const int y = top + place / TILE_W;
      const int x = left + place % TILE_W;
      Packed<4> four = {};
      if (y < rows && x < columns) {
        four = *reinterpret_cast<const Packed<4>*>(from + ((long long)y * columns + x) * CELLS + k -
                                                   place * CELLS);
      }
      *reinterpret_cast<Packed<4>*>(tile + k) = four;
    }
    __syncthreads();
    for (int q = stream; q < TILE_W / SIDE * GRADIENT_H; q += STREAMS) {
      const int dy = q / (TILE_W / SIDE);
      const int dx = q % (TILE_W / SIDE) * SIDE;
      const float* line = patch + ((dy * STRIDE + ty) * PATCH_W + dx * STRIDE) * CHANNELS + ch;
      float taps[(SIDE - 1) * STRIDE + KERNEL];
#pragma unroll
      for (int k = 0; k < (SIDE - 1) * STRIDE + KERNEL; ++k) taps[k] = line[k * CHANNELS];
#pragma unroll
      for (int s = 0; s < SIDE; ++s) {
        float values[4];
        load<4>(tile + (dy * TILE_W + dx + s) * CELLS + c, values);
#pragma unroll
        for (int k = 0; k < KERNEL; ++k) {
#pragma unroll
          for (int v = 0; v < 4; ++v) sums[k][v] += taps[s * STRIDE + k] * values[v];
        }
      }
    }
  }
#pragma unroll
  for (int k = 0; k < KERNEL; ++k) {
#pragma unroll
    for (int v = 0; v < 4; ++v) {
      totals[stream * TAPS * CELLS + (c + v) * TAPS + (ty * KERNEL + k) * CHANNELS + ch] =
          sums[k][v];
    }
  }
  __syncthreads();
  for (int k = (int)threadIdx.x; k < TAPS * CELLS; k += (int)blockDim.x) {
    float total = 0;
    for (int s = 0; s < STREAMS; ++s) total += totals[s * TAPS * CELLS + k];
    partials[(long long)blockIdx.x * TAPS * CELLS + k] = total;
  }
}

/// The blocks' partial sums added up in their order; 32 values × 8 slices a block of threads.
GLOBAL_KERNEL void __launch_bounds__(256)
    add_partials(const float* __restrict__ partials, int blocks, float* __restrict__ gradient) {
  __shared__ float slices[256];
  const int value = (int)blockIdx.x * 32 + (int)threadIdx.x % 32;
  float total = 0;
  if (value < TAPS * CELLS) {
    for (int b = (int)threadIdx.x / 32; b < blocks; b += 8) {
      total += partials[(long long)b * TAPS * CELLS + value];
    }
  }
  slices[threadIdx.x] = total;
  __syncthreads();
  if (threadIdx.x >= 32 || value >= TAPS * CELLS) return;
  for (int s = 1; s < 8; ++s) total += slices[s * 32 + threadIdx.x];
  gradient[value] = total;
}
