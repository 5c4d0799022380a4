/** What the dashboard's server tells its page: JSON, by these types. */

/** Where a training is inside an epoch. */
export interface Progress {
  /** Milliseconds since 1970, of the training's machine. */
  time: number;
  phase: "train" | "validate";
  /** From 1. */
  epoch: number;
  /** From 1. */
  batch: number;
  /** Of the set. */
  batches: number;
  /** The mean of the epoch's batches so far. */
  loss: number;
  imagesPerSecond: number;
}

/** A moment of the machine. */
export interface Load {
  /** Milliseconds since 1970. */
  time: number;
  /** Cores that the training kept busy since the moment before. */
  cores: number;
  /** Of all cores, by whatever runs there, 0 to 1. */
  machine: number;
  /** Bytes of memory of the training. */
  memory: number;
  /** Bytes of memory that are free. */
  free: number;
}

/** A run, as the list shows it. Null is what is not known. */
export interface LiveRun {
  /** Names it in requests, for as long as the server runs. */
  id: number;
  /** Its folder, from where runs were looked for. */
  name: string;
  /** As `flexae runs` says it: running, finished, early, interrupted, failed, killed … */
  state: string;
  /** `YYYY-MM-DD HH:MM:SS`, local time of the training's machine; may be empty. */
  started: string;
  /** That it took so far. */
  seconds: number | null;
  /** Epochs completed. */
  epochs: number;
  /** Asked for. */
  epochsWanted: number | null;
  /** From 1. */
  bestEpoch: number | null;
  /** Of the model that was kept, or of the best epoch so far. */
  scores: { name: string; value: number | null }[];
  /** Until its last epoch, if none stops early; null of one that does not run. */
  secondsLeft: number | null;
  progress: Progress | null;
  /** All settings by name, as text. */
  settings: Record<string, string>;
  trainImages: number | null;
  validImages: number | null;
  parameters: number | null;
  /** Such as `CPU, 2 threads, bf16`; may be empty. */
  device: string;
  /** Changes whenever `/epochs/ID` does. */
  epochsKey: string;
  /** Epochs of which there are pictures, in order; 0, the originals, is left out. */
  pictures: number[];
  /** Changes whenever one of them may be another: epochs were trained once more. */
  picturesKey: string;
  /** How many images are beside each other on a picture; 0 without pictures. */
  pictureCount: number;
  /** Of the machine, the newest last; some hundred at most. */
  loads: Load[];
  /** What was worth saying, the newest last; the last hundred. */
  warnings: { time: number; message: string }[];
  /** Images that could not be used. */
  badImages: number;
  /** Why it failed; null unless it did. */
  error: string | null;
  /** Whether there is a `/report/ID`. */
  hasReport: boolean;
}

/** `GET /changes/VERSION`: what is not as it was then; of version 0, all of it. */
export interface Changes {
  /** To ask with the next time. */
  version: number;
  /** Tells another server at the same address: then all is asked for again. */
  server: string;
  /** Where runs are looked for. */
  folder: string;
  /** Runs that are new or not as they were. */
  runs: LiveRun[];
  /** Ids of all runs there are, the newest first. */
  order: number[];
  /** Whether runs can be stopped: `POST /stop/ID` with the token. */
  canStop: boolean;
  /** Milliseconds since 1970, by the server's clock. */
  now: number;
}

/** `GET /epochs/ID`: a run's curves. Of very many epochs some are left out, never the best or the last. */
export interface Epochs {
  /** As in the run's row. */
  key: string;
  epoch: number[];
  /** By the names of `metrics.csv`, such as `loss` and `val_loss`; null where there is no number. */
  columns: Record<string, (number | null)[]>;
}
