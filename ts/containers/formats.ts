/** Which format a file has, told by its content. */
import { open } from "node:fs/promises";
import type { ContainerFormat } from "./format.js";
import { idx } from "./idx.js";
import { isGzip, UNREADABLE } from "./magic.js";
import { npy } from "./npy.js";
import { parquet } from "./parquet.js";
import type { RandomAccess } from "./random_access.js";
import { tar } from "./tar.js";
import { zip } from "./zip.js";

/** Those with a word of their own first; tar has none but a sum. */
export const FORMATS: readonly ContainerFormat[] = [npy, zip, parquet, tar, idx];

/** What a file begins with. */
export interface Beginning {
  /** Null where it is no container. */
  format: ContainerFormat | null;
  isCompressed: boolean;
  /** What it is packed by, where that cannot be read. */
  unreadable: string | null;
}

const HEAD = 512;

function beginningOf(head: Buffer): Beginning {
  const packer = head.length < 8 ? undefined : UNREADABLE.find(([, begins]) => begins(head));
  return {
    format: FORMATS.find((format) => format.begins(head)) ?? null,
    isCompressed: isGzip(head),
    unreadable: packer?.[0] ?? null,
  };
}

/** @throws What the file system throws. */
export async function readBeginning(path: string): Promise<Beginning> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    return beginningOf(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** The format of bytes that were unpacked; null where it is none. */
export function formatIn(bytes: RandomAccess): ContainerFormat | null {
  return beginningOf(Buffer.from(bytes.read(0, Math.min(HEAD, bytes.size)))).format;
}
