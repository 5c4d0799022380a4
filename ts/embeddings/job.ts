/** Waits for what the addon computes. */
import { translateError } from "../addon/errors.js";
import type { Job } from "../addon/types.js";

/** How often a job is asked how far it is, in milliseconds. */
const ASKED_EVERY = 100;

/**
 * What a job gives. An aborted signal ends it soon; it then rejects with the signal's reason.
 *
 * @param onShare - Called now and then with the share that is done, from 0 to 1.
 */
export async function finishJob<T>(
  job: Job<T>,
  signal?: AbortSignal | undefined,
  onShare?: ((share: number) => void) | undefined,
): Promise<T> {
  const stop = () => job.cancel();
  signal?.addEventListener("abort", stop);
  const timer =
    onShare === undefined ? undefined : setInterval(() => onShare(job.progress()), ASKED_EVERY);
  let answer: T | null;
  try {
    signal?.throwIfAborted();
    answer = await job.result;
  } catch (error) {
    job.cancel();
    throw signal?.aborted ? error : translateError(error);
  } finally {
    signal?.removeEventListener("abort", stop);
    clearInterval(timer);
  }
  signal?.throwIfAborted();
  return answer as T;
}
