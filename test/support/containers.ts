/** What tests of containers share. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { beforeEach } from "vitest";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";
import { loadAddon } from "../../ts/addon/loader.ts";
import { openContainer } from "../../ts/containers/open_container.ts";
import { temporaryFolder } from "./cli.ts";

export * from "../../scripts/fuzz/make_containers.mjs";

/** A small picture, another one for each number. */
export function png(number: number, side = 8): Buffer {
  const pixels = Uint8Array.from({ length: side * side }, (_, i) => (i * 3 + number * 29) % 256);
  return Buffer.from(encodeGrayPng(pixels, side, side));
}

/**
 * A folder of its own for each test, and a cache beside it.
 *
 * @returns Gives its path, and what is done in it.
 */
export function containersIn() {
  let folder = "";
  beforeEach(() => {
    folder = temporaryFolder();
    process.env.FLEXAE_CACHE = join(folder, "cache");
  });
  const place = (name: string) => join(folder, name);
  const write = (name: string, content: Uint8Array | string) => {
    mkdirSync(dirname(place(name)), { recursive: true });
    writeFileSync(place(name), content);
    return place(name);
  };
  return {
    place,
    write,
    /** Writes a container and opens it. */
    async opened(name: string, content?: Uint8Array) {
      if (content !== undefined) write(name, content);
      const listing = await openContainer(place(name), name);
      if (listing === null) throw new Error(`${name} is no container`);
      const names = listing.files.map((file) => relative(place(name), file));
      const labels = [...listing.labels].map((label) => listing.classes[label] ?? null);
      return { ...listing, names, named: labels };
    },
    /** Why a container is refused. */
    async refused(name: string, content: Uint8Array): Promise<string> {
      write(name, content);
      try {
        await openContainer(place(name), name);
      } catch (error) {
        const { code, message } = error as Error & { code: string };
        if (code === "FLEXAE_DATA" || code === "FLEXAE_IO") return message;
        throw error;
      }
      throw new Error(`${name} was taken`);
    },
    async bytesOf(...files: string[]): Promise<Buffer[]> {
      const contents = await loadAddon().readImages(files);
      return contents.map((content, i) => {
        if (typeof content !== "string") return content;
        throw new Error(`${files[i]} cannot be read: ${content}`);
      });
    },
    read: (name: string) => readFileSync(place(name)),
  };
}
