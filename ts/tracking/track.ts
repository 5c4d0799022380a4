/** Which trackers a training has. */
import { configError, translateError } from "../addon/errors.js";
import { mlflowServer } from "./mlflow_address.js";
import { QueuedTracker, type Tracker, together } from "./tracker.js";

/** Where a training is followed. */
export interface TrackingOptions {
  /**
   * Writes event files for TensorBoard: `true` to `tensorboard` in the run folder, or a folder's
   * path, in which each run gets a folder with its name.
   */
  tensorboard?: boolean | string | undefined;
  /**
   * Tells an MLflow server: its address, http://… or https://…, or `true` for that in the variable
   * `MLFLOW_TRACKING_URI`. Who asks is in `MLFLOW_TRACKING_USERNAME` and
   * `MLFLOW_TRACKING_PASSWORD`, or in `MLFLOW_TRACKING_TOKEN`.
   */
  mlflow?: boolean | string | undefined;
  /**
   * The experiment on that server, which is made if it is not there: `MLFLOW_EXPERIMENT_NAME`
   * unless given, and without it `flexible-autoencoder`.
   */
  mlflowExperiment?: string | undefined;
}

/**
 * The tracker that is asked for, which may be none.
 *
 * @param warn - Called with what cannot be written, or a server does not take.
 * @throws FlexaeError `FLEXAE_CONFIG` if `mlflow` is no address of a server, `tensorboard` is an
 *   empty path, or `mlflowExperiment` is given without `mlflow`.
 */
export function makeTracker(
  { tensorboard = false, mlflow = false, mlflowExperiment }: TrackingOptions,
  warn: (message: string) => void,
): Tracker {
  const trackers: Tracker[] = [];
  const failed = (what: string) => (error: unknown) =>
    warn(`The run is not followed by ${what} any more: ${translateError(error).message}`);
  // First, as it may be refused.
  if (tensorboard === "") throw configError("Expected a folder for tensorboard, but received none");
  if (mlflow === false && mlflowExperiment !== undefined) {
    throw configError("mlflowExperiment means nothing without mlflow: leave it out");
  }
  const server =
    mlflow === false ? null : mlflowServer(mlflow === true ? "" : mlflow, mlflowExperiment);
  if (tensorboard !== false) {
    const dir = tensorboard === true ? null : tensorboard;
    trackers.push(
      new QueuedTracker(async () => {
        const { TensorBoardRecorder } = await import("./tensorboard.js");
        return new TensorBoardRecorder(dir, warn);
      }, failed("TensorBoard")),
    );
  }
  if (server !== null) {
    trackers.push(
      new QueuedTracker(async () => {
        const { MlflowRecorder } = await import("./mlflow.js");
        return new MlflowRecorder(server, warn);
      }, failed("MLflow")),
    );
  }
  return together(trackers);
}
