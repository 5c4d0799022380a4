/** TensorBoard and MLflow as pip gives them, and servers that are not what they should be. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { parse } from "csv-parse/sync";
import { venvPython } from "../../scripts/setup/venv.mjs";
import { root } from "./cli.ts";

const python = () => venvPython(join(root, "test/tracking/requirements.txt")) as string;

/** Whether `npm test` has installed them. Where it has not, it is said once a file. */
export function hasTrackers(tests: string): boolean {
  if (existsSync(python())) return true;
  process.stderr.write(
    `${tests}: left out, there is no TensorBoard and no MLflow (node scripts/test.mjs --only ts)\n`,
  );
  return false;
}

/** What TensorBoard's own code reads in a folder. */
export interface ReadEvents {
  /** Step, value and time in seconds of each point. */
  scalars: Record<string, [number, number, number][]>;
  /** Step, width, height and pixels, red, green and blue each. */
  images: Record<string, [number, number, number, number[]][]>;
  texts: Record<string, [number, string][]>;
  tensors: string[];
}

/** Reads folders of event files. */
export async function readEvents<Name extends string>(
  folder: string,
  ...parts: Name[]
): Promise<Record<Name, ReadEvents>> {
  const folders = parts.map((part) => join(folder, part));
  const script = join(root, "test/tracking/read_events.py");
  const { stdout } = await promisify(execFile)(python(), [script, ...folders], {
    maxBuffer: 2 ** 28,
  });
  const read = JSON.parse(stdout) as Record<string, ReadEvents>;
  return Object.fromEntries(parts.map((part, i) => [part, read[folders[i] as string]])) as Record<
    Name,
    ReadEvents
  >;
}

/** Steps of a curve, in their order. */
export const stepsOf = (points: [number, ...unknown[]][] | undefined) =>
  points?.map(([step]) => step);

/** `metrics.csv` of a run, a record an epoch. */
export function metricsOf(run: string): Record<string, number>[] {
  const rows = parse(readFileSync(join(run, "metrics.csv")), { columns: true });
  return (rows as Record<string, string>[]).map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)])),
  );
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server of Python's that is under way. */
export interface PythonServer {
  url: string;
  /** Ends it with all its processes, at once. */
  kill(): Promise<void>;
}

async function startServer(
  args: (port: number) => string[],
  { cwd, port, health }: { cwd: string; port: number; health: string },
): Promise<PythonServer> {
  const url = `http://127.0.0.1:${port}`;
  const child: ChildProcess = spawn(python(), args(port), {
    cwd,
    // A group of its own, as MLflow starts others.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: "true", DO_NOT_TRACK: "true" },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  const kill = async () => {
    try {
      process.kill(-(child.pid as number), "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await ended;
  };
  for (let attempt = 0; attempt < 600; attempt++) {
    const answer = await fetch(`${url}${health}`).catch(() => null);
    if (answer?.ok) return { url, kill };
    if (child.exitCode !== null) break;
    await sleep(100);
  }
  await kill();
  throw new Error(`It does not answer:\n${said}`);
}

/** TensorBoard, which shows what is below a folder. */
export async function startTensorBoard(logdir: string): Promise<PythonServer> {
  const port = await freePort();
  const options = ["--logdir", logdir, "--host", "127.0.0.1", "--reload_interval", "1"];
  return await startServer(
    (port) => ["-m", "tensorboard.main", ...options, "--port", String(port)],
    { cwd: logdir, port, health: "/data/environment" },
  );
}

/** An MLflow server that keeps all in a folder. */
export async function startMlflow(
  folder: string,
  port: number,
  ...more: string[]
): Promise<PythonServer> {
  const options = ["--backend-store-uri", "sqlite:///mlflow.db", "--host", "127.0.0.1"];
  return await startServer(
    (port) => [
      ...["-m", "mlflow", "server", ...options, "--workers", "1", "--port", String(port)],
      ...more,
    ],
    { cwd: folder, port, health: "/health" },
  );
}

/** The way to a server on this machine, which can be closed. */
export async function startProxy(target: string): Promise<{
  url: string;
  /** Nobody gets through, and who is through is cut off. */
  close(): Promise<void>;
  open(): Promise<void>;
}> {
  const sockets = new Set<Socket>();
  const to = Number(new URL(target).port);
  const server = createTcpServer((near) => {
    const far = connect(to, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      // Each ends with the other.
      socket.on("error", () => {});
    }
    near.pipe(far).pipe(near);
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
    open: () => listen(port),
  };
}

/** Waits until something is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await isSo()); i++) {
    if (i > 600) throw new Error("it is not so after a minute");
    await sleep(100);
  }
}

/** A server of our own. Its connections end with it. */
export async function startStub(
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<{ url: string; port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("latin1").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => answer(request, body, response));
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
