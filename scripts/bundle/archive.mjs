// The archive: the same files give the same bytes.

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { finished } from "node:stream/promises";
import { SetupError } from "../setup/steps.mjs";

const ended = (child, name) =>
  new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new SetupError(`Cannot start ${name}: ${error.message}`)));
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new SetupError(`${name} exited with ${code}.`)),
    );
  });

/** Packs a folder, under its own name, into `file`: whole or not at all. */
export async function pack(folder, file) {
  const plain = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
  const parts = ["-C", path.dirname(folder), path.basename(folder)];
  const tar = spawn("tar", ["-c", ...plain, "--mode=u+w,go-w,a+rX", ...parts], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  // Most of it is machine code, whose jumps the x86 filter makes alike. One block, for the best
  // result: the addons for several libtorchs have much in common.
  const filter = process.arch === "x64" ? ["--x86"] : [];
  const options = ["--format=xz", ...filter, "--lzma2=preset=9e,dict=128MiB", "--stdout"];
  const xz = spawn("xz", options, { stdio: ["pipe", "pipe", "inherit"] });
  const work = `${file}.new-${process.pid}`;
  try {
    const target = createWriteStream(work);
    tar.stdout.pipe(xz.stdin);
    xz.stdout.pipe(target);
    await Promise.all([ended(tar, "tar"), ended(xz, "xz"), finished(target)]);
    await rename(work, file);
  } finally {
    await rm(work, { force: true });
  }
}
