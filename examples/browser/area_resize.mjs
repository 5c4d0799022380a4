/**
 * Makes of an image what a model takes, as flexible-autoencoder does with `interpolation: area`, to
 * within a grey level. It needs nothing, and runs in Node.js and in browsers.
 *
 * An image is `{ data, width, height, channels }`: bytes, row by row, the channels of a pixel
 * beside each other. 1 channel is gray, 2 are gray and alpha, 3 are RGB, 4 are RGB and alpha.
 */

/** Gray levels (`wanted` is 1) or RGB (3) of an image. Alpha is dropped, not blended. */
function withChannels({ data, width, height, channels }, wanted) {
  if (channels === wanted) return { data, width, height, channels };
  const isGray = channels < 3;
  const result = new Uint8Array(width * height * wanted);
  for (let from = 0, to = 0; to < result.length; from += channels, to += wanted) {
    const red = data[from];
    const green = isGray ? red : data[from + 1];
    const blue = isGray ? red : data[from + 2];
    if (wanted === 1) {
      // ITU-R 601. Of equal channels it is just their value.
      result[to] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
    } else {
      result.set([red, green, blue], to);
    }
  }
  return { data: result, width, height, channels: wanted };
}

/** Of each of `target` pixels along one axis: the first source pixel it takes, and its shares. */
function sharesOf(source, target) {
  const scale = source / target;
  return Array.from({ length: target }, (_, i) => {
    if (target <= source) {
      // The mean of what lies under the new pixel.
      const [begin, end] = [i * scale, (i + 1) * scale];
      const first = Math.floor(begin);
      const count = Math.min(Math.ceil(end), source) - first;
      const overlap = (p) => Math.min(end, p + 1) - Math.max(begin, p);
      return { first, shares: Array.from({ length: count }, (_, k) => overlap(first + k) / scale) };
    }
    // Between the two pixels whose centres are nearest.
    const centre = Math.min(Math.max((i + 0.5) * scale - 0.5, 0), source - 1);
    const first = Math.floor(centre);
    const share = centre - first;
    return { first, shares: share === 0 ? [1] : [1 - share, share] };
  });
}

/** Resizes the middle axis of `outer` × `source` × `inner` numbers. */
function resizeAxis(data, outer, source, inner, target) {
  const taken = sharesOf(source, target);
  const result = new Float32Array(outer * target * inner);
  for (let o = 0; o < outer; o++) {
    for (const [t, { first, shares }] of taken.entries()) {
      const to = (o * target + t) * inner;
      for (const [k, share] of shares.entries()) {
        const from = (o * source + first + k) * inner;
        for (let i = 0; i < inner; i++) result[to + i] += share * data[from + i];
      }
    }
  }
  return result;
}

/** An image of another size: the area's mean along axes that shrink, linear where they grow. */
function resize({ data, width, height, channels }, toWidth, toHeight) {
  const narrow = resizeAxis(data, height, width, channels, toWidth);
  const small = resizeAxis(narrow, 1, height, toWidth * channels, toHeight);
  // It rounds to the nearest byte.
  return { data: Uint8ClampedArray.from(small), width: toWidth, height: toHeight, channels };
}

/**
 * The input of a model for one image: C×H×W floats in [0, 1].
 *
 * @param shape [C, H, W] of the model
 * @returns a Float32Array, channel by channel
 */
export function modelInput(image, [channels, height, width]) {
  const { data } = resize(withChannels(image, channels), width, height);
  const plane = width * height;
  return Float32Array.from({ length: channels * plane }, (_, i) => {
    return data[(i % plane) * channels + Math.floor(i / plane)] / 255;
  });
}
