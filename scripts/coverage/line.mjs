// A number of covered lines in words.

/** One line, for people and for CI's last lines. */
export function coverageLine(what, { covered, lines, report }) {
  const percent = ((100 * covered) / lines).toFixed(1);
  return `Coverage of ${what}: ${percent} % of ${lines} lines (${report})\n`;
}
