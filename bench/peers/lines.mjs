// The lines of a comparison: which process computes what, and how it is set.

import path from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../../scripts/setup/paths.mjs";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const reference = path.join(root, "test", "interop");

/** What a process may be started with: libgomp's waiting, glibc's returning of memory, libtorch's large pages. */
export const ENVIRONMENTS = {
  plain: {},
  tuned: {
    // Threads that wait long on the cores others need; memory that goes back only to be asked for again.
    GOMP_SPINCOUNT: "1000",
    MALLOC_MMAP_THRESHOLD_: "268435456",
    MALLOC_TRIM_THRESHOLD_: "268435456",
    MALLOC_TOP_PAD_: "67108864",
    THP_MEM_ALLOC_ENABLE: "1",
  },
};

export const OURS = "flexible-autoencoder";

const node = (job) => ({
  command: process.execPath,
  args: [file("ours.mjs"), JSON.stringify(job)],
});
const python = (program) => (job, interpreter) => ({
  command: interpreter,
  args: [file(program), JSON.stringify({ reference, ...job })],
});

/**
 * Lines of training. `peer` groups them for --peers; those with `tunable` are started with the
 * environment that the first of the group is faster with.
 */
export function trainingLines(precisions) {
  const lines = [];
  for (const precision of precisions) {
    lines.push({ name: `${OURS} ${precision}`, peer: "ours", precision, start: node, job: {} });
    for (const layout of ["channels_last", "nchw"]) {
      for (const compile of [false, true]) {
        lines.push({
          name: `PyTorch ${layout} ${compile ? "compile" : "eager"} ${precision}`,
          peer: "pytorch",
          precision,
          tunable: true,
          start: python("pytorch_peer.py"),
          job: { layout, compile },
        });
      }
    }
    for (const [backend, compile] of [
      ["tensorflow", false],
      ["tensorflow", true],
      ["torch", false],
    ]) {
      lines.push({
        name: `Keras/${backend}${compile ? " XLA" : ""} ${precision}`,
        peer: `keras-${backend}`,
        precision,
        tunable: true,
        start: python("keras_peer.py"),
        job: { backend, compile },
      });
    }
  }
  return lines;
}

/**
 * What the peers compute unless told otherwise, in fp32: beside bf16, which this program takes by itself, for those who
 * compare what comes out of the box.
 */
export function defaultLines() {
  return trainingLines(["fp32"]).filter(
    ({ peer, job }) => peer === "keras-tensorflow" || (job.layout === "nchw" && !job.compile),
  );
}

/**
 * The lines of --sweep: this program and PyTorch in eager mode, in either layout; one thread by its
 * processor's time, and all threads by the clock.
 */
export function sweepLines(precision) {
  const lines = trainingLines([precision]).filter(
    ({ peer, job }) => peer === "ours" || (peer === "pytorch" && job.compile === false),
  );
  return ["cpu", "wall"].flatMap((clock) =>
    lines.map((line) => ({
      ...line,
      name: `${line.name} ${clock}`,
      clock,
      hosted: line.peer === "pytorch",
      job: clock === "cpu" ? { ...line.job, threads: 1 } : line.job,
    })),
  );
}

/** Lines of embedding with an exported encoder, in one precision. */
export function encodingLines(precision) {
  const lines = [{ name: `${OURS} ${precision}`, peer: "ours", precision, start: node, job: {} }];
  for (const layout of ["channels_last", "nchw"]) {
    for (const optimize of [true, false]) {
      lines.push({
        name: `torch.jit ${layout}${optimize ? " frozen, optimized" : ""} ${precision}`,
        peer: "pytorch",
        precision,
        tunable: true,
        start: python("torchscript_peer.py"),
        job: { layout, optimize },
      });
    }
  }
  // An exported graph is of fp32.
  if (precision === "fp32") {
    lines.push({
      name: `onnxruntime ${precision}`,
      peer: "onnxruntime",
      precision,
      tunable: true,
      start: python("onnxruntime_peer.py"),
      job: {},
    });
  }
  return lines;
}
