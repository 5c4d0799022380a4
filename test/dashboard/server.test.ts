import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { callAddon } from "../../ts/addon/loader.ts";
import type { Changes, Epochs, LiveRun } from "../../ts/dashboard/wire.ts";
import { type DashboardOptions, listRuns, serveDashboard } from "../../ts/index.ts";
import { ask } from "../support/ask.ts";
import { flexae, main, smallRun, start, temporaryFolder, trainedRun } from "../support/cli.ts";
import { readImage } from "../support/pixels.ts";
import { chosenSeed, LONG_FORM, seededRandom } from "../support/random.ts";
import { expectSameRun } from "../support/runs.ts";

async function serve(folder: string, options: DashboardOptions = {}) {
  const dashboard = await serveDashboard(folder, options);
  onTestFinished(() => dashboard.close());
  return dashboard;
}

async function json<T>(url: string, path: string): Promise<T> {
  const { status, body } = await ask(url, path);
  expect([path, status]).toEqual([path, 200]);
  return JSON.parse(body.toString()) as T;
}

/** Sends bytes as they are. Gives what came back until the server, or patience, ended it. */
function send(url: string, bytes: Buffer | string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => socket.end(bytes));
    socket.setTimeout(2000, () => socket.destroy());
    socket.setEncoding("latin1").on("data", (part: string) => {
      text += part;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

const SECRET = "what nobody may read";

describe("the dashboard's server", () => {
  const trained = trainedRun("--train-epochs=4");
  let logs: string;
  beforeAll(() => {
    logs = join(trained(), "..");
  });

  it("tells of runs what their files do", async () => {
    const { url } = await serve(logs);
    const page = await ask(url, "/");
    expect(page.headers["content-security-policy"]).toMatch(
      /^default-src 'none'; .*connect-src 'self'; .*frame-ancestors 'none'$/,
    );
    const { runs, order, version, canStop } = await json<Changes>(url, "/changes/0");
    expect(canStop).toBe(false);
    const [run] = runs as [LiveRun];
    expect(order).toEqual([run.id]);
    expect(run).toMatchObject({ name: "run", state: "finished", epochs: 4, epochsWanted: 4 });
    const [listed] = await listRuns(logs);
    const scores = Object.fromEntries(run.scores.map(({ name, value }) => [name, value]));
    expect(scores.val_loss).toBe(listed?.valid?.loss);
    const { epoch, columns, key } = await json<Epochs>(url, `/epochs/${run.id}`);
    expect([epoch, key]).toEqual([[1, 2, 3, 4], run.epochsKey]);
    const rows = readFileSync(join(trained(), "metrics.csv"), "utf8").trim().split("\n");
    const names = (rows[0] as string).split(",");
    for (const [name, values] of Object.entries(columns)) {
      const at = names.indexOf(name);
      const written = rows.slice(1).map((row) => Number(row.split(",")[at]));
      expect(written.length).toBe(values.length);
      for (const [i, value] of values.entries()) expect(written[i]).toBeCloseTo(value ?? NaN, 5);
    }
    expect(run.pictures).toContain(1);
    expect(run.pictures.at(-1)).toBe(4);
    expect(run.pictureCount).toBe(8);
    for (const number of [0, ...run.pictures]) {
      const { body, headers } = await ask(url, `/picture/${run.id}/${number}`);
      expect(headers["content-type"]).toBe("image/png");
      const file = join(temporaryFolder(), "strip.png");
      writeFileSync(file, body);
      expect(await readImage(file)).toMatchObject({ width: 8 * 28, height: 28 });
    }
    const report = await ask(url, `/report/${run.id}`);
    expect(report.body.equals(readFileSync(join(trained(), "report.html")))).toBe(true);
    expect(report.headers["content-security-policy"]).toMatch(/^sandbox allow-scripts/);
    // Nothing is new.
    await sleep(1000);
    const later = await json<Changes>(url, `/changes/${version}`);
    expect([later.version, later.runs]).toEqual([version, []]);
  });

  it("shows a run of an earlier version, whose curves are in metrics.csv alone", async () => {
    const folder = temporaryFolder();
    cpSync(trained(), join(folder, "old"), { recursive: true });
    for (const name of ["events", "reconstructions"]) rmSync(join(folder, "old", `${name}.jsonl`));
    const { url } = await serve(folder);
    const { runs } = await json<Changes>(url, "/changes/0");
    expect(runs[0]).toMatchObject({ state: "finished", epochs: 4, epochsWanted: 4, pictures: [] });
    const { epoch, columns } = await json<Epochs>(url, `/epochs/${runs[0]?.id}`);
    expect(epoch).toEqual([1, 2, 3, 4]);
    expect(columns.val_loss?.every((value) => Number(value) > 0)).toBe(true);
    expect(columns.val_psnr?.every((value) => Number(value) > 0)).toBe(true);
  });

  it("shows one of an earlier version that went on with this one from its first epoch on", async () => {
    const folder = temporaryFolder();
    cpSync(trained(), join(folder, "old"), { recursive: true });
    const path = join(folder, "old", "events.jsonl");
    const kept = readFileSync(path, "utf8")
      .replace('"epochsDone":0', '"epochsDone":2')
      .split("\n")
      .filter((line) => !/"event":"epoch","epoch":[12],/.test(line));
    writeFileSync(path, kept.join("\n"));
    const { url } = await serve(folder);
    const { runs } = await json<Changes>(url, "/changes/0");
    const { epoch, columns } = await json<Epochs>(url, `/epochs/${runs[0]?.id}`);
    expect(epoch).toEqual([1, 2, 3, 4]);
    expect(columns.val_loss?.every((value) => Number(value) > 0)).toBe(true);
  });

  it("shows an epoch after whose checkpoint the process was killed before it told of it", async () => {
    const folder = temporaryFolder();
    cpSync(trained(), join(folder, "run"), { recursive: true });
    const path = join(folder, "run", "events.jsonl");
    const lines = readFileSync(path, "utf8").split("\n");
    const third = lines.findIndex((line) => line.includes('"event":"epoch","epoch":3,'));
    const begin = lines.find((line) => line.includes('"event":"start"')) as string;
    lines[third] = begin.replace('"epochsDone":0', '"epochsDone":3');
    writeFileSync(path, lines.join("\n"));
    const { url } = await serve(folder);
    const { runs } = await json<Changes>(url, "/changes/0");
    const { epoch, columns } = await json<Epochs>(url, `/epochs/${runs[0]?.id}`);
    expect(epoch).toEqual([1, 2, 3, 4]);
    expect(columns.val_loss?.every((value) => Number(value) > 0)).toBe(true);
  });

  it("says of one that was killed as it went on that it was", async () => {
    const folder = join(temporaryFolder(), "run");
    cpSync(trained(), folder, { recursive: true });
    const path = join(folder, "setting.yaml");
    writeFileSync(path, readFileSync(path, "utf8").replace("state: finished", "state: running"));
    const lock = callAddon((addon) => addon.lockFolder(folder));
    const { url } = await serve(join(folder, ".."));
    const state = async () => (await json<Changes>(url, "/changes/0")).runs[0]?.state;
    expect(await state()).toBe("running");
    lock.release();
    await expect.poll(state, { timeout: 10_000 }).toBe("killed");
  });

  it("shows no picture of what was trained once more", async () => {
    const folder = temporaryFolder();
    cpSync(trained(), join(folder, "run"), { recursive: true });
    const start = (time: number, epochsDone: number) =>
      JSON.stringify({ time, event: "start", epochs: 9, epochsDone });
    const epoch = (time: number, number: number) =>
      JSON.stringify({ time, event: "epoch", epoch: number, train: {}, valid: {} });
    const events = [
      start(1, 0),
      ...[1, 2, 3, 4].map((n) => epoch(10 * n, n)),
      start(50, 3),
      // Numbers that were not finite, twice: back to before the third epoch.
      ...[epoch(60, 4), epoch(70, 5), epoch(80, 3), epoch(90, 4), epoch(95, 5)],
    ];
    const picture = (time: number, number: number) =>
      JSON.stringify({ time, epoch: number, count: 8, png: "" });
    const pictures = [
      ...[picture(10, 0), picture(10, 1), picture(20, 2), picture(30, 3), picture(40, 4)],
      ...[picture(61, 0), picture(61, 4), picture(71, 5), picture(95, 5)],
    ];
    writeFileSync(join(folder, "run", "events.jsonl"), `${events.join("\n")}\n`);
    writeFileSync(join(folder, "run", "reconstructions.jsonl"), `${pictures.join("\n")}\n`);
    const { url } = await serve(folder);
    const { runs } = await json<Changes>(url, "/changes/0");
    expect(runs[0]).toMatchObject({ epochs: 5, pictures: [1, 2, 5] });
  });

  it("shows a run once, whatever links lead to it", async () => {
    const folder = temporaryFolder();
    cpSync(trained(), join(folder, "run"), { recursive: true });
    symlinkSync("run", join(folder, "latest"));
    // So many ways in circles that nobody lives to see the end of them.
    for (let i = 0; i < 80; i++) symlinkSync(".", join(folder, `again${i}`));
    const { url } = await serve(folder);
    expect((await json<Changes>(url, "/changes/0")).runs.map(({ name }) => name)).toEqual(["run"]);
  });

  it("believes a run on another machine for as long as it says something", async () => {
    const folder = temporaryFolder();
    const write = (name: string, host: string, silence: number) => {
      const run = join(folder, name);
      cpSync(trained(), run, { recursive: true });
      const setting = readFileSync(join(run, "setting.yaml"), "utf8");
      writeFileSync(join(run, "setting.yaml"), setting.replace(/^state: .*$/m, "state: running"));
      const time = Date.now() - silence;
      const events = [
        { time, event: "start", epochs: 9, epochsDone: 0, batches: 4, device: "cpu", host },
        { time, event: "epoch", epoch: 1, seconds: 2, train: { loss: 2 }, valid: { loss: 1 } },
      ];
      writeFileSync(
        join(run, "events.jsonl"),
        events.map((event) => `${JSON.stringify(event)}\n`).join(""),
      );
    };
    write("here", hostname(), 0);
    write("there", "elsewhere.example", 60_000);
    write("gone", "elsewhere.example", 3_600_000);
    const { url } = await serve(folder);
    const { runs } = await json<Changes>(url, "/changes/0");
    const states = Object.fromEntries(runs.map(({ name, state }) => [name, state]));
    expect(states).toEqual({ here: "killed", there: "running", gone: "silent" });
    expect(runs.find(({ name }) => name === "there")).toMatchObject({ epochs: 1, epochsWanted: 9 });
  });

  it("hands out nothing that is not a run's own", async () => {
    const outside = temporaryFolder();
    cpSync(trained(), join(outside, "elsewhere"), { recursive: true });
    const secret = join(outside, "secret");
    writeFileSync(secret, SECRET);
    const folder = join(temporaryFolder(), "logs");
    mkdirSync(folder);
    // A folder that lies elsewhere, and files that do.
    symlinkSync(join(outside, "elsewhere"), join(folder, "link"));
    cpSync(trained(), join(folder, "run"), { recursive: true });
    for (const name of ["report.html", "reconstructions.jsonl", "events.jsonl"]) {
      rmSync(join(folder, "run", name));
      symlinkSync(secret, join(folder, "run", name));
    }
    cpSync(trained(), join(folder, "setting"), { recursive: true });
    rmSync(join(folder, "setting", "setting.yaml"));
    symlinkSync(join(outside, "elsewhere", "setting.yaml"), join(folder, "setting/setting.yaml"));
    // What would never end being read.
    mkdirSync(join(folder, "pipe"));
    execFileSync("mkfifo", [join(folder, "pipe", "setting.yaml")]);
    cpSync(trained(), join(folder, "pipes"), { recursive: true });
    for (const name of ["report.html", "events.jsonl", "metrics.csv", "bad_images.csv"]) {
      rmSync(join(folder, "pipes", name), { force: true });
      execFileSync("mkfifo", [join(folder, "pipes", name)]);
    }
    const { url } = await serve(folder);
    const { runs } = await json<Changes>(url, "/changes/0");
    expect(runs.map(({ name, hasReport }) => [name, hasReport]).sort()).toEqual([
      ["pipes", false],
      ["run", false],
    ]);
    for (const { id } of runs) {
      expect((await ask(url, `/report/${id}`)).status).toBe(404);
    }
    const linked = runs.find(({ name }) => name === "run") as LiveRun;
    expect(linked.pictures).toEqual([]);
    expect((await ask(url, `/picture/${linked.id}/0`)).status).toBe(404);
  });

  it("does not follow a run's folder that becomes a link while it is watched", async () => {
    const folder = join(temporaryFolder(), "logs");
    cpSync(trained(), join(folder, "run"), { recursive: true });
    const { url } = await serve(folder);
    const [run] = (await json<Changes>(url, "/changes/0")).runs as [LiveRun];
    const outside = join(temporaryFolder(), "run");
    renameSync(join(folder, "run"), outside);
    symlinkSync(outside, join(folder, "run"));
    expect((await ask(url, `/report/${run.id}`)).status).toBe(404);
    expect((await ask(url, `/picture/${run.id}/0`)).status).toBe(404);
  });

  it("takes 10,000 malformed requests, and answers none of them with anything", async () => {
    const random = seededRandom(chosenSeed("malformed requests"));
    const folder = join(temporaryFolder(), "logs");
    cpSync(trained(), join(folder, "run"), { recursive: true });
    writeFileSync(join(folder, "secret.txt"), SECRET);
    writeFileSync(join(folder, "run", "secret.txt"), SECRET);
    const { url } = await serve(folder, { control: true });
    const { host } = new URL(url);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const paths = [
      ...["/secret.txt", "/run/secret.txt", "/picture/1/secret.txt", "/report/../secret.txt"],
      ...["/report/%2e%2e%2fsecret.txt", "//run/secret.txt", "/report/1/../secret.txt", "\\secret"],
      ...["/changes/-1", "/changes/1e9", "/changes/00", "/changes", "/epochs/1/2/3", "/picture/1"],
      ...["/report/99999999999999999999", "/stop/1", "/__proto__", "/constructor/1", "*", ""],
      ...["http://evil.example/", "/epochs/0x1", "/\u0000", "/%00", "/report/1?x", "/report/1;x"],
      ...["/picture/1/9999999999", `/${"a".repeat(9000)}`, "/../".repeat(400), "/PICTURE/1/1"],
    ];
    const methods = ["GET", "GET", "GET", "HEAD", "PUT", "POST", "OPTIONS", "get", "G\u0000T", ""];
    const versions = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "ICY", ""];
    const headers = [
      ...["Host: evil.example", "Origin: null", "Authorization: Bearer x", "Content-Length: -1"],
      ...["Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: chunked", "Expect: 1"],
      ...["Range: bytes=0-", "Connection: upgrade\r\nUpgrade: websocket", "X: \u0001", ": empty"],
      ...[`X-Long: ${"y".repeat(20_000)}`, "Sec-Fetch-Site: cross-site", "no colon"],
    ];
    const one = (): Buffer => {
      const lines = [`${pick(methods)} ${pick(paths)} ${pick(versions)}`];
      if (random() < 0.9) lines.push(`Host: ${host}`);
      while (random() < 0.4) lines.push(pick(headers));
      const bytes = Buffer.from(`${lines.join("\r\n")}\r\n${random() < 0.9 ? "\r\n" : ""}`);
      // Some are spoilt anywhere.
      for (let n = random() < 0.2 ? 1 + 9 * random() : 0; n >= 1; n--) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      return bytes;
    };
    const work = async () => {
      for (let i = 0; i < 200; i++) {
        const request = one();
        const answer = await send(url, request);
        expect(answer, request.toString("latin1")).not.toContain(SECRET);
        // A spoilt request may by chance be one for the page, or for what is new.
        const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? "none";
        if (status === "200") expect(answer).toMatch(/content-security-policy/i);
        else
          expect(["none", "400", "403", "404", "405", "408", "413", "417", "431"]).toContain(
            status,
          );
      }
    };
    await Promise.all(Array.from({ length: 50 }, work));
    expect(existsSync(join(folder, "run", "stop"))).toBe(false);
    expect((await json<Changes>(url, "/changes/0")).runs).toHaveLength(1);
  });

  it("refuses pages of other sites, and other machines unless it is told otherwise", async () => {
    const { url } = await serve(logs);
    const get = async (at: string, headers: Record<string, string>) =>
      (await ask(at, "/changes/0", headers)).status;
    const refused: Record<string, string>[] = [
      { host: "evil.example" },
      { host: "10.1.2.3" },
      { origin: "http://evil.example" },
      { "sec-fetch-site": "cross-site" },
    ];
    for (const headers of refused) expect(await get(url, headers)).toBe(403);
    const open = await serve(logs, { host: "0.0.0.0" });
    const { port } = new URL(open.url);
    const at = `http://127.0.0.1:${port}/`;
    // By number nobody can lead a browser astray; by name, whoever has the name can.
    expect(await get(at, { host: "10.1.2.3" })).toBe(200);
    expect(await get(at, { host: "[fe80::1]:80" })).toBe(200);
    expect(await get(at, { host: "evil.example" })).toBe(403);
    expect(await get(at, { host: "10.1.2.3", origin: "http://evil.example" })).toBe(403);
    const own = await serve(logs, { host: "127.0.0.2" });
    expect((await ask(own.url, "/changes/0")).status).toBe(200);
    expect(await get(own.url, { host: "127.0.0.3" })).toBe(403);
    await expect(serveDashboard(logs, { host: "" })).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
    });
    await expect(serveDashboard(logs, { host: "192.0.2.1" })).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: expect.stringMatching(/^It cannot be served at 192\.0\.2\.1, port 0: /),
    });
  });

  it("serves a folder that is not there yet", async () => {
    const folder = join(temporaryFolder(), "later");
    const { url } = await serve(folder);
    expect((await json<Changes>(url, "/changes/0")).runs).toEqual([]);
    cpSync(trained(), join(folder, "sweep", "trial_1"), { recursive: true });
    await expect
      .poll(async () => (await json<Changes>(url, "/changes/0")).runs.map(({ name }) => name), {
        timeout: 20_000,
      })
      .toEqual(["sweep/trial_1"]);
  });

  it("stops a run for whoever has the token, and for nobody else", async () => {
    const cwd = temporaryFolder();
    const args = smallRun(
      "--train-epochs=100000",
      "--patience=100000",
      "--save-dir=logs/long",
      "--no-report",
    );
    const { child, ended } = start([main, ...args], { cwd });
    onTestFinished(() => void child.kill("SIGKILL"));
    const { url, token } = await serve(join(cwd, "logs"), { control: true });
    expect(url).toBe(`${new URL(url).origin}/#token=${token}`);
    const find = async () =>
      (await json<Changes>(url, "/changes/0")).runs.find(({ state }) => state === "running");
    await expect
      .poll(async () => (await find())?.epochs ?? 0, { timeout: 30_000 })
      .toBeGreaterThan(1);
    const { id, secondsLeft } = (await find()) as LiveRun;
    expect(secondsLeft).toBeGreaterThan(0);
    const stop = async (headers: Record<string, string>, method = "POST", path = `/stop/${id}`) =>
      (await ask(url, path, headers, method)).status;
    const authorization = `Bearer ${token}`;
    expect(await stop({})).toBe(403);
    expect(await stop({ authorization: `Bearer ${"x".repeat(String(token).length)}` })).toBe(403);
    expect(await stop({ authorization, origin: "http://evil.example" })).toBe(403);
    expect(await stop({ authorization }, "GET")).toBe(404);
    expect(await stop({ authorization }, "POST", "/stop/77")).toBe(404);
    expect(await stop({ authorization }, "POST", "/stop")).toBe(404);
    expect(child.exitCode).toBeNull();
    expect(await stop({ authorization })).toBe(204);
    expect((await ended).code).toBe(130);
    const folder = join(cwd, "logs", "long");
    expect(readFileSync(join(folder, "setting.yaml"), "utf8")).toContain("state: interrupted");
    expect(existsSync(join(folder, "stop"))).toBe(false);
    await expect.poll(() => stop({ authorization }), { timeout: 10_000 }).toBe(409);
    // Without --control there is nothing to ask.
    const { url: quiet } = await serve(join(cwd, "logs"));
    expect((await ask(quiet, "/stop/1", { authorization }, "POST")).status).toBe(405);
  });
});

describe("a training that is watched", () => {
  it("ends well for a folder that is called stop, too", async () => {
    const cwd = temporaryFolder();
    const args = smallRun("--train-epochs=100000", "--patience=100000", "--save-dir=logs/a");
    const { child, ended } = start([main, ...args, "--no-report"], { cwd });
    onTestFinished(() => void child.kill("SIGKILL"));
    const folder = join(cwd, "logs", "a");
    await expect
      .poll(() => existsSync(join(folder, "metrics.csv")), { timeout: 30_000 })
      .toBe(true);
    mkdirSync(join(folder, "stop"));
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining("stop could not be removed")]);
    const again = ["run", "--resume", folder, "--train-epochs=1", "--no-report"];
    expect((await flexae(again, { cwd })).code).toBe(0);
  });

  it("by 20 clients, and killed twice, ends as if it had not been", async () => {
    const random = seededRandom(chosenSeed("watched and killed"));
    const cwd = temporaryFolder();
    const training = (folder: string) =>
      smallRun(
        "--train-epochs=200",
        "--patience=1000",
        "--cache=none",
        "--no-report",
        `--save-dir=${folder}`,
      );
    const folder = join(cwd, "logs", "watched");
    const { url } = await serve(join(cwd, "logs"));
    let isOver = false;
    const states = new Set<string>();
    const watch = async () => {
      const runs = new Map<number, LiveRun>();
      let version = 0;
      let run: LiveRun | undefined;
      while (!isOver && run?.state !== "finished") {
        const changes = await json<Changes>(url, `/changes/${version}`);
        expect(changes.version).toBeGreaterThanOrEqual(version);
        version = changes.version;
        for (const run of changes.runs) runs.set(run.id, run);
        run = runs.get(changes.order[0] ?? 0);
        if (run !== undefined) {
          states.add(run.state);
          const { epoch } = await json<Epochs>(url, `/epochs/${run.id}`);
          // One after the other, none missing, none twice, whatever was trained once more.
          expect(epoch).toEqual(Array.from(epoch, (_, i) => i + 1));
        }
        await sleep(200 + 200 * random());
      }
      return run?.epochs;
    };
    onTestFinished(() => {
      isOver = true;
    });
    const clients = Promise.all(Array.from({ length: 20 }, watch));
    let args = training(folder);
    for (const at of [30, 110]) {
      const { child, ended } = start([main, ...args], { cwd });
      const rows = () => readFileSync(join(folder, "metrics.csv"), "utf8").split("\n").length;
      await expect
        .poll(() => existsSync(join(folder, "metrics.csv")) && rows() > at + 20 * random(), {
          timeout: 60_000,
          interval: 5,
        })
        .toBe(true);
      child.kill("SIGKILL");
      expect((await ended).signal).toBe("SIGKILL");
      await expect.poll(() => states.has("killed"), { timeout: 20_000 }).toBe(true);
      args = ["run", "--resume", folder];
    }
    const last = await flexae([...args, "--no-report"], { cwd });
    expect(last.code, last.stderr).toBe(0);
    expect(new Set(await clients)).toEqual(new Set([200]));
    const whole = await flexae(training(join(cwd, "whole")), { cwd });
    expect(whole.code, whole.stderr).toBe(0);
    expectSameRun(folder, join(cwd, "whole"));
  }, 300_000);

  it("is shown to 200 at once", async () => {
    const cwd = temporaryFolder();
    const { child } = start(
      [main, ...smallRun("--train-epochs=100000", "--patience=100000", "--save-dir=logs/a")],
      {
        cwd,
      },
    );
    onTestFinished(() => void child.kill("SIGKILL"));
    const { url } = await serve(join(cwd, "logs"));
    await expect
      .poll(async () => (await json<Changes>(url, "/changes/0")).runs[0]?.epochs ?? 0, {
        timeout: 30_000,
      })
      .toBeGreaterThan(0);
    const { runs } = await json<Changes>(url, "/changes/0");
    const id = runs[0]?.id;
    const client = async () => {
      let version = 0;
      for (let i = 0; i < (LONG_FORM ? 60 : 3); i++) {
        ({ version } = await json<Changes>(url, `/changes/${version}`));
        await json<Epochs>(url, `/epochs/${id}`);
        expect((await ask(url, `/picture/${id}/0`)).status).toBe(200);
      }
    };
    await Promise.all(Array.from({ length: 200 }, client));
    expect(child.exitCode).toBeNull();
  }, 60_000);
});

describe("flexae dashboard", () => {
  it("serves logs/, and ends well with Ctrl-C", async () => {
    const cwd = temporaryFolder();
    const { child, ended, seen } = start([main, "dashboard", "--port=0"], { cwd });
    await seen(/^Runs in logs at http:\/\/127\.0\.0\.1:\d+\/ until Ctrl-C\n/);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0, signal: null, stderr: "" });
    const wrong = await flexae(["dashboard", "--port=70000"], { cwd });
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      "flexae: Expected an integer from 0 to 65535 for port but received 70000\n",
    ]);
  });

  it("of a training lives as long as that, however it ends", async () => {
    const cwd = temporaryFolder();
    const args = smallRun(
      "--train-epochs=100000",
      "--patience=100000",
      "--save-dir=logs/a",
      "--dashboard",
      "--json",
    );
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const { child, ended, seen } = start([main, ...args, "--overwrite"], { cwd });
      onTestFinished(() => void child.kill("SIGKILL"));
      let url = "";
      child.stdout?.on("data", (text: string) => {
        url ||= /"url":"(http:[^"]+)"/.exec(text)?.[1] ?? "";
      });
      await seen(/"event":"dashboard"/);
      expect((await json<Changes>(url, "/changes/0")).runs[0]?.state).toBe("running");
      child.kill(signal);
      await ended;
      const isGone = () =>
        ask(url, "/").then(
          () => false,
          () => true,
        );
      await expect.poll(isGone, { timeout: 10_000 }).toBe(true);
    }
  });
});
