// System packages: found by what they provide, installed by apt where it may be used.

import { existsSync } from "node:fs";
import { output, runLogged } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";

const onPath = (program) => output("which", [program]) !== null;
const anyExists = (...files) => files.some((file) => existsSync(file));

const clang = { packages: ["clang"], present: () => onPath("clang++") };

/** Debian has what clang links for sanitizers, libFuzzer and counting in a package of its own. */
function clangLinks({ flag, source }) {
  const args = [flag, "-x", "c++", "-", "-o", "/dev/null"];
  const stdio = ["pipe", "pipe", "ignore"];
  return output("clang++", args, { input: source, stdio }) !== null;
}
const FUZZ_TARGET = {
  flag: "-fsanitize=fuzzer,address,undefined",
  source: 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }',
};
const COUNTED = { flag: "-fprofile-instr-generate", source: "int main() {}" };

/** What is needed, and the Debian package that brings it. */
const needs = {
  build: [
    { packages: ["g++", "make"], present: () => onPath("c++") && onPath("make") },
    { packages: ["cmake"], present: () => onPath("cmake") },
    { packages: ["python3"], present: () => onPath("python3") },
    {
      packages: ["libopencv-dev"],
      present: () =>
        // One's own, where CMake is told to look.
        Boolean(process.env.OpenCV_DIR) ||
        anyExists(
          "/usr/include/opencv4/opencv2/core.hpp",
          "/usr/local/include/opencv4/opencv2/core.hpp",
        ),
    },
    // Debian's libopencv-dev brings them along; an OpenCV of one's own may not.
    {
      packages: ["libjpeg-dev"],
      present: () => anyExists("/usr/include/jpeglib.h", "/usr/local/include/jpeglib.h"),
    },
    {
      packages: ["libpng-dev"],
      present: () => anyExists("/usr/include/png.h", "/usr/local/include/png.h"),
    },
    {
      packages: ["libtiff-dev"],
      present: () =>
        anyExists(
          "/usr/include/tiffio.h",
          "/usr/local/include/tiffio.h",
          "/usr/include/x86_64-linux-gnu/tiffio.h",
          "/usr/include/aarch64-linux-gnu/tiffio.h",
        ),
    },
    {
      packages: ["libwebp-dev"],
      present: () => anyExists("/usr/include/webp/decode.h", "/usr/local/include/webp/decode.h"),
    },
  ],
  test: [
    {
      packages: ["libgtest-dev"],
      present: () => anyExists("/usr/include/gtest/gtest.h", "/usr/local/include/gtest/gtest.h"),
    },
    {
      packages: ["python3-venv"],
      present: () => output("python3", ["-c", "import venv, ensurepip"]) !== null,
    },
  ],
  lint: [
    { packages: ["clang-format"], present: () => onPath("clang-format") },
    { packages: ["clang-tidy"], present: () => onPath("clang-tidy") },
  ],
  fuzz: [clang, { packages: ["libclang-rt-dev"], present: () => clangLinks(FUZZ_TARGET) }],
  coverage: [
    clang,
    { packages: ["libclang-rt-dev"], present: () => clangLinks(COUNTED) },
    { packages: ["llvm"], present: () => onPath("llvm-cov") && onPath("llvm-profdata") },
  ],
  docs: [{ packages: ["doxygen"], present: () => onPath("doxygen") }],
  bundle: [
    { packages: ["xz-utils"], present: () => onPath("xz") },
    { packages: ["binutils"], present: () => onPath("readelf") && onPath("strip") },
  ],
};

/** What set-up can do without, and what is then missing. */
const wishes = {
  build: [
    {
      package: "libgloo-dev",
      present: () => anyExists("/usr/include/gloo/context.h", "/usr/local/include/gloo/context.h"),
      without: "several processes cannot train together",
    },
    // Debian's libtiff-dev brings it along.
    {
      package: "libdeflate-dev",
      present: () => anyExists("/usr/include/libdeflate.h", "/usr/local/include/libdeflate.h"),
      without: "images that a zip file has deflated are read more slowly",
    },
  ],
};

/** Those packages that set-up can do without and that are here: what is compiled follows from them. */
export const wishesHere = (purpose) =>
  wishes[purpose].filter((wish) => wish.present()).map((wish) => wish.package);

/** The packages still missing for the given purposes ("build", "test", "lint"…). */
export function missingPackages(...purposes) {
  const missing = purposes
    .flatMap((purpose) => needs[purpose])
    .filter((need) => !need.present())
    .flatMap((need) => need.packages);
  return [...new Set(missing)];
}

/** The command prefix that gives apt-get the right to install, or null when there is none. */
export function aptPrefix() {
  if (!onPath("apt-get")) return null;
  if (process.getuid?.() === 0) return [];
  return output("sudo", ["-n", "true"]) === null ? null : ["sudo", "-n"];
}

/** Installs packages, or throws a {@link SetupError} that gives the command to type. */
export async function installPackages(packages, prefix = aptPrefix()) {
  if (prefix === null) {
    throw new SetupError(
      `System packages are missing: ${packages.join(", ")}. Install them, then start this again:\n` +
        `  sudo apt-get install -y ${packages.join(" ")}`,
    );
  }
  const apt = (log, ...args) => {
    const [command, ...rest] = [
      ...prefix,
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      ...args,
    ];
    return runLogged(log, command, rest);
  };
  // A stale or unreachable mirror list need not stop an install from a fresh one.
  await apt("apt-update", "update").catch(() => {});
  await apt(
    "apt-install",
    "-o",
    "DPkg::Lock::Timeout=300",
    "install",
    "-y",
    "--no-install-recommends",
    ...packages,
  );
}

/** The step that makes sure of the system packages for the given purposes. */
export function systemStep(...purposes) {
  return {
    name: "System packages",
    async run() {
      const missing = missingPackages(...purposes);
      const wished = purposes.flatMap((p) => wishes[p] ?? []).filter((wish) => !wish.present());
      if (missing.length === 0 && wished.length === 0) return done("all present");
      if (missing.length > 0) await installPackages(missing);
      const still = missingPackages(...purposes);
      if (still.length > 0)
        throw new SetupError(`apt-get ended well, yet these are missing: ${still.join(", ")}`);
      const installed = [...missing];
      const lacking = [];
      for (const wish of wished) {
        const came = await installPackages([wish.package]).then(
          () => wish.present(),
          () => false,
        );
        if (came) installed.push(wish.package);
        else lacking.push(`without ${wish.package}: ${wish.without}`);
      }
      const what = installed.length > 0 ? `installed ${installed.join(", ")}` : "all present";
      return [what, ...lacking].join("; ");
    },
  };
}
