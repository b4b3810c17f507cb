import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { shapeClass } from "../../kernels/matmul/choose.ts";
import { productSizes, projectProducts } from "../../server/bench/gpu-products.ts";
import { exitCodes } from "../../server/cli/exit-codes.ts";
import { gpuIsHere } from "../conformance/devices.ts";
import { modelFolder } from "../conformance/fixtures.ts";
import { jsonOf, type Ran, runLfpIn } from "../support/run-lfp.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lfp-cli-"));
});
afterAll(() => rm(scratch, { recursive: true }));

const lfp = (args: readonly string[], more?: Parameters<typeof runLfpIn>[2]) => runLfpIn(scratch, args, more);

describe.skipIf(!gpuIsHere)("lfp tune", () => {
  it("checks and times kernels, and keeps what it finds for the adapter", async () => {
    const env = { LFP_STATE_DIR: join(scratch, "state") };
    const list = "tune --shape tiny --only mlp --candidates 1";
    const ran = await lfp([...list.split(" "), "--json"], { env });
    expect(ran.code, ran.stderr).toBe(0);
    const product = { name: "mlp", variant: expect.stringContaining("tiles"), gflops: expect.any(Number), gain: 1 };
    expect(jsonOf(ran)).toMatchObject({ name: "tune", check: "ok", precision: "f32", products: [product], stored: 0 });
    const { file } = z.object({ file: z.string() }).parse(jsonOf(ran));
    expect(file.startsWith(join(scratch, "state/gpu/"))).toBe(true);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ products: {} });
  });

  it("leaves out a kernel that it ended with the last time, and keeps the best of the others", async () => {
    const env = { LFP_STATE_DIR: join(scratch, "after-a-crash") };
    const args = [..."tune --shape tiny --only mlp --candidates".split(" "), "1", "--json"];
    const first = await lfp(args, { env });
    expect(first.code, first.stderr).toBe(0);
    const seen = z.object({ file: z.string(), products: z.tuple([z.object({ variant: z.string() })]) });
    const { file, products } = seen.parse(jsonOf(first));
    const notes = file.replace(/\.json$/, ".attempts.json");
    const before = z
      .object({ trying: z.null() })
      .loose()
      .parse(JSON.parse(await readFile(notes, "utf8")));
    const { mlp = expect.fail() } = projectProducts(productSizes.tiny);
    const key = shapeClass(mlp, "f32");
    await writeFile(notes, JSON.stringify({ ...before, trying: `${key}: ${products[0].variant}` }));
    const again = await lfp(args.with(-2, "2"), { env });
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain(`${products[0].variant} is left out: lfp ended while it was tried; delete ${notes}`);
    const [product] = seen.parse(jsonOf(again)).products;
    expect(product.variant).not.toBe(products[0].variant);
    expect(jsonOf(again)).toMatchObject({ stored: 1, products: [{ gain: null }] });
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ products: { [key]: { kind: "tiles" } } });
    expect((await lfp(args, { env })).stderr).toContain("is left out");
  });

  it("names the products when one is asked for that there is not", async () => {
    const ran = await lfp(["tune", "--only", "frobnication"]);
    expect(ran.code).toBe(exitCodes.usage.code);
    expect(ran.stderr).toContain('--only is "frobnication"; expected one of mlp, mlpBack, ');
  });
});

describe("lfp pairs inspect", () => {
  const inspect = (...args: readonly string[]) => lfp(["pairs", "inspect", ...args]);
  let file: string;
  beforeAll(async () => {
    file = join(scratch, "pairs.jsonl");
    const rows = [
      { prompt: "The film", chosen: " is good", rejected: " is bad" },
      { prompt: "The film", chosen: " is a long secret", rejected: " is bad" },
    ];
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  });

  it("counts a file without its texts, and lists the tokens of a row as text, Markdown and JSON", async () => {
    const counted = await inspect(file, "--model", "starter", "--max-length", "5");
    expect(counted.code, counted.stderr).toBe(0);
    expect(counted.stdout).toContain("2 rows, 2 pairs");
    expect(counted.stdout).toContain("1  the end of the chosen answer was cut");
    expect(counted.stdout + counted.stderr).not.toContain("secret");
    const row = [file, "--model", "starter", "--row", "1"];
    expect((await inspect(...row)).stdout).toContain("·long");
    const markdown = await inspect(...row, "--markdown", "--tokens", "0.7.7");
    expect(markdown.stdout).toMatch(/^# Tokens of preference pairs\n\n```text\n/);
    expect(markdown.stdout).toContain("as TRL 0.7.7 did (256 tokens at most; of a prompt the last 128 are kept)");
    expect(jsonOf(await inspect(...row, "--json"))).toMatchObject({
      name: "pairs inspect",
      tokens: { rule: "trl-1", maxTokens: 1024 },
      totals: { rows: 1, pairs: 1 },
      rows: [{ row: 1, kind: "pair", split: { rule: "given", form: "texts" }, unshared: [] }],
    });
  });

  it.each([
    [["--row", "x"], '--row is "x"'],
    [["--row", "1", "--rows", "1..2"], "both given"],
    [["--rows", "2..1"], "expected A..B"],
    [["--rows", "0..1000"], "at most 1000 rows"],
    [["--max-prompt-length", "3"], "is for --tokens 0.7.7"],
    [["--max-length", "0"], "--max-length is 0"],
  ])("refuses %s", async (args, said) => {
    const ran = await inspect(file, "--model", "starter", ...args);
    expect(ran.code).toBe(exitCodes.usage.code);
    expect(ran.stderr).toContain(said);
  });
});

describe("lfp doctor", () => {
  it("computes on the CPU device, and on a GPU where there is one, and says what is there", async () => {
    const ran = await lfp(["doctor", "--json"]);
    expect(ran.code).toBe(0);
    expect(jsonOf(ran)).toMatchObject({
      name: "doctor",
      ok: true,
      versions: { node: process.versions.node, onnxruntime: "1.30.0" },
      devices: { cpu: { ok: true, runtime: { kind: "c-api" } }, gpu: { ok: gpuIsHere } },
      huggingFace: { cacheFolder: join(scratch, "hf", "hub"), models: [] },
      starter: { ok: true, folder: join(root, "assets/starter") },
      problems: [],
    });
  });

  it("says with --model what a GPU needs for it, and refuses that beside --on", async () => {
    const ran = await lfp(["doctor", "--model", "starter", "--json"]);
    const tensor = { name: "gpt_neox.embed_in.weight", shape: [4096, 128], heldMB: 2, trainedMB: 2 };
    expect(jsonOf(ran)).toMatchObject({ ok: true, model: { name: "starter", largestTensor: tensor }, problems: [] });
    const beside = await lfp(["doctor", "--model", "starter", "--on", "slurm"]);
    expect([beside.code, beside.stderr]).toEqual([exitCodes.usage.code, expect.stringContaining("leave out --on")]);
  });

  it("says how the CPU device reaches ONNX Runtime, and why not by its C API", async () => {
    expect((await lfp(["doctor"])).stdout).toMatch(/^CPU device +works: .* by its C API /m);
    const { stdout } = await lfp(["doctor"], { env: { LFP_ONNX_RUNTIME: "onnxruntime-node" } });
    expect(stdout).toMatch(/by onnxruntime-node, .*\(why not by its C API: LFP_ONNX_RUNTIME asks for it\)/);
    const wrong = await lfp(["doctor"], { env: { LFP_ONNX_RUNTIME: "fast" } });
    expect(wrong.code).toBe(6);
    expect(wrong.stdout).toContain("Correct the environment variable, or unset it");
  });

  it("says what is wrong and what to do, without failing for what is not the device", async () => {
    const { code, stdout } = await lfp(["doctor"], { env: { HF_ENDPOINT: "not an address" } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Problem: HF_ENDPOINT is set to something that is not a web address/m);
    expect(stdout).not.toContain("Nothing is missing");
  });
});

describe.skipIf(!gpuIsHere)("the GPU's memory", () => {
  const generate = ["generate", "--device", "gpu", "--model", "starter", "--prompt", "This", "--max-new-tokens", "2"];
  const within = (megabytes: string) => ({ env: { LFP_GPU_MEMORY_MB: megabytes } });

  it("is refused with the sum by kind, what is there and what to lower, before anything is allocated", async () => {
    const ran = await lfp(generate, within("1"));
    expect(ran).toMatchObject({ code: exitCodes.resource.code, stdout: "" });
    expect(ran.stderr).toMatch(
      /the GPU's memory does not suffice: [\d.]+ MiB are needed \(weights [\d.]+ MiB\) and nothing is held, [\d.]+ MiB of 1 MiB \(LFP_GPU_MEMORY_MB\): take a smaller model/,
    );
    expect(jsonOf(await lfp([...generate, "--json"], within("1")))).toMatchObject({ error: { code: "resource" } });
  });

  it("cannot be set to what is no number of megabytes, wherever a device is opened", async () => {
    for (const command of [generate, ["score", "--device", "gpu", "--text", "so good"]]) {
      const ran = await lfp(command, within("lots"));
      expect(ran).toMatchObject({ code: exitCodes.usage.code, stdout: "" });
      expect(ran.stderr).toContain('LFP_GPU_MEMORY_MB is "lots"; expected the megabytes (of 2^20) that may be used');
    }
  });

  it("that does not suffice for reading leaves reading to the CPU, which is said", async () => {
    const ran = await lfp(["score", "--device", "gpu", "--text", "so good", "--json"], within("1"));
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(/computing on the CPU: the GPU's memory does not suffice: .* of 1 MiB/);
    const onCpu = await lfp(["score", "--text", "so good", "--json"]);
    expect(jsonOf(ran)).toEqual(jsonOf(onCpu));
  });

  it("is told by doctor, which knows a setting that is wrong", async () => {
    expect(jsonOf(await lfp(["doctor", "--json"], within("4096")))).toMatchObject({
      devices: { gpu: { ok: true, memoryMB: 4096, memorySource: "LFP_GPU_MEMORY_MB" } },
    });
    expect((await lfp(["doctor"], within("4096"))).stdout).toMatch(/memory 4(\.0)? GB \(LFP_GPU_MEMORY_MB\)/);
    const wrong = await lfp(["doctor"], within("-1"));
    expect(wrong.stdout).toMatch(/^Problem: .*LFP_GPU_MEMORY_MB is "-1"/m);
    expect(wrong.stdout).toContain("Correct the environment variable, or unset it");
  });
});

describe("lfp generate", () => {
  const run = ["generate", "--model", "starter", "--max-new-tokens", "6"];

  it("gives equal texts for equal seeds, and others for others", async () => {
    const args = [...run, "--prompt", "This movie", "--prompt", "I", "--min-new-tokens", "6"];
    const first = await lfp([...args, "--seed", "3", "--json"]);
    expect(first.code).toBe(0);
    expect(jsonOf(first)).toMatchObject({
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

  it("answers conversations by the chat template, until a token ends the message", async () => {
    const folder = join(scratch, "chat");
    await mkdir(folder, { recursive: true });
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      await copyFile(join(root, "assets/starter", name), join(folder, name));
    const template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
    await writeFile(join(folder, "chat_template.jinja"), template);
    const chat = ["generate", "--model", folder, "--chat", "--greedy", "--max-new-tokens", "6"];
    const asked = await lfp([...chat, "--prompt", "This movie", "--json"]);
    expect(asked.code, asked.stderr).toBe(0);
    const plain = jsonOf(await lfp([...run, "--greedy", "--prompt", "This movie", "--json"]));
    const [{ text, ids }] = z
      .object({ texts: z.tuple([z.object({ text: z.string(), ids: z.array(z.int()) })]) })
      .parse(plain).texts;
    const messages = [{ role: "user", content: "This movie" }];
    expect(jsonOf(asked)).toMatchObject({
      texts: [{ messages, prompt: "<|endoftext|>This movie", promptTokens: 3, text }],
    });
    const file = join(scratch, "conversations.jsonl");
    await writeFile(file, `${JSON.stringify(messages)}\n${JSON.stringify({ messages })}\n`);
    const fromFile = await lfp([...chat, "--prompt-file", file]);
    expect(fromFile.stdout).toBe(`${text}\n\n${text}\n`);
    await writeFile(join(folder, "generation_config.json"), JSON.stringify({ eos_token_id: [0, ids[2]] }));
    expect(jsonOf(await lfp([...chat, "--prompt", "This movie", "--json"]))).toMatchObject({
      texts: [{ ids: ids.slice(0, ids.indexOf(ids[2] ?? -1)), stoppedAtEos: true }],
    });
  });

  it("answers by the template that is named, and says which there are", async () => {
    const folder = join(scratch, "chat");
    await mkdir(join(folder, "additional_chat_templates"));
    await writeFile(join(folder, "additional_chat_templates", "shout.jinja"), "{{ messages[0].content | upper }}!");
    const chat = ["generate", "--model", folder, "--chat", "--max-new-tokens", "1", "--prompt", "a"];
    const named = await lfp([...chat, "--chat-template", "shout", "--json"]);
    expect(jsonOf(named)).toMatchObject({ texts: [{ prompt: "A!" }] });
    const unknown = await lfp([...chat, "--chat-template", "quiet"]);
    expect(unknown).toMatchObject({ code: exitCodes.input.code, stderr: expect.stringContaining("default, shout") });
    const unchosen = await lfp([...run, "--prompt", "a", "--chat-template", "shout"]);
    expect(unchosen).toMatchObject({ code: exitCodes.usage.code, stderr: expect.stringContaining("--chat") });
  });

  it("refuses a model without a chat template, and lines that are no conversations", async () => {
    const without = await lfp([...run, "--chat", "--prompt", "a"]);
    expect(without).toMatchObject({
      code: exitCodes.input.code,
      stderr: expect.stringContaining("has no chat template"),
    });
    const file = join(scratch, "no-conversations.jsonl");
    await writeFile(file, '\n{"messages": []}\n');
    const ran = await lfp(["generate", "--model", join(scratch, "chat"), "--chat", "--prompt-file", file]);
    expect(ran).toMatchObject({
      code: exitCodes.input.code,
      stderr: expect.stringContaining("line 2 is no conversation"),
    });
    expect(await lfp([...run, "--chat", "--no-bos", "--prompt", "a"])).toMatchObject({ code: exitCodes.usage.code });
  });

  it("reads prompts from standard input", async () => {
    const args = ["server/cli.ts", ...run, "--greedy", "--prompt-file", "-", "--json"];
    const asking = promisify(execFile)(process.execPath, args, { cwd: root });
    asking.child.stdin?.end("This movie\n");
    const plain = jsonOf(await lfp([...run, "--greedy", "--prompt", "This movie", "--json"]));
    expect(JSON.parse((await asking).stdout)).toEqual(plain);
  });

  it("reads prompts from a file, a line each", async () => {
    const file = join(scratch, "prompts.txt");
    await writeFile(file, "\ufeffThis movie\r\n\nThe actors\n");
    const ran = await lfp([...run, "--prompt-file", file, "--greedy", "--json"]);
    expect(jsonOf(ran)).toMatchObject({ texts: [{ prompt: "This movie" }, { prompt: "The actors" }] });
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
    await writeFile(file, Buffer.from("This caf\xe9", "latin1"));
    const notUtf8 = { code: exitCodes.input.code, stderr: expect.stringContaining("it is not UTF-8") };
    expect(await lfp([...run, "--prompt-file", file])).toMatchObject(notUtf8);
    expect(await lfp(["score", file])).toMatchObject(notUtf8);
  });

  it.each<[string, () => Promise<string[]>, keyof typeof exitCodes, RegExp]>([
    [
      "fewest new tokens above the most",
      async () => ["starter", "--min-new-tokens", "5", "--max-new-tokens", "4"],
      "usage",
      /--min-new-tokens is 5, above --max-new-tokens, 4/,
    ],
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
      async () => [await folderWith({ "config.json": '{"model_type":"mamba2"}' })],
      "input",
      /'mamba2' is not supported/,
    ],
    [
      "a prompt too long",
      async () => ["starter", "--max-new-tokens", "255"],
      "input",
      /prompt 1 \(2 tokens\) with 255 new ones needs 257 tokens/,
    ],
  ])("refuses %s", async (_, model, status, says) => {
    const args = ["generate", "--prompt", "x", "--model", ...(await model())];
    const ran = await lfp(args);
    expect(ran).toMatchObject({ code: exitCodes[status].code, stdout: "" });
    expect(ran.stderr).toMatch(says);
    expect(ran.stderr.trimEnd()).not.toContain("\n");
    expect(jsonOf(await lfp([...args, "--json"]))).toMatchObject({ error: { code: status } });
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
    expect(jsonOf(ran)).toStrictEqual({
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
    expect(Object.keys(Object(jsonOf(ran)))).toEqual([
      "name",
      "check",
      "device",
      "model",
      "newTokensPerSecond",
      "peakRssMB",
    ]);
    expect(jsonOf(ran)).toMatchObject({ name: "generate", check: "ok", model: "tiny-shape" });
    expect((await lfp(args)).stdout).toMatch(/^sampling {3}[\d.]+ new tokens\/s$/m);
  });

  it("features likewise, judging only the size that its budget is for", async () => {
    const args = ["bench", "features", "--features", "1000", "--repeats", "1"];
    const ms = { p50: expect.any(Number), p95: expect.any(Number) };
    const searches = [expect.anything(), expect.anything(), expect.anything(), { search: "zzz", found: 0, ms }];
    expect(jsonOf(await lfp([...args, "--json"]))).toStrictEqual({
      name: "features",
      check: "ok",
      features: 1000,
      firstPageMs: ms,
      searches,
      budget: null,
      peakRssMB: expect.any(Number),
    });
    expect((await lfp(args)).stdout).toMatch(/^search "planted7x" .+ \(5 found\)$/m);
  });
});

function textsOf(ran: Ran): string[] {
  const result = jsonOf(ran);
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
