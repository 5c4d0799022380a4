/** The rows of clusters that contact sheets show, picked as rows come: their number is bounded. */
import { seededRandom } from "../random.js";
import {
  OVERVIEW,
  type ShownCluster,
  type ShownRows,
  sharesOf,
  spreadOf,
} from "./cluster_sheets.js";
import type { StreamedTable, StretchRows } from "./streamed_table.js";

/** Rows of a cluster that are drawn to say how far its rows are, for a line of the overview. */
const DRAWN = 256;

/** A row that may be shown. */
interface Candidate {
  /** Its number in the table. */
  row: number;
  distance: number;
  path: string;
  set: string | null;
  class: string | null;
  width: unknown;
  height: unknown;
}

/** Of rows equally near, the earlier one is the nearer. */
const nearer = (a: Candidate, b: Candidate) => a.distance - b.distance || a.row - b.row;

class ClusterRows {
  size = 0;
  /** Nearest first. */
  readonly nearest: Candidate[] = [];
  readonly drawn: Candidate[] = [];
  farthest: Candidate | undefined;

  /** Whether a row at that distance is among the nearest, as they come in their order. */
  isNear(distance: number, most: number): boolean {
    return this.nearest.length < most || distance < (this.nearest.at(-1) as Candidate).distance;
  }

  addNear(candidate: Candidate, most: number): void {
    let [from, to] = [0, this.nearest.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (nearer(this.nearest[middle] as Candidate, candidate) <= 0) from = middle + 1;
      else to = middle;
    }
    this.nearest.splice(from, 0, candidate);
    if (this.nearest.length > most) this.nearest.pop();
  }

  /** Drawn rows with the nearest and the farthest, each once, nearest first. */
  line(): Candidate[] {
    const ends = [this.nearest[0], this.farthest].filter((end) => end !== undefined);
    return [...new Map([...this.drawn, ...ends].map((one) => [one.row, one])).values()].sort(
      nearer,
    );
  }
}

export class ClusterGallery {
  readonly #clusters: ClusterRows[];
  readonly #most: number;
  readonly #random: () => number;

  /** @param most - Images that a sheet shows. */
  constructor(k: number, most: number, seed: number) {
    this.#clusters = Array.from({ length: k }, () => new ClusterRows());
    this.#most = most;
    this.#random = seededRandom(seed);
  }

  /** Looks at rows, of which `first` is the number of the first one in the table. */
  add(first: number, rows: StretchRows, labels: Int32Array, distances: Float32Array): void {
    const candidate = (i: number): Candidate => ({
      row: first + i,
      distance: distances[i] as number,
      path: rows.paths[i] as string,
      set: rows.sets[i] ?? null,
      class: rows.classes[i] ?? null,
      width: rows.widths?.[i],
      height: rows.heights?.[i],
    });
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] as number;
      const cluster = this.#clusters[label] as ClusterRows;
      cluster.size++;
      const distance = distances[i] as number;
      if (cluster.isNear(distance, this.#most)) cluster.addNear(candidate(i), this.#most);
      if (label >= OVERVIEW.clusters) continue;
      if (!(distance <= (cluster.farthest?.distance ?? -1))) cluster.farthest = candidate(i);
      // A reservoir: every row of the cluster is as likely to be in it.
      const place = Math.floor(this.#random() * cluster.size);
      if (cluster.drawn.length < DRAWN) cluster.drawn.push(candidate(i));
      else if (place < DRAWN) cluster.drawn[place] = candidate(i);
    }
  }

  /** What sheets show. `counts` has the rows of a cluster by their classes. */
  shown(
    table: Pick<StreamedTable, "path" | "origin">,
    counts: (cluster: number) => Map<string, number>,
  ): { rows: ShownRows; clusters: ShownCluster[] } {
    const kept: Candidate[] = [];
    const places = new Map<number, number>();
    const place = (candidate: Candidate): number => {
      const known = places.get(candidate.row);
      if (known !== undefined) return known;
      places.set(candidate.row, kept.length);
      return kept.push(candidate) - 1;
    };
    const clusters = this.#clusters.map((cluster, k) => ({
      size: cluster.size,
      nearest: cluster.nearest.map(place),
      spread: spreadOf(cluster.line().map(place)),
      shares: sharesOf(counts(k)),
    }));
    const sizes = (of: (one: Candidate) => unknown) =>
      kept.every((one) => typeof of(one) === "number")
        ? Int32Array.from(kept, (one) => of(one) as number)
        : null;
    const rows: ShownRows = {
      path: table.path,
      origin: table.origin,
      paths: kept.map((one) => one.path),
      sets: kept.map((one) => one.set),
      classes: kept.map((one) => one.class),
      widths: sizes((one) => one.width),
      heights: sizes((one) => one.height),
    };
    return { rows, clusters };
  }
}
