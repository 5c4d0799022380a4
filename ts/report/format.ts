/** Numbers as a page shows them. */

/** 10042901 → `10,042,901`. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** Four digits that count, `–` for what is not known. */
export function figure(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) return value.toExponential(digits - 1);
  const text = value.toPrecision(digits);
  return text.includes("e") ? value.toFixed(0) : text;
}

/** A count, `–` for what is not known. */
export function count(value: number): string {
  return Number.isFinite(value) ? grouped(value) : "–";
}

/** Seconds: 3725 → `1 h 02 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  // Rounded first: 59.7 seconds are a minute.
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : whole} s`;
  const two = (n: number) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}
