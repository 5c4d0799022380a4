import { defineConfig } from "vitest/config";

/** Where the programs that tests start leave what they executed; see scripts/coverage. */
const counts = process.env.FLEXAE_COVERAGE;

export default defineConfig({
  test: {
    env: counts === undefined ? {} : { NODE_V8_COVERAGE: counts },
    coverage: {
      provider: "v8",
      // From the root of the disk: a pattern may match in the middle of a path.
      include: [`${import.meta.dirname}/ts/**/*.ts`],
      reporter: ["json"],
      reportsDirectory: "coverage/vitest",
    },
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // Native addons and signals want processes, not threads.
    pool: "forks",
    // Trainings take all cores by themselves.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
