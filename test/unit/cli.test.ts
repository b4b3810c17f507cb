import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defineCommand } from "../../server/cli/command.ts";
import { type CommandEntry, commands } from "../../server/cli/commands.ts";
import { exitCodes, failureOf } from "../../server/cli/exit-codes.ts";
import { olderNodeProblem, oldestNode } from "../../server/cli/node-version.ts";
import { withDevice } from "../../server/cli/with-device.ts";
import { LfpError } from "../../server/common/errors.ts";
import { NonFiniteError } from "../../server/engine/errors.ts";
import * as ops from "../../server/engine/ops.ts";
import { jsonOf, lastLine, runLfpIn } from "../support/run-lfp.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lfp-cli-"));
});
afterAll(() => rm(scratch, { recursive: true }));

const lfp = (args: readonly string[], more?: Parameters<typeof runLfpIn>[2]) => runLfpIn(scratch, args, more);

describe("help", () => {
  it("lists every command and every exit code", async () => {
    const { code, stdout, stderr } = await lfp(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const [name, { summary }] of Object.entries(commands))
      expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, "m"));
    for (const { code: exit, meaning } of Object.values(exitCodes))
      expect(stdout).toContain(`  ${String(exit).padEnd(5)}${meaning}`);
    expect(await lfp(["help"])).toEqual({ code, stdout, stderr });
  });

  it.each(Object.keys(commands))("of `%s` has its usage and options", async (name) => {
    const { code, stdout } = await lfp([...name.split(" "), "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: lfp ${name}`);
    expect(stdout).toMatch(/^ {2}--json +print the result as one line of JSON/m);
    expect(await lfp(["help", ...name.split(" ")])).toMatchObject({ stdout });
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(130);
  });

  it("of a group lists its commands", async () => {
    const { code, stdout } = await lfp(["bench", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("bench engine");
    expect(stdout).not.toContain("doctor");
  });

  it("says the version of package.json", async () => {
    const manifest: unknown = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const { stdout } = await lfp(["--version"]);
    expect(manifest).toMatchObject({ version: stdout.trim() });
  });

  it("and docs/cli.md agree on commands, options and exit codes", async () => {
    const page = await readFile(join(root, "docs/cli.md"), "utf8");
    for (const { code, meaning } of Object.values(exitCodes)) expect(page).toContain(`| ${code} | ${meaning} |`);
    for (const name of Object.keys(commands)) {
      expect(page).toContain(`\n## lfp ${name}\n`);
      const section = page.split(`\n## lfp ${name}\n`)[1]?.split("\n## ")[0] ?? "";
      const { stdout } = await lfp([...name.split(" "), "--help"]);
      for (const [, flag = ""] of stdout.matchAll(/^ {2}(--[a-z-]+)/gm)) {
        if (flag !== "--help" && flag !== "--json") expect(section, name).toContain(`\`${flag}`);
      }
    }
  });
});

describe("wrong command lines", () => {
  it.each<[args: string, says: string]>([
    ["", "a command is missing"],
    ["frobnicate", 'there is no command "frobnicate"; there are doctor, generate'],
    ["--frobnicate", 'there is no command "--frobnicate"'],
    ["toString", 'there is no command "toString"'],
    ["bench", "lfp bench needs to know what: "],
    ["bench frobnicate", 'there is no command "bench frobnicate"; there are bench '],
    ["doctor now", '"now" is unexpected. `lfp doctor --help` lists the options'],
    ["doctor --frobnicate", "Unknown option '--frobnicate'. `lfp doctor --help` lists the options"],
    ["generate --prompt x", "--model MODEL is missing"],
    ["generate --model starter", "--prompt TEXT (or --prompt-file FILE) is missing"],
    ["generate --model starter --prompt x --prompt-file y", "--prompt and --prompt-file were both given"],
    ["generate --model starter --prompt", "Option '--prompt"],
    ["generate --model starter --model starter --prompt x", "--model was given 2 times"],
    ["generate --model starter --prompt x --seed 1.5", '--seed is "1.5"; expected a whole number from 0 to 4294967295'],
    ["generate --model starter --prompt x --top-p 1.1", '--top-p is "1.1"; expected a number from 0 to 1'],
    ["generate --model starter --prompt x --temperature=-1", '--temperature is "-1"; expected a number of at least 0'],
    ["generate --model starter --prompt x --temperature=", '--temperature is ""; expected a number'],
    [
      "bench engine --shape gpt-5",
      '--shape is "gpt-5"; expected one of pythia-70m, smollm2-135m, qwen3-0.6b, starter, tiny',
    ],
    ["bench engine --steps 0", '--steps is "0"; expected a whole number of at least 1'],
  ])("lfp %s", async (args, says) => {
    const list = args === "" ? [] : args.split(" ");
    const plain = await lfp(list);
    expect(plain.code).toBe(exitCodes.usage.code);
    expect(plain.stdout).toBe("");
    expect(plain.stderr).toMatch(/^lfp: [^\n]+\n$/);
    expect(plain.stderr).toContain(says);
    const machine = await lfp([...list, "--json"]);
    if (args === "") return;
    expect(machine).toMatchObject({ code: exitCodes.usage.code, stderr: "" });
    expect(jsonOf(machine)).toEqual({ error: { code: "usage", message: expect.stringContaining(says) } });
  });
});

describe("failures", () => {
  class OddError extends LfpError {
    readonly code = "locked";
  }
  const failing = (error: unknown): Readonly<Record<string, CommandEntry>> => ({
    fail: {
      summary: "fails",
      load: async () => defineCommand({ usage: "", about: "Fails.", options: {}, run: () => Promise.reject(error) }),
    },
  });

  it.each<[string, unknown, number, string]>([
    ["ours", new OddError("held by process 7"), exitCodes.locked.code, "held by process 7"],
    ["of numbers", new NonFiniteError("loss", 3, Number.NaN), exitCodes["non-finite"].code, "step 3: loss is NaN"],
    [
      "a defect",
      new TypeError("x is not a function"),
      exitCodes.internal.code,
      "a defect in lfp: x is not a function. LFP_DEBUG=1",
    ],
    ["no error at all", "just a text", exitCodes.internal.code, "a defect in lfp: just a text"],
  ])("%s become one line and an exit code, with a stack only when asked for", async (_, error, exit, says) => {
    const ran = await lfp(["fail"], { commands: failing(error) });
    expect(ran).toMatchObject({ code: exit, stdout: "" });
    expect(ran.stderr).toContain(`lfp: ${says}`);
    expect(ran.stderr).not.toContain("cli.test.ts");
    const debugged = await lfp(["fail"], { commands: failing(error), env: { LFP_DEBUG: "1" } });
    if (error instanceof Error) expect(debugged.stderr).toContain("cli.test.ts");
    const machine = await lfp(["fail", "--json"], { commands: failing(error) });
    expect(jsonOf(machine)).toMatchObject({ error: { code: failureOf(error, false).code } });
  });

  it("has one exit code for each way to end, and no two ways share one", () => {
    const codes = Object.values(exitCodes).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(exitCodes).toMatchObject({
      ok: { code: 0 },
      usage: { code: 2 },
      requeue: { code: 75 },
      cancelled: { code: 130 },
    });
  });

  it("counts whatever a stopped command throws as cancelled, and closes its device", async () => {
    const stop = new AbortController();
    let closed = false;
    const endless: CommandEntry = {
      summary: "never ends",
      load: async () =>
        defineCommand({
          usage: "",
          about: "Never ends.",
          options: {},
          run: ({ signal }) =>
            withDevice({ device: "cpu", threads: 1, env: {}, signal }, async (device) => {
              const program = await device.compile({ stores: [], outputs: { y: ops.relu(ops.input("x", [1])) } });
              for (let step = 0; ; step++) {
                if (step === 3) stop.abort();
                await program.run({ x: new Float32Array(1) }).finally(() => {
                  closed = signal.aborted;
                });
              }
            }),
        }),
    };
    const ran = await lfp(["endless"], { commands: { endless }, signal: stop.signal });
    expect(ran).toEqual({ code: exitCodes.cancelled.code, stdout: "", stderr: "lfp: cancelled\n" });
    expect(closed).toBe(true);
  });

  it("gives the result and the status of a command that stopped early but saved", async () => {
    const result = { json: { name: "train", step: 7 }, text: "saved at step 7", status: "requeue" as const };
    const train: CommandEntry = {
      summary: "trains",
      load: async () =>
        defineCommand({
          usage: "RUN",
          about: "Trains.",
          options: {},
          positionals: ["RUN", "[NOTE]"],
          run: async ({ positionals, say, note }) => {
            say(`running ${positionals.join("+")}`);
            note("step 7");
            return result;
          },
        }),
    };
    const table = { commands: { train } };
    expect(await lfp(["train", "a"], table)).toEqual({
      code: 75,
      stdout: "running a\nsaved at step 7\n",
      stderr: "step 7\n",
    });
    expect(await lfp(["train", "a", "b", "--json"], table)).toEqual({
      code: 75,
      stdout: '{"name":"train","step":7}\n',
      stderr: "step 7\n",
    });
    expect((await lfp(["train"], table)).stderr).toContain("RUN is missing");
    expect((await lfp(["train", "a", "b", "c"], table)).stderr).toContain('"c" is unexpected after RUN [NOTE]');
  });
});

describe("the process", () => {
  it("ends with status 130 when Ctrl-C is pressed", async () => {
    const args = ["server/cli.ts", "bench", "engine", "--shape", "tiny", "--tokens", "32", "--steps", "1000000"];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += String(chunk);
      // Once: a second one would end it the hard way.
      if (!child.killed && stderr.includes("timing")) child.kill("SIGINT");
    });
    const code = await new Promise((resolve) => {
      child.on("exit", (status, signal) => resolve(status ?? signal));
    });
    expect(code).toBe(130);
    expect(lastLine(stderr)).toBe("lfp: cancelled");
  });

  it("stops as if asked to when nobody reads its messages any more", async () => {
    const args = ["server/cli.ts", "bench", "engine", "--shape", "tiny", "--tokens", "32", "--steps", "1000000"];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "ignore", "pipe"] });
    // The next one goes nowhere.
    child.stderr.once("data", () => child.stderr.destroy());
    const code = await new Promise((resolve) => {
      child.on("exit", (status, signal) => resolve(status ?? signal));
    });
    expect(code).toBe(130);
  });

  it("says what to do on a Node that is too old", () => {
    expect(olderNodeProblem(oldestNode)).toBeUndefined();
    expect(olderNodeProblem("24.0.0")).toBeUndefined();
    expect(olderNodeProblem("22.17.9")).toContain("this is Node 22.17.9, and lfp needs 22.18.0 or newer");
    expect(olderNodeProblem("18.20.1")).toContain("npx lfp");
  });
});
