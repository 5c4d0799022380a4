/** `flexae dashboard [LOGS]`: a window on all runs below a folder. */
import type { CommandDescription } from "../command.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson } from "../output.js";
import { optionNumber } from "../own_options.js";

/** Where a bookmark finds it again. */
const PORT = 7357;

/**
 * Begins to serve. The usual port may be another dashboard's: then a free one will do.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it cannot listen there.
 */
async function serve(invocation: Invocation) {
  const { serveDashboard } = await import("../../dashboard/server.js");
  const { isAddonError } = await import("../../addon/errors.js");
  const port = optionNumber(invocation, "port", { most: 65535, integer: true });
  const options = {
    host: optionText(invocation, "host"),
    control: invocation.options.control === true,
  };
  const folder = invocation.argument === "" ? undefined : invocation.argument;
  try {
    return await serveDashboard(folder, { ...options, port: port ?? PORT });
  } catch (error) {
    if (port !== undefined || !isAddonError(error) || error.code !== "FLEXAE_CONFIG") throw error;
    return await serveDashboard(folder, { ...options, port: 0 });
  }
}

async function watch(invocation: Invocation): Promise<number> {
  let isServing = false;
  const ended = await interruptible(async (signal) => {
    const { url, folder, close } = await serve(invocation);
    isServing = true;
    if (invocation.json) printJson({ event: "serving", url, folder });
    else print(`Runs in ${nameFromHere(folder)} at ${url} until Ctrl-C`);
    if (!signal.aborted) {
      await new Promise<void>((done) => {
        signal.addEventListener("abort", () => done(), { once: true });
        // Of `flexae run --dashboard`: the training is over, or its process is gone.
        process.once("disconnect", done);
      });
    }
    await close();
  });
  // Ctrl-C is how a server ends; before it began, it was not what was asked for.
  return isServing || !("exitCode" in ended) ? 0 : ended.exitCode;
}

export const dashboard: CommandDescription = {
  name: "dashboard",
  description: "watch the runs below a folder in a browser, while they train and after",
  argument: ["[logs]", "a folder with runs in it (logs)"],
  options: [
    ["--port <n>", `where to serve it; 0 takes a free one (${PORT})`],
    ["--host <address>", "to be reached from other machines, such as 0.0.0.0 (127.0.0.1)"],
    ["--control", "let whoever has the printed address stop runs"],
  ],
  run: watch,
};
