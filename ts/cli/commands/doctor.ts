/** `flexae doctor`: what works here, and what to do about what does not. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { addonCandidates, IS_BUNDLE, REPAIR, SETUP_COMMAND } from "../../addon/setup.js";
import { VERSION } from "../../version.js";
import type { CommandDescription } from "../command.js";
import { bytes } from "../format.js";
import type { Invocation } from "../invocation.js";
import { print, printJson } from "../output.js";
import type { AddonProbe, OpenCVProbe } from "../probe.js";

interface Check {
  name: string;
  /** `bad`: training cannot work. `note`: it can, with less. */
  state: "ok" | "note" | "bad";
  value: string;
  remedy?: string;
}

type Outcome<T> = { ok: T } | { error: string };

const TIMEOUT_MS = 60_000;

/** Loads one native part in a child process, which may crash where this one must not. */
async function probe<T>(what: "addon" | "opencv"): Promise<Outcome<T>> {
  const script = fileURLToPath(new URL("../probe.js", import.meta.url));
  const child = spawn(process.execPath, [script, what], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
  });
  let output = "";
  let complaints = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints += text;
  });
  const ended = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  try {
    return JSON.parse(output) as Outcome<T>;
  } catch {
    const detail = complaints.trim().split("\n").at(-1) ?? "";
    const remedy =
      what === "addon" && process.env.FLEXAE_ADDON
        ? "Unset FLEXAE_ADDON, or set it to one that loads."
        : `${REPAIR}.`;
    const how = `${ended}${detail === "" ? "" : `: ${detail}`}`;
    return { error: `loading it ended the process with ${how}\n${remedy}` };
  }
}

function bad(name: string, message: string, state: "bad" | "note" = "bad"): Check {
  const [value, ...remedy] = message.split("\n");
  return { name, state, value: value as string, remedy: remedy.join(" ") };
}

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const fits = major > 20 || (major === 20 && minor >= 17);
  const value = `${process.versions.node} (${process.platform} ${process.arch})`;
  return fits
    ? { name: "Node.js", state: "ok", value }
    : { name: "Node.js", state: "bad", value, remedy: "Install Node.js 20.17 or newer." };
}

function addonChecks({ path, libtorch, versions, hardware }: AddonProbe): Check[] {
  const { cpu, cuda } = hardware;
  const instructions = [
    ["AVX2", cpu.avx2],
    ["AVX512", cpu.avx512],
    ["AVX512-BF16", cpu.avx512Bf16],
    ["AMX-BF16", cpu.amxBf16],
  ].map(([name, has]) => `${name} ${has ? "yes" : "no"}`);
  const checks: Check[] = [
    { name: "addon", state: "ok", value: `${versions.addon}, ${versions.compiler}, ${path}` },
    {
      name: "libtorch",
      state: "ok",
      value: `${versions.torch} (built against ${versions.torchBuild})${libtorch === null ? "" : `, ${libtorch}`}`,
    },
    { name: "OpenCV", state: "ok", value: `${versions.opencv} (reads the images)` },
    {
      name: "CPU",
      state: cpu.avx2 ? "ok" : "note",
      value: `${cpu.name}, ${cpu.cores} threads, runs ${cpu.capability}; ${instructions.join(", ")}`,
      ...(cpu.avx2 ? {} : { remedy: "Training works, slowly: use a CPU with AVX2, or a GPU." }),
    },
    cpu.kernelsProblem === ""
      ? { name: "inner loops", state: "ok", value: cpu.kernels }
      : bad("inner loops", cpu.kernelsProblem),
  ];
  const { processesProblem, ncclProblem } = hardware;
  const betweenGpus =
    ncclProblem === "" ? ", between GPUs by NCCL" : `, between GPUs by the host: ${ncclProblem}`;
  checks.push(
    processesProblem === ""
      ? {
          name: "several processes",
          state: "ok",
          value: `by gloo${cuda.devices.length > 0 ? betweenGpus : ""}`,
        }
      : bad("several processes", processesProblem, "note"),
  );
  if (cuda.problem === "" && cuda.devices.length > 0) {
    for (const { index, name, memoryBytes, capability } of cuda.devices) {
      checks.push({
        name: `cuda:${index}`,
        state: "ok",
        value: `${name}, ${bytes(memoryBytes)}, compute ${capability}`,
      });
    }
  } else {
    checks.push({
      name: "CUDA",
      state: "note",
      value: cuda.problem || "no CUDA device was found",
      remedy:
        "Training runs on the CPU. With an NVIDIA GPU and its driver, " +
        (IS_BUNDLE ? "set LIBTORCH to one with CUDA." : `run \`${SETUP_COMMAND}\`.`),
    });
  }
  return checks;
}

function opencvText({ version, builtFor }: OpenCVProbe): string {
  const nodes = builtFor.map(({ node, abi }) => `Node ${node} (ABI ${abi})`).join(", ");
  return `OpenCV ${version} (draws the pictures), built for ${nodes}`;
}

async function examine(invocation: Invocation): Promise<number> {
  const checks: Check[] = [
    { name: "flexible-autoencoder", state: "ok", value: VERSION },
    nodeCheck(),
  ];
  // One after the other: each maps hundreds of megabytes.
  const addon = await probe<AddonProbe>("addon");
  if ("ok" in addon) checks.push(...addonChecks(addon.ok));
  else checks.push(bad("addon", addon.error));
  const opencv = await probe<OpenCVProbe>("opencv");
  checks.push(
    "ok" in opencv
      ? { name: "opencv4nodejs", state: "ok", value: opencvText(opencv.ok) }
      : bad("opencv4nodejs", opencv.error, "note"),
  );
  const ok = checks.every(({ state }) => state !== "bad");
  if (invocation.json) {
    printJson({
      ok,
      checks,
      version: VERSION,
      node: process.versions.node,
      addon: "ok" in addon ? addon.ok : null,
      addonCandidates: addonCandidates(),
      opencv4nodejs: "ok" in opencv ? opencv.ok.version : null,
    });
    return ok ? 0 : 1;
  }
  const width = Math.max(...checks.map(({ name }) => name.length));
  const marks = { ok: "✓", note: "–", bad: "✗" };
  for (const { name, state, value, remedy } of checks) {
    print(`${marks[state]} ${name.padEnd(width)}  ${value}`);
    if (remedy !== undefined && remedy !== "") print(`  ${" ".repeat(width)}  → ${remedy}`);
  }
  const pictures = "ok" in opencv ? "" : ", without pictures: see opencv4nodejs above";
  print(ok ? `Training works here${pictures}.` : "Training cannot work here: see ✗ above.");
  return ok ? 0 : 1;
}

export const doctor: CommandDescription = {
  name: "doctor",
  description: "check this installation",
  run: examine,
};
