/**
 * `npm test`: builds, checks types and lint, runs all tests, end-to-end ones last, and ends with the line `N passed, N failed, N skipped`. Each
 * static check counts as one test. Arguments go to Vitest, to run some files only. `npm run test:e2e` (`--e2e`) runs the end-to-end tests alone.
 * What failed is said once more right before that line. Where CI is set, a skipped test that test/expected-skips.txt does not name counts as failed: there everything that tests need is installed.
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

/** Counts with what is to be said of every failure, as a log that is cut keeps its end best. */
export interface Outcome extends Counts {
  readonly failures: readonly string[];
}

/** What a run of Vitest found. */
export interface Found extends Outcome {
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

async function testAll(vitestArgs: readonly string[]): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const { name, args } of staticChecks) {
    const code = await run(args);
    const said = `${name}: ${code === 0 ? "ok" : `failed with status ${code}`}`;
    console.log(said);
    outcomes.push({
      passed: Number(code === 0),
      failed: Number(code !== 0),
      skipped: 0,
      failures: code === 0 ? [] : [said],
    });
  }
  outcomes.push(await runVitest(vitestArgs));
  // In VS Code itself; whoever names files wants these files only.
  if (vitestArgs.length === 0) outcomes.push(await runEndToEnd(vitestArgs));
  return sum(outcomes);
}

async function runEndToEnd(args: readonly string[]): Promise<Outcome> {
  return await runVitest(["--config", join(root, "vitest.e2e.config.ts"), ...args]);
}

async function runVitest(args: readonly string[]): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-test-"));
  try {
    const report = join(folder, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const code = await run([tool("vitest/vitest.mjs"), "run", ...reporters, ...args]);
    const text = await readFile(report, "utf8").catch(() => undefined);
    const found = text === undefined ? nothingFound : countTests(JSON.parse(text));
    const outcome = process.env["CI"] === undefined ? found : withUnexpectedSkips(found, await expectedSkips());
    // Something outside every test went wrong: an error that no test waited for, or no report at all.
    const outside = `vitest ${args.join(" ")}: status ${code} without a failed test`;
    return code !== 0 && outcome.failed === 0 ? { ...outcome, failed: 1, failures: [outside] } : outcome;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const nothingFound: Found = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };

const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(""),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

type FileReport = z.infer<typeof reportSchema>["testResults"][number];

/** As much of a failure's message as is said again at the end, in lines. */
const saidLines = 12;

/** The tests of a report of Vitest. A file that failed before any of its tests ran counts as one failure. */
export function countTests(report: unknown): Found {
  return sumFound(reportSchema.parse(report).testResults.map(countFile));
}

function countFile({ name, status, message, assertionResults }: FileReport): Found {
  const file = relative(root, name).replaceAll("\\", "/");
  const named = assertionResults.map((test) => ({ ...test, name: `${file} > ${test.fullName}` }));
  const skips = named.filter((test) => test.status !== "passed" && test.status !== "failed");
  const failures = named
    .filter((test) => test.status === "failed")
    .map((test) => `${test.name}\n${firstLines(test.failureMessages?.join("\n") ?? "")}`);
  if (status === "failed" && failures.length === 0) failures.push(`${file}, before any test\n${firstLines(message)}`);
  return {
    passed: named.filter((test) => test.status === "passed").length,
    failed: failures.length,
    skipped: skips.length,
    failures,
    skips: skips.map((test) => test.name),
  };
}

function firstLines(message: string): string {
  return message
    .split("\n")
    .slice(0, saidLines)
    .map((line) => `    ${line}`)
    .join("\n");
}

/** Counts skipped tests that nobody expected as failed, and says which. A line of `expected` names one test, or ends in * and names all that begin so. */
export function withUnexpectedSkips({ skips, ...outcome }: Found, expected: readonly string[]): Outcome {
  const isExpected = (skip: string): boolean =>
    expected.some((line) => (line.endsWith("*") ? skip.startsWith(line.slice(0, -1)) : skip === line));
  const unexpected = skips.filter((skip) => !isExpected(skip));
  const failures = unexpected.map((skip) => `skipped, but test/expected-skips.txt does not name it: ${skip}`);
  return {
    ...outcome,
    failed: outcome.failed + unexpected.length,
    skipped: outcome.skipped - unexpected.length,
    failures: [...outcome.failures, ...failures],
  };
}

async function expectedSkips(): Promise<string[]> {
  const text = await readFile(join(root, "test/expected-skips.txt"), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function sum(outcomes: readonly Outcome[]): Outcome {
  const total = (key: keyof Counts): number => outcomes.reduce((all, outcome) => all + outcome[key], 0);
  const failures = outcomes.flatMap((outcome) => outcome.failures);
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped"), failures };
}

function sumFound(found: readonly Found[]): Found {
  return { ...sum(found), skips: found.flatMap(({ skips }) => skips) };
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
  const outcome = await (first === "--e2e" ? runEndToEnd(rest) : testAll(process.argv.slice(2)));
  const { passed, failed, skipped } = outcome;
  process.exitCode = failed === 0 ? 0 : 1;
  for (const failure of outcome.failures) console.log(`FAILED ${failure}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}
