/*
 * Test runner. Files run in forked processes, because the engine locks directories per process and
 * starts worker threads of its own. The global setup compiles `dist/` first: worker threads and
 * the command line run compiled code, since Node 20 loads no TypeScript.
 */
import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/tools/build.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // For what hangs: on a machine that does much else, a test takes many times what it takes alone.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

export default config;
