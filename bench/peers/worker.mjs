// A peer: a process that runs steps when told to. The protocol is in protocol.py.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { SetupError } from "../../scripts/setup/steps.mjs";

export class Worker {
  #child;
  #lines;
  #complaints = "";
  #ended = false;

  /** @param {{ command: string, args: string[], env?: Record<string, string> }} start */
  constructor({ command, args, env }) {
    this.#child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text) => {
      this.#complaints = (this.#complaints + text).slice(-4000);
    });
    // Told by the answers that stay away.
    this.#child.stdin.on("error", () => {});
    this.#child.on("error", (error) => {
      this.#complaints += error.message;
    });
    this.#child.on("close", () => {
      this.#ended = true;
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async #answer() {
    const { value, done } = await this.#lines.next();
    if (done) {
      const last = this.#complaints.trim().split("\n").slice(-3).join("\n");
      throw new SetupError(last || "it ended without a word");
    }
    const answer = JSON.parse(value);
    if (answer.error !== undefined) throw new SetupError(answer.error);
    return answer;
  }

  /** What it says of itself once it is warm. */
  ready() {
    return this.#answer();
  }

  /** The wall time of `steps` steps and their processor time, in seconds, and what else it reports. */
  run(steps) {
    return this.ask({ steps });
  }

  /** Sends a line that is not answered. */
  tell(message) {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** Sends a line and waits for its answer. */
  ask(message) {
    this.tell(message);
    return this.#answer();
  }

  /** Ends the process. */
  async end() {
    if (this.#ended) return;
    const closed = once(this.#child, "close");
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await closed;
    clearTimeout(timer);
  }
}

/** A process that holds several jobs: where starting one takes longer than measuring it. */
export class Host {
  #worker;
  #opened = 0;
  #failed = false;

  constructor(start) {
    this.#worker = new Worker(start);
  }

  /** Whether a job has failed in it: who knows what it left behind. */
  get failed() {
    return this.#failed;
  }

  /** A job in it, with a worker's ways. */
  open(job) {
    const id = this.#opened++;
    const ask = async (message) => {
      try {
        return await this.#worker.ask({ ...message, id });
      } catch (error) {
        this.#failed = true;
        throw error;
      }
    };
    return {
      ready: () => ask({ open: job }),
      run: (steps) => ask({ steps }),
      end: async () => this.#worker.tell({ close: id }),
    };
  }

  end() {
    return this.#worker.end();
  }
}
