// Chromium, in which tests open pages. Where there is none they are left out.

import { output } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";
import { aptPrefix, installPackages } from "./system.mjs";

/** What Debian and others call it, and Google its own. */
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];

/** What to say where there is none. */
export const NO_BROWSER = "there is no Chromium (apt-get install chromium)";

/**
 * How it is started for tests. The superuser has no sandbox, and only pages of our own are opened. The
 * rest keeps Chromium from asking its maker for updates.
 */
export const BROWSER_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The program's path, or null. */
export function browserPath() {
  for (const name of PROGRAMS) {
    const found = output("which", [name]);
    if (found !== null) return found.trim();
  }
  return null;
}

/** The step that installs one where apt may be used. Its failure fails nothing else. */
export function browserStep() {
  const none = `tests of pages are left out: ${NO_BROWSER}`;
  return {
    name: "Browser",
    hint: "Debian's chromium, half a minute the first time",
    async run() {
      const present = browserPath();
      if (present !== null) return done(present);
      const prefix = aptPrefix();
      if (prefix === null) return none;
      try {
        await installPackages(["chromium"], prefix);
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        return none;
      }
      return browserPath() === null ? none : "installed chromium";
    },
  };
}
