import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { ioError, systemReason } from "../addon/errors.js";

/** Bytes that are read at once. */
const CHUNK = 1 << 20;

/** SHA-256 of a file, in hexadecimal digits. */
export async function checksum(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    const handle = await open(path);
    try {
      const chunk = Buffer.alloc(CHUNK);
      for (;;) {
        const { bytesRead } = await handle.read(chunk, 0, CHUNK, null);
        if (bytesRead === 0) return hash.digest("hex");
        hash.update(chunk.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(`${path} cannot be read: ${systemReason(error)}`, error);
  }
}
