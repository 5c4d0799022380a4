/** The dashboard that `flexae run --dashboard` opens beside itself. */
import { type ChildProcess, spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** A dashboard in a process of its own, so that whoever looks at it never keeps the training waiting. */
export class OwnDashboard {
  #child: ChildProcess;
  /** Where it is; null if it could not begin. */
  readonly url: Promise<string | null>;

  /** @param runDir - Below the current folder, runs beside this one are shown, too. */
  constructor(runDir: string) {
    const program = fileURLToPath(new URL("./main.js", import.meta.url));
    const beside = dirname(runDir);
    const fromHere = relative(process.cwd(), beside);
    // What else lies beside it, in /tmp say, nobody knows.
    const isOurs = fromHere !== "" && !fromHere.startsWith("..");
    const args = [program, "dashboard", isOurs ? beside : runDir, "--json"];
    // A group of its own: Ctrl-C is for the training, which has something to do before it ends.
    this.#child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
      detached: true,
    });
    const { pid } = this.#child;
    try {
      if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
      // It is there all the same.
    }
    this.url = new Promise((done) => {
      let text = "";
      this.#child.stdout?.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        if (!text.includes("\n")) return;
        done((JSON.parse(text.split("\n", 1)[0] as string) as { url: string }).url);
      });
      this.#child.once("error", () => done(null));
      this.#child.once("exit", () => done(null));
    });
    // It is no reason for this process to stay.
    this.#child.unref();
    this.#child.channel?.unref();
  }

  /** Ends it. If this process dies without, it ends as well. */
  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
