import { constants } from "node:os";

/**
 * Does work that Ctrl-C or a SIGTERM may end. A second signal ends the process by itself.
 *
 * @returns What `work` gives, or the exit code of a process that the signal ended.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ result: T } | { exitCode: number }> {
  const abort = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => abort.abort(signal);
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    return { result: await work(abort.signal) };
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return { exitCode: 128 + constants.signals[abort.signal.reason as NodeJS.Signals] };
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}
