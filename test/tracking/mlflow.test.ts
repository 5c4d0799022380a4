/** `flexae run --mlflow`, on a server as pip gives it and on servers that are not well. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { createTraining } from "../../ts/index.ts";
import { mlflowServer } from "../../ts/tracking/mlflow_address.ts";
import {
  type Ended,
  flexae,
  main,
  smallRun,
  start,
  temporaryFolder,
  trainedRun,
} from "../support/cli.ts";
import { expectSameRun } from "../support/runs.ts";
import {
  freePort,
  hasTrackers,
  metricsOf,
  type PythonServer,
  startMlflow,
  startProxy,
  startStub,
  until,
} from "../support/tracking.ts";

const there = describe.skipIf(!hasTrackers("test/tracking/mlflow.test.ts"));

interface Run {
  info: {
    run_id: string;
    run_name: string;
    status: string;
    start_time: number;
    end_time?: number;
    experiment_id: string;
  };
  data: {
    metrics?: { key: string; value: number; step: number }[];
    params?: { key: string; value: string }[];
    tags?: { key: string; value: string }[];
  };
}

/** Asks the server as any client does. */
async function ask<T>(url: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`${url}/api/2.0/mlflow/${path}`, {
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    headers: { "content-type": "application/json" },
  });
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as T;
}

/** What a run folder remembers. */
const keptRun = (folder: string) =>
  JSON.parse(readFileSync(join(folder, "mlflow.json"), "utf8")) as {
    address: string;
    experiment: string;
    run_id: string;
  };

const getRun = async (url: string, id: string) =>
  (await ask<{ run: Run }>(url, `runs/get?run_id=${id}`)).run;

/** Step and value of each number that a run has had. */
async function history(url: string, id: string, key: string): Promise<[number, number][]> {
  const path = `metrics/get-history?run_id=${id}&metric_key=${key}`;
  const { metrics = [] } = await ask<{ metrics?: { step: number; value: number }[] }>(url, path);
  // MLflow sorts by time, which of epochs that are told later is known to a second.
  return metrics
    .map(({ step, value }): [number, number] => [step, value])
    .sort(([a], [b]) => a - b);
}

const METRICS = ["loss", "accuracy", "mse", "psnr"].flatMap((name) => [name, `val_${name}`]);

/** Every epoch of the run once, with the numbers of `metrics.csv`. */
async function expectHistory(url: string, folder: string): Promise<void> {
  const { run_id } = keptRun(folder);
  const rows = metricsOf(folder);
  expect(rows.length).toBeGreaterThan(0);
  for (const key of [...METRICS, "learning_rate"]) {
    const found = await history(url, run_id, key);
    expect(found, key).toEqual(rows.map((row) => [row.epoch, row[key]]));
  }
}

/** So that a server that was away has not more epochs to hear of than it takes in seconds. */
const SLOW = ["--image-shape=64,64", "--filters=32,32"];
/** Of runs that are ended from outside. */
const LONG = ["--preTrain_verbose=2", "--no-report"];

const warnings = ({ stderr }: Ended) =>
  stderr.split("\n").filter((line) => line.startsWith("flexae: "));

there("flexae run --mlflow", () => {
  let server: PythonServer;
  let store: string;
  beforeAll(async () => {
    store = join(inject("digits"), "mlflow");
    mkdirSync(store, { recursive: true });
    server = await startMlflow(store, await freePort(), "--artifacts-destination", "./artifacts");
    // The first answers of a server that has just begun take seconds.
    const { run } = await ask<{ run: Run }>(server.url, "runs/create", { experiment_id: "0" });
    const metrics = [{ key: "first", value: 1, timestamp: 1, step: 1 }];
    await ask(server.url, "runs/log-batch", { run_id: run.info.run_id, metrics });
  });
  afterAll(() => server?.kill());

  /** A run of three epochs that ends well. */
  async function tracked(folder: string, ...more: string[]): Promise<Ended> {
    const args = smallRun(`--save-dir=${folder}`, "--train-epochs=3", `--mlflow=${server.url}`);
    const ended = await flexae([...args, ...more]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toBe("");
    return ended;
  }

  it("leaves settings, numbers, files and the end there", async () => {
    const folder = join(temporaryFolder(), "digits run");
    const began = Date.now();
    await tracked(folder);
    const { run_id, experiment, address } = keptRun(folder);
    expect(address).toBe(server.url);
    expect(experiment).toBe("flexible-autoencoder");
    const { info, data } = await getRun(server.url, run_id);
    expect(info).toMatchObject({ run_name: "digits run", status: "FINISHED" });
    expect(info.start_time).toBeGreaterThanOrEqual(began);
    expect(info.end_time).toBeGreaterThan(info.start_time);
    const found = await ask<{ experiment: { experiment_id: string } }>(
      server.url,
      "experiments/get-by-name?experiment_name=flexible-autoencoder",
    );
    expect(found.experiment.experiment_id).toBe(info.experiment_id);
    const pairs = (list: { key: string; value: string }[] = []) =>
      Object.fromEntries(list.map(({ key, value }) => [key, value]));
    expect(pairs(data.params)).toMatchObject({
      filters: "8, 16",
      optimizer: "adam",
      train_epochs: "3",
      train_dir: join(inject("digits"), "train"),
    });
    expect(pairs(data.tags)).toMatchObject({
      device: "cpu",
      run_folder: folder,
      train_images: "200",
      "mlflow.source.name": "flexae run",
    });
    await expectHistory(server.url, folder);
    const best = metricsOf(folder).findLast((row) => row.best === 1);
    const latest = Object.fromEntries((data.metrics ?? []).map(({ key, value }) => [key, value]));
    expect(latest.best_epoch).toBe(best?.epoch);
    expect(latest.best_val_loss).toBeCloseTo(best?.val_loss as number, 5);
    const files = join(store, "artifacts", info.experiment_id, run_id, "artifacts");
    expect(readdirSync(files).sort()).toEqual([
      "ae.pt",
      "en.pt",
      "metrics.csv",
      "report.html",
      "setting.yaml",
      "train_comparison.png",
      "valid_comparison.png",
    ]);
    for (const name of readdirSync(files)) {
      const isSame = readFileSync(join(files, name)).equals(readFileSync(join(folder, name)));
      expect(isSame, name).toBe(true);
    }
  });

  it("changes nothing in the run", async () => {
    const cwd = temporaryFolder();
    await tracked(join(cwd, "followed"), "--no-report");
    const plain = smallRun(`--save-dir=${join(cwd, "plain")}`, "--train-epochs=3");
    expect((await flexae([...plain, "--no-report"])).code).toBe(0);
    expectSameRun(join(cwd, "followed"), join(cwd, "plain"));
  });

  it("takes the address and the experiment from MLflow's own variables", async () => {
    const folder = join(temporaryFolder(), "run");
    const args = smallRun(`--save-dir=${folder}`, "--train-epochs=1", "--no-report", "--mlflow");
    const env = { MLFLOW_TRACKING_URI: server.url, MLFLOW_EXPERIMENT_NAME: "digits & more/é" };
    const ended = await flexae(args, { env });
    expect(ended.code, ended.stderr).toBe(0);
    expect(keptRun(folder).experiment).toBe("digits & more/é");
    await expectHistory(server.url, folder);
  });

  it("goes on with the same run after an interruption, which is told", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    const args = smallRun(`--save-dir=${folder}`, "--train-epochs=9000", `--mlflow=${server.url}`);
    const { child, ended, seen } = start([main, ...args, ...LONG], { cwd });
    await seen(/epoch +4\//);
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
    const { run_id } = keptRun(folder);
    expect((await getRun(server.url, run_id)).info.status).toBe("KILLED");
    const epochs = metricsOf(folder).length + 3;
    const more = ["run", "--resume", folder, `--train-epochs=${epochs}`, "--no-report"];
    const resumed = await flexae([...more, `--mlflow=${server.url}`], { cwd });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(keptRun(folder).run_id).toBe(run_id);
    const { info, data } = await getRun(server.url, run_id);
    expect(info.status).toBe("FINISHED");
    // What a parameter was stays; what it has become is a tag.
    expect(data.params).toContainEqual({ key: "train_epochs", value: "9000" });
    expect(data.tags).toContainEqual({ key: "resumed.train_epochs", value: String(epochs) });
    // Where it lies is no setting that changed.
    expect(JSON.stringify(data.tags)).not.toContain("resumed.save_dir");
    await expectHistory(server.url, folder);
  });

  it("has every epoch once of a run that was killed", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    const args = smallRun(`--save-dir=${folder}`, "--train-epochs=9000", `--mlflow=${server.url}`);
    const { child, ended, seen } = start([main, ...args, ...LONG, "--checkpoint-epochs=4"], {
      cwd,
    });
    await until(() => existsSync(join(folder, "mlflow.json")));
    await seen(/epoch +15\//);
    child.kill("SIGKILL");
    const told = [...(await ended).stdout.matchAll(/^epoch/gm)].length;
    const { run_id } = keptRun(folder);
    expect((await getRun(server.url, run_id)).info.status).toBe("RUNNING");
    const epochs = told + 6;
    const more = ["run", "--resume", folder, `--train-epochs=${epochs}`, "--no-report"];
    const resumed = await flexae([...more, `--mlflow=${server.url}`], { cwd });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(keptRun(folder).run_id).toBe(run_id);
    expect(metricsOf(folder)).toHaveLength(epochs);
    await expectHistory(server.url, folder);
  });

  it("tells of a failure", async () => {
    const folder = join(temporaryFolder(), "run");
    const args = smallRun(`--save-dir=${folder}`, "--learning-rate=1e30", "--optimizer=sgd");
    const ended = await flexae([...args, "--train-epochs=50", `--mlflow=${server.url}`]);
    expect(ended.code, ended.stdout).toBe(1);
    const { info } = await getRun(server.url, keptRun(folder).run_id);
    expect(info.status).toBe("FAILED");
  });

  it("is an option of the library, whose signal ends the training and is told", async () => {
    const digits = inject("digits");
    const saveDir = join(temporaryFolder(), "run");
    const abort = new AbortController();
    const training = createTraining(
      {
        trainDir: join(digits, "train"),
        validDir: join(digits, "valid"),
        imageShape: [28, 28],
        filters: [4],
        pooling: ["no"],
        dims: [4],
        trainEpochs: 90_000,
        threads: 1,
        saveDir,
      },
      { mlflow: server.url, mlflowExperiment: "library", signal: abort.signal },
    );
    for await (const event of training) if (event.type === "epoch") abort.abort();
    expect((await training.result).stopped).toBe("interrupted");
    await expectHistory(server.url, saveDir);
    const { experiment, run_id } = keptRun(saveDir);
    expect(experiment).toBe("library");
    expect((await getRun(server.url, run_id)).info.status).toBe("KILLED");
  });

  it("fills in what a server that was away has missed", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    const args = smallRun(
      `--save-dir=${folder}`,
      "--train-epochs=100000",
      `--mlflow=${proxy.url}`,
      ...SLOW,
    );
    const { child, ended, seen } = start([main, ...args, ...LONG], { cwd });
    await until(() => existsSync(join(folder, "mlflow.json")));
    await proxy.close();
    await seen(/MLflow at/);
    const { run_id } = keptRun(folder);
    const before = (await history(server.url, run_id, "loss")).length;
    await proxy.open();
    // By itself, once its pause is over.
    await until(async () => (await history(server.url, run_id, "loss")).length > before);
    child.kill("SIGINT");
    const told = await ended;
    expect(told.code).toBe(130);
    expect(warnings(told).filter((line) => line.includes("MLflow"))).toHaveLength(1);
    await expectHistory(server.url, folder);
    expect((await getRun(server.url, run_id)).info.status).toBe("KILLED");
  });
});

/** All files of a folder, as text. */
function textsIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), "utf8"));
}

describe("a server that is not well", () => {
  const whole = trainedRun("--no-report");
  const secret = "s3cr3t-pässword";

  /** The run must be what it is without a server, and say once what is wrong. */
  async function expectUnharmed(uri: string, said: RegExp, env: NodeJS.ProcessEnv = {}) {
    const folder = join(temporaryFolder(), "run");
    const args = smallRun(`--save-dir=${folder}`, "--no-report", `--mlflow=${uri}`);
    const began = performance.now();
    const ended = await flexae(args, { env });
    const seconds = (performance.now() - began) / 1000;
    expect(ended.code, ended.stderr).toBe(0);
    expect(warnings(ended), ended.stderr).toHaveLength(1);
    expect(ended.stderr).toMatch(said);
    expectSameRun(folder, whole());
    // What a server is waited for, and what else a run of a second takes on a busy machine.
    expect(seconds).toBeLessThan(60);
    return { ended, folder };
  }

  const stub = async (answer: (response: ServerResponse) => void) => {
    const seen: string[] = [];
    const server = await startStub((request, _, response) => {
      seen.push(`${request.headers.authorization ?? ""} ${request.method} ${request.url}`);
      answer(response);
    });
    onTestFinished(() => server.close());
    return { ...server, seen };
  };

  it("is not there", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    await expectUnharmed(url, /has not all of the run: connection refused/);
  });

  it("never answers", async () => {
    const { url } = await stub(() => {});
    await expectUnharmed(url, /no answer in time/);
  });

  it("answers with errors", async () => {
    const { url, seen } = await stub((response) => response.writeHead(500).end("<html>no"));
    await expectUnharmed(url, /it answered 500/);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBeLessThan(10);
  });

  it("answers what is no answer, or from elsewhere", async () => {
    const { url } = await stub((response) => response.end("<html>"));
    await expectUnharmed(url, /not MLflow's/);
    const moved = await stub((response) => response.writeHead(302, { location: url }).end());
    await expectUnharmed(moved.url, /it answered 302/);
  });

  it("answers without an end", async () => {
    const { url } = await stub((response) => {
      const more = () => {
        if (!response.destroyed) response.write(Buffer.alloc(2 ** 20, " "), more);
      };
      more();
    });
    await expectUnharmed(url, /too long to be MLflow's/);
  });

  it("closes the connection within an answer", async () => {
    const { url } = await stub((response) => {
      response.writeHead(200, { "content-length": "100" }).write("{");
      setTimeout(() => response.destroy(), 20);
    });
    await expectUnharmed(url, /has not all of the run/);
  });

  it("lets nobody in; who asks is said to it alone", async () => {
    const { url, port, seen } = await stub((response) => {
      response
        .writeHead(401, { "content-type": "application/json" })
        .end(JSON.stringify({ error_code: "UNAUTHENTICATED", message: `no ${secret}` }));
    });
    const basic = `Basic ${Buffer.from(`ann:${secret}`).toString("base64")}`;
    const remedy = /it answered 401: no \*\*\*; set MLFLOW_TRACKING_USERNAME/;
    const cases = [
      { uri: url, env: { MLFLOW_TRACKING_USERNAME: "ann", MLFLOW_TRACKING_PASSWORD: secret } },
      { uri: `http://ann:${encodeURIComponent(secret)}@127.0.0.1:${port}/`, env: {} },
      { uri: url, env: { MLFLOW_TRACKING_TOKEN: secret } },
    ];
    const expected = [basic, basic, `Bearer ${secret}`];
    for (const [i, { uri, env }] of cases.entries()) {
      seen.length = 0;
      const { ended, folder } = await expectUnharmed(uri, remedy, env);
      for (const line of seen) expect(line.startsWith(expected[i] as string), line).toBe(true);
      expect(seen[0]).toContain("GET /api/2.0/mlflow/experiments/get-by-name");
      const encoded = basic.split(" ")[1] as string;
      for (const text of [ended.stdout, ended.stderr, ...textsIn(folder)]) {
        expect(text.includes(secret) || text.includes(encoded)).toBe(false);
        expect(text.includes(encodeURIComponent(secret))).toBe(false);
      }
    }
  });
});

describe("the address of a server", () => {
  it("is one, or it says so before anything is made", async () => {
    for (const uri of ["sqlite:///mlflow.db", "databricks", "./mlruns", "ann:s3cr3t@host:5000"]) {
      const cwd = temporaryFolder();
      const ended = await flexae(smallRun("--save-dir=run", `--mlflow=${uri}`), { cwd });
      expect(ended.code).toBe(2);
      expect(ended.stderr).toContain("Expected the address of an MLflow server");
      expect(ended.stderr).not.toContain("s3cr3t");
      expect(ended.stderr).not.toContain("ann");
      expect(readdirSync(cwd)).toEqual([]);
    }
    const alone = await flexae(smallRun("--mlflow-experiment=digits"));
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain("mlflowExperiment means nothing without mlflow");
    expect(() => mlflowServer("", undefined, {})).toThrow("MLFLOW_TRACKING_URI");
  });

  it("is kept without who asks, and what is asked besides", () => {
    const of = (uri: string, env = {}) => mlflowServer(uri, undefined, env);
    expect(of("http://ann:pw@host:5000/base/?key=1").address).toBe("http://host:5000/base");
    expect(of("https://host/").address).toBe("https://host");
    expect(of("http://token@host").secrets).toContain("token");
    expect(of("", { MLFLOW_TRACKING_URI: "http://host" }).authorization).toBeNull();
    expect(of("http://host").experiment).toBe("flexible-autoencoder");
  });
});
