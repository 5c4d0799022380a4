/** MLflow's REST API, as far as a run needs it (version 2.0, which MLflow 2 and 3 speak). */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import type { MlflowServer } from "./mlflow_address.js";

/** A request takes no longer; that of a file, in proportion to its length. */
const REQUEST_MS = 10_000;
/** Bytes a millisecond that a file travels at the least. */
const LEAST_PACE = 512;
/** Bytes of an answer: MLflow's are far shorter. */
const MOST_ANSWER = 16 * 2 ** 20;

/** What a server has answered. */
export class MlflowError extends Error {
  /** By HTTP; 0 where there was no answer. */
  readonly status: number;
  /** As MLflow names it, such as `RESOURCE_DOES_NOT_EXIST`. */
  readonly code: string;

  constructor(message: string, status: number, code: string) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether asking once more would change nothing. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && ![401, 403, 408, 429].includes(this.status);
  }
}

/** A number at a time and a step. */
export interface Metric {
  key: string;
  value: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  step: number;
}

/** A parameter or a tag. */
export interface Pair {
  key: string;
  value: string;
}

/** A run as the server has it. */
export interface ServerRun {
  info: { run_id: string; experiment_id: string; artifact_uri?: string; lifecycle_stage?: string };
  data?: { metrics?: Metric[]; params?: Pair[] };
}

export type RunStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED";

const NO_ANSWER: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the host's address cannot be found",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  UND_ERR_SOCKET: "the connection was closed",
  UND_ERR_CONNECT_TIMEOUT: "no answer",
};

function reasonOf(error: unknown): string {
  const { name, cause, message } = error as Error;
  if (name === "TimeoutError" || name === "AbortError") return "no answer in time";
  const { code, message: inner } = (cause ?? {}) as NodeJS.ErrnoException;
  return (code !== undefined && NO_ANSWER[code]) || inner || message;
}

/** The whole answer, but not one without an end. */
async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MOST_ANSWER) throw new Error("the answer is too long to be MLflow's");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Talks to one server. Every failure is an {@link MlflowError}, whose message tells no secrets. */
export class MlflowClient {
  #server: MlflowServer;

  constructor(server: MlflowServer) {
    this.#server = server;
  }

  /** The id of the experiment, which is made if it is not there. */
  async experiment(signal: AbortSignal | undefined): Promise<string> {
    const { experiment: name } = this.#server;
    const get = async () => {
      const path = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
      const { experiment } = await this.#call<{
        experiment: { experiment_id: string; lifecycle_stage?: string };
      }>("GET", path, undefined, signal);
      if (experiment.lifecycle_stage === "deleted") {
        throw new MlflowError(`experiment ${name} is deleted`, 400, "INVALID_STATE");
      }
      return experiment.experiment_id;
    };
    try {
      return await get();
    } catch (error) {
      if ((error as MlflowError).code !== "RESOURCE_DOES_NOT_EXIST") throw error;
    }
    try {
      const made = await this.#call<{ experiment_id: string }>(
        "POST",
        "experiments/create",
        { name },
        signal,
      );
      return made.experiment_id;
    } catch (error) {
      // Another run was quicker.
      if ((error as MlflowError).code === "RESOURCE_ALREADY_EXISTS") return await get();
      throw error;
    }
  }

  async createRun(
    run: { experiment_id: string; run_name: string; start_time: number; tags: Pair[] },
    signal: AbortSignal | undefined,
  ): Promise<ServerRun> {
    const answer = await this.#call<{ run: ServerRun }>("POST", "runs/create", run, signal);
    return answer.run;
  }

  /** The run with a tag; undefined if there is none. */
  async findRun(
    experiment: string,
    { key, value }: Pair,
    signal: AbortSignal | undefined,
  ): Promise<ServerRun | undefined> {
    const request = {
      experiment_ids: [experiment],
      filter: `tags.\`${key}\` = '${value}'`,
      max_results: 1,
    };
    const answer = await this.#call<{ runs?: ServerRun[] }>("POST", "runs/search", request, signal);
    return answer.runs?.[0];
  }

  async getRun(id: string, signal: AbortSignal | undefined): Promise<ServerRun> {
    const path = `runs/get?run_id=${encodeURIComponent(id)}`;
    return (await this.#call<{ run: ServerRun }>("GET", path, undefined, signal)).run;
  }

  /** Up to 1000 metrics, 100 parameters and 100 tags; 1000 in all. */
  async log(
    id: string,
    batch: { metrics?: readonly Metric[]; params?: readonly Pair[]; tags?: readonly Pair[] },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#call("POST", "runs/log-batch", { run_id: id, ...batch }, signal);
  }

  async setStatus(
    id: string,
    status: RunStatus,
    endTime: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const request = { run_id: id, status, ...(endTime === undefined ? {} : { end_time: endTime }) };
    await this.#call("POST", "runs/update", request, signal);
  }

  /**
   * Hands a file over, if the server stores the run's files itself.
   *
   * @returns Whether it does.
   */
  async upload(
    { info }: ServerRun,
    { path, name, bytes }: { path: string; name: string; bytes: number },
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    // With a host in it, files are another server's: to that one nothing is said of who asks.
    const folder = /^mlflow-artifacts:\/(?!\/[^/])\/*(.+)$/.exec(info.artifact_uri ?? "")?.[1];
    if (folder === undefined) return false;
    const parts = [...folder.split("/"), name].map((part) => encodeURIComponent(part));
    await this.#fetch(
      "PUT",
      `api/2.0/mlflow-artifacts/artifacts/${parts.join("/")}`,
      {
        headers: { "content-type": "application/octet-stream", "content-length": String(bytes) },
        // An empty stream would be sent in chunks.
        body: bytes === 0 ? "" : (Readable.toWeb(createReadStream(path)) as ReadableStream),
        duplex: "half",
      } as RequestInit,
      REQUEST_MS + bytes / LEAST_PACE,
      signal,
    );
    return true;
  }

  async #call<T>(
    method: "GET" | "POST",
    path: string,
    body: object | undefined,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const json =
      body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const text = await this.#fetch(method, `api/2.0/mlflow/${path}`, json, REQUEST_MS, signal);
    try {
      return JSON.parse(text === "" ? "{}" : text) as T;
    } catch {
      throw new MlflowError("the answer is not MLflow's", 0, "");
    }
  }

  async #fetch(
    method: string,
    path: string,
    request: RequestInit,
    milliseconds: number,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { address, authorization } = this.#server;
    const limit = AbortSignal.timeout(Math.ceil(milliseconds));
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${address}/${path}`, {
        ...request,
        method,
        headers: {
          ...(request.headers as Record<string, string> | undefined),
          ...(authorization === null ? {} : { authorization }),
        },
        // Who asks is said to no other server.
        redirect: "manual",
        signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
      });
      text = await textOf(response);
    } catch (error) {
      throw new MlflowError(this.#told(reasonOf(error)), 0, "");
    }
    if (response.ok) return text;
    let [code, message] = ["", ""];
    try {
      const answer = JSON.parse(text) as { error_code?: unknown; message?: unknown };
      code = String(answer.error_code ?? "");
      message = String(answer.message ?? "");
    } catch {
      // A proxy's page, or none.
    }
    const said = message.split("\n", 1)[0]?.slice(0, 200) ?? "";
    const words = `it answered ${response.status}${said === "" ? "" : `: ${said}`}`;
    throw new MlflowError(this.#told(words), response.status, code);
  }

  /** A text without what is secret. */
  #told(text: string): string {
    return this.#server.secrets.reduce((told, secret) => told.replaceAll(secret, "***"), text);
  }
}
