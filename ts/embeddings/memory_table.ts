/** Sets of images through a model, into memory. */
import { type Embedding, type EmbedOptions, embed } from "./embed.js";
import { type EmbeddingRows, type EmbeddingTable, joinRows, type TableOrigin } from "./table.js";

/**
 * Embeds sets of images as `embed` does, and writes nothing.
 *
 * @throws FlexaeError as `embed` does.
 */
export async function embedInMemory(
  model: string,
  options: Omit<EmbedOptions, "out" | "append" | "shard">,
): Promise<Embedding & { table: EmbeddingTable }> {
  const stretches: EmbeddingRows[] = [];
  let origin: TableOrigin | null = null;
  const done = await embed(model, { ...options, out: "" }, (made) => {
    origin = made;
    return {
      write: async (rows) => {
        stretches.push(rows);
      },
      finish: async () => {},
      abandon: async () => {},
    };
  });
  const rows = joinRows(stretches);
  return { ...done, table: { ...rows, path: "embeddings", dims: done.dims, origin } };
}
