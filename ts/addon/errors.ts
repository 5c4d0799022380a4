import type { AddonErrorCode } from "./types.js";

/**
 * Every error this package raises on purpose: a short message that names the thing and the remedy,
 * and a machine-readable {@link AddonErrorCode}.
 */
export class FlexaeError extends Error {
  /** What went wrong, for programs. */
  readonly code: AddonErrorCode;

  /** Takes what `Error` takes, after the code. */
  constructor(code: AddonErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FlexaeError";
    this.code = code;
  }
}

/** The settings are not valid. */
export function configError(message: string, cause?: unknown): FlexaeError {
  return new FlexaeError("FLEXAE_CONFIG", message, { cause });
}

/** The images cannot be used. */
export function dataError(message: string, cause?: unknown): FlexaeError {
  return new FlexaeError("FLEXAE_DATA", message, { cause });
}

/** A file or folder cannot be read or written. */
export function ioError(message: string, cause?: unknown): FlexaeError {
  return new FlexaeError("FLEXAE_IO", message, { cause });
}

/** What the operating system said, without Node's prefix of code and call. */
export function systemReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    EACCES: "permission denied",
    EPERM: "operation not permitted",
    EROFS: "the file system is read-only",
    ENOSPC: "no space left on the device",
    EDQUOT: "the disk quota is used up",
    ENOENT: "no such file or folder",
    ENOTDIR: "a part of the path is not a folder",
    EISDIR: "it is a folder",
    EEXIST: "it exists already",
    EMFILE: "too many open files",
    ENAMETOOLONG: "the name is too long",
    ELOOP: "too many symbolic links",
  };
  return (code !== undefined && known[code]) || message || String(error);
}

const CODES: ReadonlySet<string> = new Set<AddonErrorCode>([
  "FLEXAE_CONFIG",
  "FLEXAE_DATA",
  "FLEXAE_IO",
  "FLEXAE_MODEL",
  "FLEXAE_MEMORY",
  "FLEXAE_NAN",
  "FLEXAE_DISPOSED",
  "FLEXAE_PROCESS",
  "FLEXAE_INTERNAL",
]);

/** Whether it has a code of ours: the addon threw it, or it is a {@link FlexaeError}. */
export function isAddonError(error: unknown): error is { code: AddonErrorCode } {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && CODES.has(code);
}

/** Turns whatever was thrown into a {@link FlexaeError}; what has no code of ours is an internal defect. */
export function translateError(error: unknown): FlexaeError {
  if (error instanceof FlexaeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = isAddonError(error) ? error.code : "FLEXAE_INTERNAL";
  return new FlexaeError(code, message, { cause: error });
}
