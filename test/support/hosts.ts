/** Several hosts on this machine: network namespaces on one switch, with what is slow and lost on it. */
import { spawnSync } from "node:child_process";

function run(...words: string[]): string | null {
  const [program = "", ...args] = words;
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return null;
  return `${words.join(" ")}: ${error?.message ?? stderr.trim()}`;
}

function must(...words: string[]): void {
  const problem = run(...words);
  if (problem !== null) throw new Error(problem);
}

/** Why there can be none here, or none with such a queue; null if there can. */
export function hostsProblem(queue: readonly string[] = ["pfifo"]): string | null {
  const name = `flexae-try-${process.pid}`;
  const problem =
    run("ip", "netns", "add", name) ??
    run("ip", "-n", name, "link", "set", "lo", "up") ??
    run("tc", "-n", name, "qdisc", "add", "dev", "lo", "root", ...queue);
  run("ip", "netns", "del", name);
  return problem;
}

/** Hosts on one switch. */
export class Hosts {
  readonly #prefix: string;
  readonly #count: number;

  /** @param queue - Of `tc`, for what a host sends, as `["netem", "delay", "2ms"]`. */
  constructor(count: number, queue: readonly string[] = []) {
    this.#prefix = `flexae-${process.pid}`;
    this.#count = count;
    try {
      const hub = this.#hub;
      must("ip", "netns", "add", hub);
      must("ip", "-n", hub, "link", "add", "switch", "type", "bridge");
      must("ip", "-n", hub, "link", "set", "switch", "up");
      for (let host = 0; host < count; host++) {
        const own = this.name(host);
        must("ip", "netns", "add", own);
        must(..."ip -n".split(" "), own, ..."link set lo up".split(" "));
        must(
          ...["ip", "-n", hub, "link", "add", `port${host}`, "type", "veth"],
          ...["peer", "name", "eth0", "netns", own],
        );
        must("ip", "-n", hub, "link", "set", `port${host}`, "master", "switch", "up");
        must("ip", "-n", own, "address", "add", `${this.address(host)}/24`, "dev", "eth0");
        must("ip", "-n", own, "link", "set", "eth0", "up");
        if (queue.length > 0)
          must("tc", "-n", own, "qdisc", "add", "dev", "eth0", "root", ...queue);
      }
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  get #hub(): string {
    return `${this.#prefix}-hub`;
  }

  /** Of its namespace. */
  name(host: number): string {
    return `${this.#prefix}-${host}`;
  }

  address(host: number): string {
    return `10.231.0.${host + 1}`;
  }

  /** What begins a command that is to run there. */
  on(host: number): string[] {
    return ["ip", "netns", "exec", this.name(host)];
  }

  /** Pulls a host's cable: nobody is told, packets are gone. */
  unplug(host: number): void {
    must("ip", "-n", this.#hub, "link", "set", `port${host}`, "down");
  }

  remove(): void {
    for (let host = 0; host < this.#count; host++) run("ip", "netns", "del", this.name(host));
    run("ip", "netns", "del", this.#hub);
  }
}
