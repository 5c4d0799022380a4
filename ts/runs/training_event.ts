import type { Summary, TrainEvent } from "../addon/types.js";
import type { ListingProgress } from "../containers/listing.js";

/** What a training tells while it runs. */
export type TrainingEvent =
  | (Extract<TrainEvent, { type: "start" }> & {
      /** Absolute path of the run folder; null when nothing is saved. */
      runDir: string | null;
      /** Epochs asked for. */
      epochs: number;
      /** Images a batch. */
      batchSize: number;
      /** Of the network that is trained. */
      summary: Summary;
    })
  /** A set is being listed, which takes longer than a second. Comes now and then before `start`. */
  | ({ type: "listing" } & ListingProgress)
  | Exclude<TrainEvent, { type: "start" }>;
