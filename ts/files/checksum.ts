import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ioError, systemReason } from "../addon/errors.js";

/** SHA-256 of a file, in hexadecimal digits. */
export async function checksum(path: string): Promise<string> {
  try {
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch (error) {
    throw ioError(`${path} cannot be read: ${systemReason(error)}`, error);
  }
}
