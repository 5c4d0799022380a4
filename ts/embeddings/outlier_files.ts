/** What `flexae outliers` leaves: a table of all images, the most unusual first. */
import { dirname, extname } from "node:path";
import { stringify } from "csv-stringify/sync";
import { ByteWriter, parquetWrite } from "hyparquet-writer";
import { configError } from "../addon/errors.js";
import { writeFileAtomic } from "../files/atomic.js";
import { makeFolders } from "../files/folders.js";
import type { Outliers } from "./outliers.js";

/** @throws FlexaeError `FLEXAE_CONFIG` unless it ends in .csv or .parquet. */
export function checkOutliersName(out: string): void {
  if (![".csv", ".parquet"].includes(extname(out).toLowerCase())) {
    throw configError(`Expected a name that ends in .csv or .parquet for out but received ${out}`);
  }
}

/**
 * Writes `path,set,class,loss,neighbour_distance,score,nearest`, a row an image, as CSV or Parquet
 * by the name's ending, in one step.
 *
 * @throws FlexaeError `FLEXAE_IO` if it cannot be written.
 */
export async function writeOutliers(out: string, found: Outliers): Promise<void> {
  const { paths, sets, classes, losses, neighbourDistances, scores, nearest } = found;
  const columnData = [
    { name: "path", type: "STRING", nullable: false, data: paths },
    { name: "set", type: "STRING", nullable: false, data: sets },
    { name: "class", type: "STRING", data: classes },
    { name: "loss", type: "FLOAT", nullable: false, data: losses },
    { name: "neighbour_distance", type: "FLOAT", nullable: false, data: neighbourDistances },
    { name: "score", type: "DOUBLE", nullable: false, data: scores },
    { name: "nearest", type: "STRING", nullable: false, data: nearest },
  ] as const;
  await makeFolders(dirname(out));
  if (extname(out).toLowerCase() === ".csv") {
    const records = paths.map((_, row) => columnData.map(({ data }) => data[row]));
    await writeFileAtomic(out, stringify([columnData.map(({ name }) => name), ...records]));
    return;
  }
  const writer = new ByteWriter();
  parquetWrite({ writer, codec: "UNCOMPRESSED", columnData: [...columnData] });
  await writeFileAtomic(out, writer.getBytes());
}
