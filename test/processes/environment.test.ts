import { describe, expect, it } from "vitest";
import { firstHost, processPlace, tasksOfNode } from "../../ts/processes/environment.ts";

describe("which process this is", () => {
  it("nobody's, without variables, or as one of one", () => {
    expect(processPlace({})).toBeUndefined();
    expect(processPlace({ RANK: "0", WORLD_SIZE: "1" })).toBeUndefined();
    // A batch script of Slurm's outside srun is one process, whatever was asked for.
    expect(
      processPlace({ SLURM_PROCID: "0", SLURM_NTASKS: "8", SLURM_JOB_ID: "7" }),
    ).toBeUndefined();
  });

  it("torchrun's, whose agent has the store and may start it again", () => {
    const env = {
      RANK: "3",
      LOCAL_RANK: "1",
      WORLD_SIZE: "4",
      LOCAL_WORLD_SIZE: "2",
      MASTER_ADDR: "node7",
      MASTER_PORT: "29400",
      TORCHELASTIC_USE_AGENT_STORE: "True",
      TORCHELASTIC_RESTART_COUNT: "2",
      TORCHELASTIC_MAX_RESTARTS: "3",
    };
    expect(processPlace(env)).toEqual({
      rank: 3,
      worldSize: 4,
      localRank: 1,
      localWorldSize: 2,
      masterAddress: "node7",
      masterPort: 29_400,
      hostsStore: false,
      prefix: "flexae/2",
      restarts: 2,
      mayRestart: true,
    });
  });

  it("Slurm's, whose list of hosts says where rank 0 is", () => {
    const env = {
      SLURM_STEP_NUM_TASKS: "5",
      SLURM_PROCID: "4",
      SLURM_LOCALID: "0",
      SLURM_NODEID: "2",
      SLURM_STEP_TASKS_PER_NODE: "2(x2),1",
      SLURM_STEP_NODELIST: "gpu[007-009],other3",
      SLURM_JOB_ID: "4711",
      SLURM_STEP_ID: "1",
    };
    const place = processPlace(env);
    expect(place).toMatchObject({
      rank: 4,
      worldSize: 5,
      localRank: 0,
      localWorldSize: 1,
      masterAddress: "gpu007",
      hostsStore: true,
    });
    expect(processPlace({ ...env, SLURM_PROCID: "0" })?.masterPort).toBe(place?.masterPort);
    expect(processPlace({ ...env, SLURM_STEP_ID: "2" })?.masterPort).not.toBe(place?.masterPort);
    expect(processPlace({ ...env, MASTER_ADDR: "ib7", MASTER_PORT: "1234" })).toMatchObject({
      masterAddress: "ib7",
      masterPort: 1234,
    });
  });

  it.each([
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"],
    ["PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"],
  ])("MPI's by %s", (rank, size, local) => {
    expect(processPlace({ [rank]: "1", [size]: "2" })).toMatchObject({
      rank: 1,
      worldSize: 2,
      localRank: 1,
      localWorldSize: 2,
      masterAddress: "127.0.0.1",
    });
    // Of several machines somebody must say where rank 0 is.
    expect(() => processPlace({ [rank]: "1", [size]: "2", [local]: "1" })).toThrow(
      /MASTER_ADDR is not set, and this is rank 1 of 2/,
    );
  });

  it.each([
    [{ RANK: "0" }, /RANK is set but WORLD_SIZE is not/],
    [{ WORLD_SIZE: "two" }, /from 1 to 65536 for WORLD_SIZE but received "two"/],
    [{ WORLD_SIZE: "2" }, /from 0 to 1 for RANK but received nothing/],
    [{ WORLD_SIZE: "2", RANK: "-1" }, /from 0 to 1 for RANK but received "-1"/],
    [{ WORLD_SIZE: "2", RANK: "0" }, /MASTER_ADDR is not set/],
    [{ WORLD_SIZE: "2", RANK: "0", MASTER_ADDR: "a" }, /for MASTER_PORT but received nothing/],
    [
      { WORLD_SIZE: "2", RANK: "0", MASTER_ADDR: "a", MASTER_PORT: "0" },
      /from 1 to 65535 for MASTER_PORT/,
    ],
  ])("refuses %o", (env, message) => {
    expect(() => processPlace(env)).toThrow(message);
  });

  it("reads Slurm's lists", () => {
    expect(firstHost("node1")).toBe("node1");
    expect(firstHost("node[3,5-7]")).toBe("node3");
    expect(firstHost("rack[01-04]-a,rack9-b")).toBe("rack01-a");
    expect(firstHost("a,b")).toBe("a");
    expect([0, 1, 2, 3, 4].map((node) => tasksOfNode("2(x3),1", node))).toEqual([2, 2, 2, 1, 1]);
  });
});
