/** What the page of a sweep does by itself: draws its trials as lines, and finds a line's row. */
import "../theme.css";
import "../tables.css";
import "./style.css";
import { drawParallel, type ParallelData } from "../charts/parallel.ts";

/** What the page carries. */
interface PlotData extends ParallelData {
  /** Of each line. */
  trials: readonly number[];
}

const data = JSON.parse(document.getElementById("data")?.textContent ?? "{}") as PlotData;
const place = document.getElementById("plot");

function rowsOf(line: number): NodeListOf<HTMLElement> {
  return document.querySelectorAll<HTMLElement>(`tr[data-trial="${data.trials[line]}"]`);
}

function mark(line: number | null): void {
  for (const row of document.querySelectorAll("tr.marked")) row.classList.remove("marked");
  if (line !== null) for (const row of rowsOf(line)) row.classList.add("marked");
}

function show(line: number): void {
  const all = document.getElementById("all") as HTMLDetailsElement;
  all.open = true;
  const row = [...rowsOf(line)].at(-1);
  if (row === undefined) return;
  mark(line);
  row.scrollIntoView({ block: "center" });
  const link = row.querySelector("a");
  const target = link ?? row;
  if (link === null) row.tabIndex = -1;
  target.focus({ preventScroll: true });
}

if (place !== null && data.labels.length > 0) {
  drawParallel(place, { ...data, onHover: mark, onChoose: show });
}
