/** The commands, in the order `--help` shows them. A new one is a file and a line here. */
import type { CommandDescription } from "./command.js";
import { bench } from "./commands/bench.js";
import { check } from "./commands/check.js";
import { cluster } from "./commands/cluster.js";
import { dashboard } from "./commands/dashboard.js";
import { doctor } from "./commands/doctor.js";
import { duplicates } from "./commands/duplicates.js";
import { embed } from "./commands/embed.js";
import { evaluate } from "./commands/evaluate.js";
import { explore } from "./commands/explore.js";
import { exportCommand } from "./commands/export.js";
import { importCommand } from "./commands/import.js";
import { map } from "./commands/map.js";
import { outliers } from "./commands/outliers.js";
import { pack } from "./commands/pack.js";
import { report } from "./commands/report.js";
import { run } from "./commands/run.js";
import { runs } from "./commands/runs.js";
import { similar } from "./commands/similar.js";
import { summary } from "./commands/summary.js";
import { sweep } from "./commands/sweep.js";
import { tensorboard } from "./commands/tensorboard.js";

export const COMMANDS: readonly CommandDescription[] = [
  run,
  summary,
  bench,
  evaluate,
  runs,
  dashboard,
  sweep,
  report,
  embed,
  cluster,
  map,
  similar,
  duplicates,
  outliers,
  explore,
  tensorboard,
  exportCommand,
  importCommand,
  check,
  pack,
  doctor,
];
