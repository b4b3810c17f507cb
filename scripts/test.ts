/**
 * `npm test`: builds, checks types and lint, runs all tests, end-to-end ones last, and ends with the line `N passed, N failed, N skipped`. Each
 * static check counts as one test. Arguments go to Vitest, to run some files only. `npm run test:e2e` (`--e2e`) runs the end-to-end tests alone.
 * Where CI is set, a skipped test that test/expected-skips.txt does not name counts as failed: there everything that tests need is installed.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What a run of Vitest found. */
export interface Found extends Counts {
  /** `FILE > NAME` of every test that was skipped. */
  readonly skips: readonly string[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const tool = (path: string): string => join(root, "node_modules", path);

/** Programs that run on this Node, by the name of what they check. */
const staticChecks: readonly { readonly name: string; readonly args: readonly string[] }[] = [
  { name: "build", args: [join(root, "scripts/build.ts")] },
  { name: "types", args: [tool("typescript/bin/tsc"), "--noEmit"] },
  { name: "types of pages", args: [tool("typescript/bin/tsc"), "--noEmit", "-p", join(root, "webviews")] },
  {
    name: "types of page tests",
    args: [tool("typescript/bin/tsc"), "--noEmit", "-p", join(root, "test/webviews")],
  },
  {
    name: "types of end-to-end tests",
    args: [tool("typescript/bin/tsc"), "--noEmit", "-p", join(root, "test/e2e")],
  },
  { name: "lint", args: [tool("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."] },
];

async function testAll(vitestArgs: readonly string[]): Promise<Counts> {
  const counts: Counts[] = [];
  for (const { name, args } of staticChecks) {
    const code = await run(args);
    console.log(`${name}: ${code === 0 ? "ok" : `failed with status ${code}`}`);
    counts.push({ passed: Number(code === 0), failed: Number(code !== 0), skipped: 0 });
  }
  counts.push(await runVitest(vitestArgs));
  // In VS Code itself; whoever names files wants these files only.
  if (vitestArgs.length === 0) counts.push(await runEndToEnd(vitestArgs));
  return sum(counts);
}

async function runEndToEnd(args: readonly string[]): Promise<Counts> {
  return await runVitest(["--config", join(root, "vitest.e2e.config.ts"), ...args]);
}

async function runVitest(args: readonly string[]): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-test-"));
  try {
    const report = join(folder, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const code = await run([tool("vitest/vitest.mjs"), "run", ...reporters, ...args]);
    const text = await readFile(report, "utf8").catch(() => undefined);
    const found = text === undefined ? { passed: 0, failed: 0, skipped: 0, skips: [] } : countTests(JSON.parse(text));
    const counts = process.env["CI"] === undefined ? found : withUnexpectedSkips(found, await expectedSkips());
    // Something outside every test went wrong: an error that no test waited for, or no report at all.
    return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })),
    }),
  ),
});

/** The tests of a report of Vitest. A file that failed before any of its tests ran counts as one failure. */
export function countTests(report: unknown): Found {
  const files = reportSchema.parse(report).testResults.map(({ name, status, assertionResults }) => {
    const passed = assertionResults.filter((test) => test.status === "passed").length;
    const failed = assertionResults.filter((test) => test.status === "failed").length;
    const unseen = status === "failed" && failed === 0 ? 1 : 0;
    const skips = assertionResults
      .filter((test) => test.status !== "passed" && test.status !== "failed")
      .map(({ fullName }) => `${relative(root, name).replaceAll("\\", "/")} > ${fullName}`);
    return { passed, failed: failed + unseen, skipped: skips.length, skips };
  });
  return { ...sum(files), skips: files.flatMap(({ skips }) => skips) };
}

/** Counts skipped tests that nobody expected as failed, and says which. A line of `expected` names one test, or ends in * and names all that begin so. */
export function withUnexpectedSkips({ skips, ...counts }: Found, expected: readonly string[]): Counts {
  const isExpected = (skip: string): boolean =>
    expected.some((line) => (line.endsWith("*") ? skip.startsWith(line.slice(0, -1)) : skip === line));
  const unexpected = skips.filter((skip) => !isExpected(skip));
  for (const skip of unexpected) console.error(`skipped, but test/expected-skips.txt does not name it: ${skip}`);
  return {
    ...counts,
    failed: counts.failed + unexpected.length,
    skipped: counts.skipped - unexpected.length,
  };
}

async function expectedSkips(): Promise<string[]> {
  const text = await readFile(join(root, "test/expected-skips.txt"), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function sum(counts: readonly Counts[]): Counts {
  const total = (key: keyof Counts): number => counts.reduce((all, count) => all + count[key], 0);
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped") };
}

/** Runs a script on this Node with our output, and gives its exit status. */
async function run(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

if (import.meta.main) {
  const [first, ...rest] = process.argv.slice(2);
  const { passed, failed, skipped } = await (first === "--e2e" ? runEndToEnd(rest) : testAll(process.argv.slice(2)));
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}
