/** ONNX's Conv, ConvTranspose and pooling, of one image, by its operator specification. */
import { type Node, type Operator, type Window, windowCounts, windowOf } from "./onnx_node.js";
import { products, spread, turn } from "./products.js";
import { floats, type Tensor } from "./tensor.js";

/** Numbers of unfolded windows that are there at once: what a cache holds. */
const UNFOLDED = 1 << 15;

/**
 * What the windows of `count` outputs hold, from the output `begin` on: a row of channels, rows and
 * columns each; zeros beyond the image.
 */
function unfold(
  x: Float32Array,
  [channels, height, width]: readonly [number, number, number],
  { kernel, strides, pads }: Window,
  columns: number,
  begin: number,
  count: number,
  unfolded: Float64Array,
): void {
  const [kernelRows, kernelColumns] = kernel;
  let at = 0;
  for (let pixel = begin; pixel < begin + count; pixel++) {
    const row = Math.floor(pixel / columns);
    const y0 = row * strides[0] - pads[0];
    const x0 = (pixel - row * columns) * strides[1] - pads[1];
    for (let channel = 0; channel < channels; channel++) {
      for (let ky = 0; ky < kernelRows; ky++) {
        const y = y0 + ky;
        const isRow = y >= 0 && y < height;
        const line = (channel * height + y) * width;
        for (let column = x0; column < x0 + kernelColumns; column++) {
          const isInside = isRow && column >= 0 && column < width;
          unfolded[at++] = isInside ? (x[line + column] as number) : 0;
        }
      }
    }
  }
}

/** Y[m, y, x] = B[m] + Σ W[m, c, ky, kx] · X[c, y·s + ky − pad, x·s + kx − pad] */
export const conv: Operator = (node) => {
  const [channels] = node.image(0);
  const weights = node.input(1);
  const [filters, depth, ...sizes] = weights.shape as [number, number, number, number];
  const window = windowOf(node, sizes);
  if (depth !== channels || window.kernel.join() !== sizes.join()) {
    throw node.fail("its weights are of other sizes");
  }
  const [rows, columns] = windowCounts(node, window);
  const [x, w] = [node.floats(0), node.floats(1)];
  const bias = node.inputs[2] === undefined ? null : node.floats(2);
  const taps = channels * window.kernel[0] * window.kernel[1];
  const pixels = rows * columns;
  const out = new Float32Array(filters * pixels);
  const most = Math.min(pixels, Math.max(4, Math.floor(UNFOLDED / taps)));
  const unfolded = new Float64Array(most * taps);
  const sums = new Float64Array(filters * spread(most));
  for (let begin = 0; begin < pixels; begin += most) {
    const count = Math.min(most, pixels - begin);
    unfold(x, node.image(0), window, columns, begin, count, unfolded);
    products(w, filters, unfolded, count, taps, sums);
    for (let filter = 0; filter < filters; filter++) {
      const shift = bias === null ? 0 : (bias[filter] as number);
      const source = filter * spread(count);
      const target = filter * pixels + begin;
      for (let i = 0; i < count; i++) out[target + i] = (sums[source + i] as number) + shift;
    }
  }
  return floats([1, filters, rows, columns], out);
};

/** Lines of an image, a pixel after the other, each with its channels. */
function linesOf(
  x: Float32Array,
  [channels, height, width]: readonly [number, number, number],
  begin: number,
  lines: number,
  images: Float64Array,
): void {
  const pixels = lines * width;
  for (let channel = 0; channel < channels; channel++) {
    const from = (channel * height + begin) * width;
    for (let i = 0; i < pixels; i++) images[i * channels + channel] = x[from + i] as number;
  }
}

/** Adds what `lines` lines of a tensor give to a plane, for each place of the window. */
function scatter(
  shares: Float64Array,
  [begin, lines, width]: readonly [number, number, number],
  { kernel, strides, pads }: Window,
  columns: number,
  plane: Float64Array,
): void {
  const stride = spread(lines * width);
  const rows = plane.length / columns;
  for (let tap = 0; tap < kernel[0] * kernel[1]; tap++) {
    const ky = Math.floor(tap / kernel[1]);
    const first = tap - ky * kernel[1] - pads[1];
    for (let line = 0; line < lines; line++) {
      const y = (begin + line) * strides[0] + ky - pads[0];
      if (y < 0 || y >= rows) continue;
      let at = tap * stride + line * width;
      for (let i = 0, to = first; i < width; i++, to += strides[1]) {
        const share = shares[at++] as number;
        if (to < 0 || to >= columns) continue;
        const target = y * columns + to;
        plane[target] = (plane[target] as number) + share;
      }
    }
  }
}

/** Y[m, y·s + ky − pad, x·s + kx − pad] += W[c, m, ky, kx] · X[c, y, x], from B[m] on. */
export const convTranspose: Operator = (node) => {
  const [channels, height, width] = node.image(0);
  const weights = node.input(1);
  const [depth, filters, ...sizes] = weights.shape as [number, number, number, number];
  const { kernel, strides, pads } = windowOf(node, sizes);
  if (depth !== channels || kernel.join() !== sizes.join()) {
    throw node.fail("its weights are of other sizes");
  }
  const added = node.ints("output_padding", [0, 0]);
  const [rows, columns] = [height, width].map((size, axis) => {
    const reach = (size - 1) * (strides[axis] as number) + (kernel[axis] as number);
    const cut = (pads[axis] as number) + (pads[2 + axis] as number);
    return reach + (added[axis] as number) - cut;
  }) as [number, number];
  if (rows < 1 || columns < 1) throw node.fail("nothing is left of its output");
  const [x, w] = [node.floats(0), node.floats(1)];
  const bias = node.inputs[2] === undefined ? null : node.floats(2);
  const taps = kernel[0] * kernel[1];
  // Channels last, so that each product reads on.
  const turned = new Float32Array(w.length);
  turn(w, channels, filters * taps, turned);
  const sums = new Float64Array(filters * rows * columns);
  if (bias !== null) {
    for (let m = 0; m < filters; m++) {
      sums.fill(bias[m] as number, m * rows * columns, (m + 1) * rows * columns);
    }
  }
  const mostLines = Math.min(height, Math.max(1, Math.floor(UNFOLDED / (width * channels))));
  const images = new Float64Array(mostLines * width * channels);
  const shares = new Float64Array(taps * spread(mostLines * width));
  for (let begin = 0; begin < height; begin += mostLines) {
    const lines = Math.min(mostLines, height - begin);
    const pixels = lines * width;
    linesOf(x, [channels, height, width], begin, lines, images);
    for (let m = 0; m < filters; m++) {
      const filter = turned.subarray(m * taps * channels, (m + 1) * taps * channels);
      products(filter, taps, images, pixels, channels, shares);
      const plane = sums.subarray(m * rows * columns, (m + 1) * rows * columns);
      scatter(shares, [begin, lines, width], { kernel, strides, pads }, columns, plane);
    }
  }
  return floats([1, filters, rows, columns], Float32Array.from(sums));
};

/** What each window holds within the image, brought into one number. */
function pool(
  node: Node,
  first: number,
  add: (sum: number, value: number) => number,
  finish: (sum: number, inside: number, size: number) => number,
): Tensor {
  const [channels, height, width] = node.image(0);
  const window = windowOf(node);
  const [rows, columns] = windowCounts(node, window);
  const [kernelRows, kernelColumns] = window.kernel;
  const x = node.floats(0);
  const out = new Float32Array(channels * rows * columns);
  let at = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const y0 = row * window.strides[0] - window.pads[0];
      const [top, bottom] = [Math.max(y0, 0), Math.min(y0 + kernelRows, height)];
      for (let column = 0; column < columns; column++) {
        const x0 = column * window.strides[1] - window.pads[1];
        const [left, right] = [Math.max(x0, 0), Math.min(x0 + kernelColumns, width)];
        let sum = first;
        for (let y = top; y < bottom; y++) {
          const line = (channel * height + y) * width;
          for (let i = left; i < right; i++) sum = add(sum, x[line + i] as number);
        }
        const inside = (bottom - top) * (right - left);
        out[at++] = finish(sum, inside, kernelRows * kernelColumns);
      }
    }
  }
  return floats([1, channels, rows, columns], out);
}

export const averagePool: Operator = (node) => {
  const countPads = node.int("count_include_pad", 0) !== 0;
  return pool(
    node,
    0,
    (sum, value) => sum + value,
    (sum, inside, size) => sum / (countPads ? size : inside),
  );
};

export const maxPool: Operator = (node) =>
  pool(
    node,
    Number.NEGATIVE_INFINITY,
    (most, value) => Math.max(most, value),
    (most) => most,
  );
