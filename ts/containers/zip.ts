/** Zip files: images are read where they lie, stored or deflated. */
import type { ContainerFormat } from "./format.js";

export const zip: ContainerFormat = {
  name: "zip",
  unpacked: false,
  begins: (head) => ["PK\x03\x04", "PK\x05\x06"].includes(head.toString("latin1", 0, 4)),
  list: async (file, sink) => {
    // Its library takes a while to load, and most sets need none of it.
    const { listEntries } = await import("./zip_entries.js");
    await listEntries(file, sink);
  },
};
