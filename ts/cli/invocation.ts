import type { Flag } from "./argv.js";

/** What a command is given. */
export interface Invocation {
  flags: ReadonlyMap<string, Flag>;
  /** The config file, if one was given. */
  config: string | undefined;
  json: boolean;
  debug: boolean;
}
