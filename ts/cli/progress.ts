import cliProgress from "cli-progress";
import type { TrainEvent } from "../addon/types.js";
import { duration, rate } from "./format.js";

type BatchEvent = Extract<TrainEvent, { type: "batch" }>;

/** The bar of the epoch under way, on stderr: stdout stays as it is when that goes elsewhere. */
export class EpochBar {
  #epochs: number;
  #bar: cliProgress.SingleBar | undefined;
  #shown = "";
  #began = Date.now();

  constructor(epochs: number) {
    this.#epochs = epochs;
    // However the process ends, the terminal gets its cursor back.
    process.once("exit", () => this.clear());
  }

  update(event: BatchEvent): void {
    const { phase, epoch, batch, batches } = event;
    const name = phase === "train" ? `epoch ${epoch}/${this.#epochs}` : "validating";
    const payload = {
      name,
      loss: event.loss.toFixed(5),
      rate: rate(event.imagesPerSecond),
      left: duration(this.#secondsLeft(event)),
    };
    if (this.#bar === undefined || this.#shown !== `${phase} ${epoch}`) {
      this.clear();
      this.#shown = `${phase} ${epoch}`;
      this.#bar = new cliProgress.SingleBar(
        {
          format: "{name} {bar} {percentage}%  loss {loss}  {rate} images/s  {left} left",
          barsize: 24,
          clearOnComplete: true,
          hideCursor: true,
          // Ours do more than restore the cursor.
          gracefulExit: false,
          emptyOnZero: true,
        },
        cliProgress.Presets.shades_classic,
      );
      this.#bar.start(batches, batch, payload);
    } else {
      this.#bar.update(batch, payload);
    }
  }

  /** Takes the bar off the screen, before a line is printed. The next update brings it back. */
  clear(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  /** Until the last epoch's end, if none stops early; validation is taken to be short. */
  #secondsLeft({ phase, epoch, batch, batches }: BatchEvent): number {
    const within = phase === "train" ? batch / batches : 1;
    const done = epoch - 1 + within;
    return ((Date.now() - this.#began) / 1000 / done) * (this.#epochs - done);
  }
}
