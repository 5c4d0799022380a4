/** Sizes in words. */

/** A count with a unit prefix: 1234567 → `1.23 M`. */
export function scaled(value: number, base = 1000, units = ["", "K", "M", "G", "T", "P"]): string {
  let unit = 0;
  let rest = value;
  while (rest >= base && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)} ${units[unit]}`.trimEnd();
}

/** Bytes: 1073741824 → `1.00 GiB`. */
export function bytes(value: number): string {
  return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
}
