/** One command that starts all processes of a training on this machine. */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { constants } from "node:os";

/** Of a process that ended badly, so much of what it said is kept. */
const KEPT = 4096;
/** After one has failed, the others see it by themselves; whoever does not is ended. */
const PATIENCE_MS = 30_000;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Ended {
  rank: number;
  code: number;
  isKilled: boolean;
  /** As a person says it. */
  how: string;
}

function ended(rank: number, code: number | null, signal: NodeJS.Signals | null): Ended {
  if (signal === null) return { rank, code: code ?? 1, isKilled: false, how: `exit code ${code}` };
  return { rank, code: 128 + constants.signals[signal], isKilled: true, how: signal };
}

/**
 * Runs this program with `argv` as `count` processes that train together; what rank 0 prints is
 * printed. Signals go to all of them. If one fails, all end.
 *
 * @param complain - Is told who failed first, where rank 0 did not say it.
 * @returns The exit code.
 */
export async function launch(
  count: number,
  argv: readonly string[],
  complain: (message: string) => void,
): Promise<number> {
  const port = await freePort();
  const script = process.argv[1] as string;
  const said: string[] = [];
  const children: ChildProcess[] = [];
  for (let rank = 0; rank < count; rank++) {
    const child = spawn(process.execPath, [...process.execArgv, script, ...argv], {
      // The channel tells a process when this one is gone.
      stdio: ["ignore", rank === 0 ? "inherit" : "ignore", rank === 0 ? "inherit" : "pipe", "ipc"],
      // Of a group of their own, so that Ctrl-C reaches them once: from here.
      detached: true,
      env: {
        ...process.env,
        RANK: String(rank),
        LOCAL_RANK: String(rank),
        WORLD_SIZE: String(count),
        LOCAL_WORLD_SIZE: String(count),
        MASTER_ADDR: "127.0.0.1",
        MASTER_PORT: String(port),
      },
    });
    said[rank] = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said[rank] = `${said[rank]}${text}`.slice(-KEPT);
    });
    children.push(child);
  }
  const forward = (signal: NodeJS.Signals) => {
    for (const child of children) child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, forward);
  let first: Ended | undefined;
  let deadline: NodeJS.Timeout | undefined;
  const all = await Promise.all(
    children.map((child, rank) =>
      new Promise<Ended>((resolve) => {
        child.once("error", (error) =>
          resolve({ rank, code: 1, isKilled: true, how: error.message }),
        );
        // All that it said is here by then.
        child.once("close", (code, signal) => resolve(ended(rank, code, signal)));
      }).then((end) => {
        if (end.code === 0 || first !== undefined) return end;
        first = end;
        deadline = setTimeout(() => {
          for (const other of children) other.kill("SIGKILL");
        }, PATIENCE_MS);
        return end;
      }),
    ),
  );
  clearTimeout(deadline);
  for (const signal of SIGNALS) process.off(signal, forward);
  if (first === undefined) return 0;
  // Those that were asked to stop have said so themselves.
  const areInterrupted = all.every(({ code }) => code === first?.code) && first.code > 128;
  // Who ends by itself says why, and rank 0 what became of others.
  const isSaid = !first.isKilled && all[0]?.code !== 0 && !all[0]?.isKilled;
  if (!isSaid && !areInterrupted) {
    const words = said[first.rank]?.trim();
    complain(`rank ${first.rank} ended with ${first.how}${words ? `: ${words}` : ""}`);
  }
  return all[0]?.code || first.code;
}
