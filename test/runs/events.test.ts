import { describe, expect, it } from "vitest";
import { EventQueue } from "../../ts/runs/events.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

describe("EventQueue", () => {
  it("hands over what waited and what comes later, then ends", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.push(2);
    setTimeout(() => {
      queue.push(3);
      queue.end();
      queue.push(4);
    }, 5);
    const taken: number[] = [];
    for await (const event of queue) taken.push(event);
    expect(taken).toEqual([1, 2, 3]);
  });

  it("keeps the newest of a kind that nobody took, and all others in order", async () => {
    const kindOf = (event: string) => (event.startsWith("e") ? null : event.charAt(0));
    const queue = new EventQueue<string>(kindOf);
    const take = async (iterator: AsyncIterator<string>, count: number) => {
      const taken: string[] = [];
      for (let i = 0; i < count; i++) taken.push((await iterator.next()).value);
      return taken;
    };
    for (const event of ["b1", "b2", "e1", "b3", "r1", "e2", "b4", "r2"]) queue.push(event);
    const iterator = queue[Symbol.asyncIterator]();
    expect(await take(iterator, 2)).toEqual(["e1", "e2"]);
    queue.push("b5");
    expect(await take(iterator, 1)).toEqual(["r2"]);
    queue.push("b6");
    queue.push("e3");
    queue.end();
    expect(await take(iterator, 2)).toEqual(["b6", "e3"]);
    expect((await iterator.next()).done).toBe(true);
  });

  it("is as a list would be, whatever comes and goes", async () => {
    const random = seededRandom(chosenSeed("a queue of events"));
    const kindOf = (event: string) => (event.startsWith("e") ? null : event.charAt(0));
    const queue = new EventQueue<string>(kindOf);
    const iterator = queue[Symbol.asyncIterator]();
    let list: string[] = [];
    for (let i = 0; i < 3000; i++) {
      if (random() < 0.3 && list.length > 0) {
        expect((await iterator.next()).value).toBe(list.shift());
        continue;
      }
      const event = `${"ebr".charAt(Math.floor(3 * random()))}${i}`;
      const kind = kindOf(event);
      if (kind !== null) list = list.filter((other) => kindOf(other) !== kind);
      list.push(event);
      queue.push(event);
    }
    queue.end();
    for (const event of list) expect((await iterator.next()).value).toBe(event);
    expect((await iterator.next()).done).toBe(true);
  });

  it("throws a failure after the last event", async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.end(new Error("no"));
    const iterator = queue[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toBe(1);
    await expect(iterator.next()).rejects.toThrow("no");
  });
});
