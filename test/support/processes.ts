/** Processes that train together, each started as a launcher would. */
import { createServer } from "node:net";
import { type Ended, main, type StartOptions, start } from "./cli.ts";

/** A port that nobody has, a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What a launcher sets for a process. */
export function rankEnvironment(rank: number, size: number, port: number): NodeJS.ProcessEnv {
  return {
    RANK: String(rank),
    LOCAL_RANK: String(rank),
    WORLD_SIZE: String(size),
    LOCAL_WORLD_SIZE: String(size),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: String(port),
  };
}

/** Starts `size` processes, each with its own arguments. */
export async function startRanks(
  size: number,
  args: (rank: number) => readonly string[],
  options: StartOptions = {},
): Promise<ReturnType<typeof start>[]> {
  const port = await freePort();
  return Array.from({ length: size }, (_, rank) =>
    start([main, ...args(rank)], {
      ...options,
      env: { ...rankEnvironment(rank, size, port), ...options.env },
    }),
  );
}

/** The same, to their ends. */
export async function runRanks(
  size: number,
  args: (rank: number) => readonly string[],
  options: StartOptions = {},
): Promise<Ended[]> {
  const started = await startRanks(size, args, options);
  return await Promise.all(started.map(({ ended }) => ended));
}
