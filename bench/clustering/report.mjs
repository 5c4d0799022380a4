// What a benchmark says: scores and seconds of several seeds as tables, beside published figures.

/** @param {number[]} values */
export function summary(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, least: Math.min(...values), greatest: Math.max(...values) };
}

/** The summary of each number of objects that are alike, however deep it lies. */
export function summarize(objects) {
  const [first] = objects;
  if (typeof first === "number") return summary(objects);
  return Object.fromEntries(
    Object.keys(first).map((key) => [key, summarize(objects.map((object) => object[key]))]),
  );
}

/** Of chains with several seeds: the summary of all that was measured. */
export const summarizeChains = (chains) =>
  summarize(
    chains.map(({ seconds, mixture, kmeans, direct }) => ({
      seconds,
      mixture,
      kmeans,
      ...(direct === undefined ? {} : { direct }),
    })),
  );

const score = (value) => value.toFixed(3);

function measuredRow(method, { acc, nmi, ari }) {
  const cell = ({ mean, least, greatest }) =>
    least === greatest ? score(mean) : `${score(mean)} (${score(least)}–${score(greatest)})`;
  return [method, cell(acc), cell(nmi), cell(ari)];
}

/** The rows of the table of scores, its head first. `python` may be null. */
export function scoreRows(ours, python, published) {
  return [
    ["mean (least–greatest)", "ACC", "NMI", "ARI"],
    measuredRow("flexae, k-means", ours.kmeans),
    ...(ours.direct === undefined
      ? []
      : [measuredRow("flexae, k-means, trained for it", ours.direct.kmeans)]),
    measuredRow("flexae, map, mixture", ours.mixture),
    ...(python === null
      ? []
      : [
          measuredRow("Python, k-means", python.kmeans),
          measuredRow("Python, UMAP, mixture", python.mixture),
        ]),
    ...published.map(({ method, acc, nmi }) => [
      method,
      String(acc),
      nmi === undefined ? "" : String(nmi),
      "",
    ]),
  ];
}

/** The rows of the table of seconds, its head first: means over the seeds. `python` may be null. */
export function secondRows(ours, python) {
  const peer = python === null ? [] : ["Python", "ours is"];
  const seconds = ({ mean }) => mean.toFixed(1);
  return [
    ["seconds, mean", "flexae", ...peer],
    ...Object.keys(ours.seconds).map((step) => [
      step,
      seconds(ours.seconds[step]),
      ...(python === null
        ? []
        : [
            seconds(python.seconds[step]),
            `${(python.seconds[step].mean / ours.seconds[step].mean).toFixed(2)}×`,
          ]),
    ]),
  ];
}

/** Rows as text, the first column to the left. */
export function tableText(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ");
  return rows.map((row) => `  ${line(row).trimEnd()}\n`).join("");
}
