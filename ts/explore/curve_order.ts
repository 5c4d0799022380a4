/** An order of points in the plane in which those that follow each other lie near each other. */

/** Spreads the lower 16 bits of a number, so that there is one bit of 0 between any two. */
function spread(bits: number): number {
  let value = bits & 0xffff;
  value = (value | (value << 8)) & 0x00ff00ff;
  value = (value | (value << 4)) & 0x0f0f0f0f;
  value = (value | (value << 2)) & 0x33333333;
  return (value | (value << 1)) & 0x55555555;
}

/**
 * Places of points along a Morton curve (Morton, 1966), by coordinates from -1 to 1.
 *
 * @returns Of each point its place, from 0.
 */
export function curveOrder(x: Float32Array, y: Float32Array): Uint32Array {
  const cell = (value: number) => Math.min(0xffff, Math.max(0, Math.floor((value + 1) * 0x8000)));
  // Keys above indices, in numbers that are exact: sorted at once, without comparing by a function.
  const rows = x.length;
  const keys = Float64Array.from(x, (_, i) => {
    const key = (spread(cell(x[i] as number)) | (spread(cell(y[i] as number)) << 1)) >>> 0;
    return key * 2 ** 21 + (i & 0x1fffff);
  });
  // 2^32 keys leave 21 bits to tell points by; of more points, those of one key keep their order.
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  if (rows <= 2 ** 21) {
    keys.sort();
    for (let i = 0; i < rows; i++) order[i] = (keys[i] as number) % 2 ** 21;
  } else {
    order.sort((a, b) => (keys[a] as number) - (keys[b] as number));
  }
  const places = new Uint32Array(rows);
  for (const [place, row] of order.entries()) places[row] = place;
  return places;
}
