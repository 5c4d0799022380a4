/**
 * Loaded before the program in a trial's process: when the sweep that started it is gone, whatever
 * ended that, the trial ends after its batch, with a checkpoint. Its standard input is a pipe from
 * the sweep, to which nothing is ever written.
 */
import { Socket } from "node:net";

process.stdin.on("error", () => {});
process.stdin.on("end", () => process.kill(process.pid, "SIGINT"));
process.stdin.resume();
// Waiting for that keeps no process that has done its work.
if (process.stdin instanceof Socket) process.stdin.unref();
