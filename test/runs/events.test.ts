import { describe, expect, it } from "vitest";
import { EventQueue } from "../../ts/runs/events.ts";

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

  it("lets newer events replace older ones that nobody took", async () => {
    const queue = new EventQueue<string>((a, b) => a.startsWith("b") && b.startsWith("b"));
    for (const event of ["b1", "b2", "e1", "b3", "b4", "e2"]) queue.push(event);
    queue.end();
    const taken: string[] = [];
    for await (const event of queue) taken.push(event);
    expect(taken).toEqual(["b2", "e1", "b4", "e2"]);
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
