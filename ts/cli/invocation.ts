/** A parameter as it was given. */
export interface Flag {
  /** With its dashes, as the user wrote it. */
  spelled: string;
  value: string;
}

/** The value of one of a command's own options; undefined if it was not given. */
export function optionText({ options }: Invocation, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** What a command is given. */
export interface Invocation {
  flags: ReadonlyMap<string, Flag>;
  /** The config file, if one was given. */
  config: string | undefined;
  json: boolean;
  debug: boolean;
  /** Of a command that takes one; "" otherwise. */
  argument: string;
  /** Those behind it, of a command that takes them. */
  more: readonly string[];
  /**
   * The command's own options: text where they take a value, several where they may be repeated,
   * else true; undefined if not given.
   */
  options: Readonly<Record<string, string | readonly string[] | boolean | undefined>>;
}
