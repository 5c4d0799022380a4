/** What the server is asked for; see `ts/dashboard/wire.ts`. */
import type { Changes, Epochs } from "../../ts/dashboard/wire.ts";

/** After so long without an answer, the server counts as gone. */
const PATIENCE = 15_000;

async function ask(path: string): Promise<Response> {
  const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(`${path}: ${(await response.text()).trim()}`);
  return response;
}

/** What is not as it was in a version; of 0, all. */
export async function askChanges(version: number): Promise<Changes> {
  return (await (await ask(`/changes/${version}`)).json()) as Changes;
}

/** A run's curves. */
export async function askEpochs(id: number): Promise<Epochs> {
  return (await (await ask(`/epochs/${id}`)).json()) as Epochs;
}

/** Address of the images as they were after an epoch; of 0, of the originals. */
export const pictureUrl = (id: number, epoch: number): string => `/picture/${id}/${epoch}`;

/** Address of a run's own page. */
export const reportUrl = (id: number): string => `/report/${id}`;

/** Asks for a training to end. What is wrong, in words; null if it was told. */
export async function askToStop(id: number, token: string): Promise<string | null> {
  try {
    const response = await fetch(`/stop/${id}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(PATIENCE),
    });
    return response.ok ? null : (await response.text()).trim() || `it answered ${response.status}`;
  } catch {
    return "the server was not reached";
  }
}
