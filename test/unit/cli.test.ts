import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { defineCommand } from "../../server/cli/command.ts";
import { type CommandEntry, commands } from "../../server/cli/commands.ts";
import { exitCodes, failureOf } from "../../server/cli/exit-codes.ts";
import { main } from "../../server/cli/main.ts";
import { olderNodeProblem, oldestNode } from "../../server/cli/node-version.ts";
import { describeOptions, option, parseOptions } from "../../server/cli/options.ts";
import { printable } from "../../server/cli/printable.ts";
import { withDevice } from "../../server/cli/with-device.ts";
import { LfpError } from "../../server/common/errors.ts";
import { NonFiniteError } from "../../server/engine/errors.ts";
import * as ops from "../../server/engine/ops.ts";
import { gpuIsHere } from "../conformance/devices.ts";
import { modelFolder } from "../conformance/fixtures.ts";
import { useSoftwareGpu } from "../support/software-gpu.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lfp-cli-"));
});
afterAll(() => rm(scratch, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `lfp` in this process. */
async function lfp(args: readonly string[], more: Partial<Parameters<typeof main>[1]> = {}): Promise<Ran> {
  let stdout = "";
  let stderr = "";
  const code = await main(args, {
    signal: new AbortController().signal,
    env: { HF_HOME: join(scratch, "hf"), ...more.env },
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    ...(more.commands === undefined ? {} : { commands: more.commands }),
    ...(more.signal === undefined ? {} : { signal: more.signal }),
  });
  return { code, stdout, stderr };
}

const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";
const json = (ran: Ran): unknown => JSON.parse(lastLine(ran.stdout));

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
    ["bench engine --shape gpt-5", '--shape is "gpt-5"; expected one of pythia-70m, starter, tiny'],
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
    expect(json(machine)).toEqual({ error: { code: "usage", message: expect.stringContaining(says) } });
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
    expect(json(machine)).toMatchObject({ error: { code: failureOf(error, false).code } });
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
            withDevice({ device: "cpu", threads: 1, signal }, async (device) => {
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

describe("options", () => {
  const options = {
    name: option.text("NAME", "a name"),
    size: option.choice("SIZE", "a size", ["small", "large"], "small"),
    count: option.integer("how many", 3, { min: 1, max: 9 }),
    rate: option.number("how fast", 0.5),
    tags: option.texts("TAG", "tags"),
    force: option.flag("really"),
  };

  it("are read as they are declared", () => {
    expect(parseOptions([], options).values).toEqual({
      name: undefined,
      size: "small",
      count: 3,
      rate: 0.5,
      tags: [],
      force: false,
    });
    const args = [
      "--name",
      "n",
      "--size=large",
      "--count",
      "9",
      "--rate",
      "1e-3",
      "--tags",
      "a",
      "x",
      "--tags",
      "b",
      "--force",
      "--",
      "--y",
    ];
    expect(parseOptions(args, options)).toEqual({
      values: { name: "n", size: "large", count: 9, rate: 1e-3, tags: ["a", "b"], force: true },
      positionals: ["x", "--y"],
    });
  });

  it.each([["1e999"], ["0x10"], ["NaN"], [" "], ["1,5"]])("refuse %j as a number", (text) => {
    expect(() => parseOptions(["--rate", text], options)).toThrow("expected a number");
  });

  it("are described in two columns that fit the line", () => {
    const lines = describeOptions({ ...options, long: option.flag("word ".repeat(60).trim()) }).split("\n");
    expect(lines[1]).toBe("  --size SIZE  a size: small, large (default small)");
    expect(lines[4]).toBe("  --tags TAG   tags; may be repeated");
    expect(lines.every((line) => line.length <= 110)).toBe(true);
    expect(lines.slice(7).every((line) => line.startsWith(" ".repeat(15)))).toBe(true);
  });
});

describe.skipIf(!gpuIsHere)("lfp tune", () => {
  it("checks and times kernels, and keeps what it finds for the adapter", async () => {
    useSoftwareGpu();
    const env = { LFP_STATE_DIR: join(scratch, "state") };
    const list = "tune --shape tiny --only mlp --candidates 1";
    const ran = await lfp([...list.split(" "), "--json"], { env });
    expect(ran.code, ran.stderr).toBe(0);
    const product = { name: "mlp", variant: expect.stringContaining("tiles"), gflops: expect.any(Number), gain: 1 };
    expect(json(ran)).toMatchObject({ name: "tune", check: "ok", precision: "f32", products: [product], stored: 0 });
    const { file } = z.object({ file: z.string() }).parse(json(ran));
    expect(file.startsWith(join(scratch, "state/gpu/"))).toBe(true);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ products: {} });
  });

  it("names the products when one is asked for that there is not", async () => {
    useSoftwareGpu();
    const ran = await lfp(["tune", "--only", "frobnication"]);
    expect(ran.code).toBe(exitCodes.usage.code);
    expect(ran.stderr).toContain('--only is "frobnication"; expected one of mlp, mlpBack, ');
  });
});

describe("lfp doctor", () => {
  it("computes on the CPU device, and on a GPU where there is one, and says what is there", async () => {
    useSoftwareGpu();
    const ran = await lfp(["doctor", "--json"]);
    expect(ran.code).toBe(0);
    expect(json(ran)).toMatchObject({
      name: "doctor",
      ok: true,
      versions: { node: process.versions.node, onnxruntime: "1.30.0" },
      devices: { cpu: { ok: true }, gpu: { ok: gpuIsHere } },
      huggingFace: { cacheFolder: join(scratch, "hf", "hub"), models: [] },
      starter: { ok: true, folder: join(root, "assets/starter") },
      problems: [],
    });
  });

  it("says what is wrong and what to do, without failing for what is not the device", async () => {
    const { code, stdout } = await lfp(["doctor"], { env: { HF_ENDPOINT: "not an address" } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Problem: HF_ENDPOINT is set to something that is not a web address/m);
    expect(stdout).not.toContain("Nothing is missing");
  });
});

describe("lfp generate", () => {
  const run = ["generate", "--model", "starter", "--max-new-tokens", "6"];

  it("gives equal texts for equal seeds, and others for others", async () => {
    const args = [...run, "--prompt", "This movie", "--prompt", "I", "--min-new-tokens", "6"];
    const first = await lfp([...args, "--seed", "3", "--json"]);
    expect(first.code).toBe(0);
    expect(json(first)).toMatchObject({
      name: "generate",
      model: { reference: "starter", folder: join(root, "assets/starter") },
      seed: 3,
      texts: [
        { prompt: "This movie", promptTokens: 3, stoppedAtEos: false },
        { prompt: "I", promptTokens: 2, stoppedAtEos: false },
      ],
    });
    const again = await lfp([...args, "--seed", "3", "--json", "--threads", "1"]);
    expect(textsOf(again)).toEqual(textsOf(first));
    expect(textsOf(await lfp([...args, "--seed", "4", "--json"]))).not.toEqual(textsOf(first));
    const plain = await lfp([...args, "--seed", "3"]);
    expect(plain.stdout).toBe(`${textsOf(first).join("\n\n")}\n`);
    expect(plain.stderr).toBe("");
  });

  it("reads prompts from a file, a line each", async () => {
    const file = join(scratch, "prompts.txt");
    await writeFile(file, "This movie\r\n\nThe actors\n");
    const ran = await lfp([...run, "--prompt-file", file, "--greedy", "--json"]);
    expect(json(ran)).toMatchObject({ texts: [{ prompt: "This movie" }, { prompt: "The actors" }] });
    const warm = await lfp([
      ...run,
      "--prompt",
      "This movie",
      "--prompt",
      "The actors",
      "--temperature",
      "0",
      "--json",
    ]);
    expect(textsOf(warm)).toEqual(textsOf(ran));
    expect(await lfp([...run, "--prompt-file", join(scratch, "none.txt")])).toMatchObject({
      code: exitCodes["not-found"].code,
    });
    await writeFile(file, " \n\n");
    expect(await lfp([...run, "--prompt-file", file])).toMatchObject({ code: exitCodes.input.code });
  });

  it.each<[string, () => Promise<string[]>, keyof typeof exitCodes, RegExp]>([
    ["a folder that is not there", async () => ["/no/such/folder"], "not-found", /\/no\/such\/folder does not exist/],
    [
      "a hub model that is not in the cache",
      async () => ["EleutherAI/pythia-70m"],
      "not-found",
      /nothing is downloaded unasked.*--download/,
    ],
    ["no model's name", async () => ["a b c"], "usage", /names no model/],
    ["a file", async () => [join(root, "package.json")], "usage", /it is a file/],
    ["pickles", async () => [await folderWith({ "pytorch_model.bin": "x" })], "input", /pytorch_model\.bin.*refused/],
    [
      "an unknown architecture",
      async () => [await folderWith({ "config.json": '{"model_type":"llama"}' })],
      "input",
      /'llama' is not supported/,
    ],
    [
      "a prompt too long",
      async () => ["starter", "--max-new-tokens", "255"],
      "input",
      /prompt 1 \(2\) with 255 new needs 257 tokens/,
    ],
  ])("refuses %s", async (_, model, status, says) => {
    const args = ["generate", "--prompt", "x", "--model", ...(await model())];
    const ran = await lfp(args);
    expect(ran).toMatchObject({ code: exitCodes[status].code, stdout: "" });
    expect(ran.stderr).toMatch(says);
    expect(ran.stderr.trimEnd()).not.toContain("\n");
    expect(json(await lfp([...args, "--json"]))).toMatchObject({ error: { code: status } });
  });

  it("shows control characters that a model or a file brings, instead of sending them to the terminal", () => {
    expect(printable("a\u001b[2Jb\u0007\r\n\tc\u009bd\u007f é😀")).toBe("a\u241b[2Jb\u2407\n\tc\ufffdd\u2421 é😀");
  });
});

describe("lfp bench", () => {
  it("engine ends with one JSON line of exactly the promised fields", async () => {
    const ran = await lfp([
      "bench",
      "engine",
      "--shape",
      "tiny",
      "--batch",
      "2",
      "--tokens",
      "16",
      "--steps",
      "2",
      "--json",
    ]);
    expect(ran.code).toBe(0);
    const positive = expect.toSatisfy((value) => typeof value === "number" && value > 0);
    expect(json(ran)).toStrictEqual({
      name: "engine",
      check: "ok",
      device: "cpu",
      model: "tiny-shape",
      trainTokensPerSecond: positive,
      forwardTokensPerSecond: positive,
      matmulGflops: positive,
      peakRssMB: positive,
    });
  });

  it("generate likewise, and for people without --json", async () => {
    const args = ["bench", "generate", "--shape", "tiny", "--prompts", "8", "--new", "5", "--repeats", "1"];
    const ran = await lfp([...args, "--json"]);
    expect(Object.keys(Object(json(ran)))).toEqual([
      "name",
      "check",
      "device",
      "model",
      "newTokensPerSecond",
      "peakRssMB",
    ]);
    expect(json(ran)).toMatchObject({ name: "generate", check: "ok", model: "tiny-shape" });
    expect((await lfp(args)).stdout).toMatch(/^sampling {3}[\d.]+ new tokens\/s$/m);
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

  it("says what to do on a Node that is too old", () => {
    expect(olderNodeProblem(oldestNode)).toBeUndefined();
    expect(olderNodeProblem("24.0.0")).toBeUndefined();
    expect(olderNodeProblem("22.17.9")).toContain("this is Node 22.17.9, and lfp needs 22.18.0 or newer");
    expect(olderNodeProblem("18.20.1")).toContain("npx lfp");
  });
});

function textsOf(ran: Ran): string[] {
  const result = json(ran);
  const texts: unknown = Object(result)["texts"];
  return Array.isArray(texts) ? texts.map(({ prompt, text }) => `${prompt}${text}`) : [];
}

/** A model folder with a config and a tokenizer that are sound, and these files. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(scratch, "model-"));
  await mkdir(folder, { recursive: true });
  await copyFile(join(modelFolder("gpt-neox"), "config.json"), join(folder, "config.json"));
  await copyFile(join(root, "assets/starter/tokenizer.json"), join(folder, "tokenizer.json"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}
