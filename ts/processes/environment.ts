/** Which process of a training this is, by what its launcher set. Names are PyTorch's. */
import { configError } from "../addon/errors.js";

/** The place of a process among those of its training. */
export interface ProcessPlace {
  /** Of this process, from 0. */
  rank: number;
  worldSize: number;
  /** Among those of this machine, from 0. */
  localRank: number;
  localWorldSize: number;
  /** Where rank 0 is, or whoever has the store. */
  masterAddress: string;
  masterPort: number;
  /** Whether rank 0 opens the store; torchrun's agent has one already. */
  hostsStore: boolean;
  /** Of keys in the store: another for each start. */
  prefix: string;
  /** How often the launcher has started them again. */
  restarts: number;
  /** Whether it may. */
  mayRestart: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const LARGEST_WORLD = 65_536;

function count(env: Environment, name: string, least: number, most: number): number {
  const text = env[name] ?? "";
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw configError(
    `Expected a number from ${least} to ${most} for ${name} but received ${text === "" ? "nothing" : JSON.stringify(text)}: see what started this process`,
  );
}

/** The first host of a list as Slurm writes it: `node[03-05,9],other` is `node03`. */
export function firstHost(list: string): string {
  const [, head = "", ranges, tail = ""] = /^([^,[]+)(?:\[([^\]]+)\])?([^,]*)/.exec(list) ?? [];
  return `${head}${ranges?.split(/[,-]/, 1)[0] ?? ""}${tail}`;
}

/** How many tasks the n-th node has: `2(x3),1` is 2, 2, 2, 1. */
export function tasksOfNode(list: string, node: number): number {
  const all = list.split(",").flatMap((part) => {
    const [, tasks = "1", times = "1"] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? [];
    return Array<number>(Number(times)).fill(Number(tasks));
  });
  return all[node] ?? 1;
}

/** A variable's value; undefined where it is empty, too. */
function given(env: Environment, name: string): string | undefined {
  return env[name] === "" ? undefined : env[name];
}

interface Launcher {
  rank: string;
  worldSize: string;
  localRank: string;
  localWorldSize: string;
}

const TORCHRUN: Launcher = {
  rank: "RANK",
  worldSize: "WORLD_SIZE",
  localRank: "LOCAL_RANK",
  localWorldSize: "LOCAL_WORLD_SIZE",
};
const OPEN_MPI: Launcher = {
  rank: "OMPI_COMM_WORLD_RANK",
  worldSize: "OMPI_COMM_WORLD_SIZE",
  localRank: "OMPI_COMM_WORLD_LOCAL_RANK",
  localWorldSize: "OMPI_COMM_WORLD_LOCAL_SIZE",
};
/** MPICH's, Intel's and their kin. */
const HYDRA: Launcher = {
  rank: "PMI_RANK",
  worldSize: "PMI_SIZE",
  localRank: "MPI_LOCALRANKID",
  localWorldSize: "MPI_LOCALNRANKS",
};

function masterPort(env: Environment, fallback: number): number {
  return given(env, "MASTER_PORT") === undefined ? fallback : count(env, "MASTER_PORT", 1, 65_535);
}

function fromLauncher(env: Environment, names: Launcher): ProcessPlace | undefined {
  const worldSize = count(env, names.worldSize, 1, LARGEST_WORLD);
  if (worldSize === 1) return undefined;
  const rank = count(env, names.rank, 0, worldSize - 1);
  const onOneMachine = given(env, names.localWorldSize) === undefined;
  const localWorldSize = onOneMachine ? worldSize : count(env, names.localWorldSize, 1, worldSize);
  const localRank =
    given(env, names.localRank) === undefined
      ? rank % localWorldSize
      : count(env, names.localRank, 0, worldSize - 1);
  const address = given(env, "MASTER_ADDR");
  if (address === undefined && (names === TORCHRUN || localWorldSize < worldSize)) {
    throw configError(
      `MASTER_ADDR is not set, and this is rank ${rank} of ${worldSize} processes: set it to rank 0's host, and MASTER_PORT to a free port there`,
    );
  }
  if (names === TORCHRUN) count(env, "MASTER_PORT", 1, 65_535);
  const restarts = Number(env.TORCHELASTIC_RESTART_COUNT ?? 0) || 0;
  return {
    rank,
    worldSize,
    localRank,
    localWorldSize,
    masterAddress: address ?? "127.0.0.1",
    masterPort: masterPort(env, 29_500),
    hostsStore: !/^true$/i.test(env.TORCHELASTIC_USE_AGENT_STORE ?? ""),
    prefix: `flexae/${restarts}`,
    restarts,
    mayRestart: restarts > 0 || Number(env.TORCHELASTIC_MAX_RESTARTS ?? 0) > 0,
  };
}

/** Of a step of Slurm's; a batch script outside `srun` is one process. */
function fromSlurm(env: Environment): ProcessPlace | undefined {
  const worldSize = count(env, "SLURM_STEP_NUM_TASKS", 1, LARGEST_WORLD);
  if (worldSize === 1) return undefined;
  const rank = count(env, "SLURM_PROCID", 0, worldSize - 1);
  const localRank = count(env, "SLURM_LOCALID", 0, worldSize - 1);
  const node = Number(env.SLURM_NODEID ?? 0) || 0;
  const tasks = env.SLURM_STEP_TASKS_PER_NODE ?? String(worldSize);
  const list = given(env, "SLURM_STEP_NODELIST") ?? given(env, "SLURM_JOB_NODELIST");
  const address = given(env, "MASTER_ADDR") ?? (list === undefined ? "127.0.0.1" : firstHost(list));
  const job = Number(env.SLURM_JOB_ID ?? 0) || 0;
  const restarts = Number(env.SLURM_RESTART_COUNT ?? 0) || 0;
  return {
    rank,
    worldSize,
    localRank,
    localWorldSize: tasksOfNode(tasks, node),
    masterAddress: address,
    // Steps of a job may run beside each other.
    masterPort: masterPort(
      env,
      20_000 + ((job * 16 + (Number(env.SLURM_STEP_ID ?? 0) || 0)) % 12_000),
    ),
    hostsStore: true,
    prefix: "flexae",
    restarts,
    mayRestart: restarts > 0,
  };
}

/**
 * The place of this process; undefined where it trains alone.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` naming a variable that is missing or makes no sense.
 */
export function processPlace(env: Environment = process.env): ProcessPlace | undefined {
  if (given(env, TORCHRUN.worldSize) !== undefined) return fromLauncher(env, TORCHRUN);
  if (given(env, TORCHRUN.rank) !== undefined) {
    throw configError("RANK is set but WORLD_SIZE is not: set both, or neither to train alone");
  }
  if (given(env, "SLURM_STEP_NUM_TASKS") !== undefined) return fromSlurm(env);
  for (const launcher of [OPEN_MPI, HYDRA]) {
    if (given(env, launcher.worldSize) !== undefined) return fromLauncher(env, launcher);
  }
  return undefined;
}
