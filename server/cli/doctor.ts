import { readdir, statfs } from "node:fs/promises";
import { findPackageJSON } from "node:module";
import { availableParallelism, cpus, freemem, release } from "node:os";
import { messageOf } from "../common/errors.ts";
import { GpuMemoryVariableError, gpuMemory, realMemorySources } from "../common/gpu-memory.ts";
import { machineMemory } from "../common/machine-memory.ts";
import { packageVersion, starterFolder } from "../common/package-root.ts";
import { stateFolder } from "../common/state-folder.ts";
import { readTextFile } from "../common/text-file.ts";
import { readTuning } from "../common/tuning-file.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import { type RuntimeChoice, RuntimeVariableError, wishedRuntime } from "../engine/cpu/runtime.ts";
import type { Device } from "../engine/device.ts";
import { DeviceError } from "../engine/errors.ts";
import * as ops from "../engine/ops.ts";
import { NoAdapterError, openAdapter } from "../engine/webgpu/adapter.ts";
import { createGpuDevice } from "../engine/webgpu/device.ts";
import { readConfig } from "../models/config.ts";
import { hubSettings } from "../models/hub/settings.ts";
import { type PlaceKind, placeKinds } from "../runs/executor-settings.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { gpuNeeds, needProblems, needsText, readModelSize } from "./doctor-model.ts";
import { doctorRay } from "./doctor-ray.ts";
import { doctorSlurm } from "./doctor-slurm.ts";
import { UsageError } from "./errors.ts";
import { realSurroundings, whyNoAdapter } from "./missing-gpu.ts";
import { oldestNode } from "./node-version.ts";
import { option } from "./options.ts";

export const doctor = defineCommand({
  usage: "[options]",
  about:
    "Looks at versions, processor, memory, disk, compute devices, the Hugging Face cache and the starter model, computes something " +
    "small with a known answer on the CPU and, where there is one, on the GPU, and says what is missing and how to get it. Changes nothing and asks no " +
    "network. Fails only when the CPU device does not work. With --model it says what a GPU needs for that model, and whether the one here has it. With --on it looks at a cluster instead: its commands, your settings, and whether it would accept a job.",
  options: {
    on: option.choice("WHERE", "what to look at: this machine, or where `lfp run --on` runs", placeKinds, "local"),
    model: option.text("MODEL", "a model as for `lfp generate`: say what a GPU needs for it"),
  },
  run: (given): Promise<CommandResult> => {
    const { on, model } = given.options;
    if (on !== "local" && model !== undefined) throw new UsageError("--model is for this machine: leave out --on");
    return doctors[on](given, model);
  },
});

/** What is looked at for each kind of place where runs are executed. */
const doctors: { readonly [K in PlaceKind]: (given: Surrounding, model?: string) => Promise<CommandResult> } = {
  local: async (given, model) => {
    const report = await examine(given, model);
    return { json: report, text: asText(report), status: report.devices.cpu.ok ? "ok" : "resource" };
  },
  slurm: ({ env }) => doctorSlurm(env),
  ray: ({ env }) => doctorRay(env),
};

/** A problem and its remedy. */
interface Problem {
  readonly what: string;
  readonly remedy: string;
}

type Report = Awaited<ReturnType<typeof examine>>;

type Surrounding = Pick<Given<Record<never, never>>, "env" | "signal">;

async function examine({ env, signal }: Surrounding, model: string | undefined) {
  // First: a name that is wrong is told before anybody waits for devices.
  const needs = model === undefined ? undefined : gpuNeeds(model, await readModelSize(model, { env, signal }));
  const cpu = await checkCpuDevice(env, signal);
  const starter = await checkStarter();
  const gpu = await checkGpuDevice(env, signal);
  const huggingFace = await checkCache(env);
  const limits = gpu.result.ok ? gpu.result : undefined;
  const problems: Problem[] = [
    ...[cpu, gpu, starter, huggingFace].flatMap((checked) => checked.problems),
    ...(needs === undefined || limits === undefined ? [] : needProblems(needs, limits)),
  ];
  return {
    name: "doctor",
    ok: cpu.result.ok,
    versions: {
      lfp: packageVersion(),
      node: process.versions.node,
      nodeNeeded: oldestNode,
      onnxruntime: await onnxRuntimeVersion(),
      platform: `${process.platform} ${process.arch} ${release()}`,
      glibc: glibcVersion(),
    },
    processor: {
      model: cpus()[0]?.model.trim() ?? "unknown",
      cores: await physicalCores(),
      threads: availableParallelism(),
    },
    memory: { totalMB: megabytes(machineMemory()), freeMB: megabytes(Math.min(freemem(), process.availableMemory())) },
    disk: { folder: process.cwd(), freeMB: await freeDisk(process.cwd()) },
    devices: { cpu: cpu.result, gpu: gpu.result },
    huggingFace: huggingFace.result,
    starter: starter.result,
    ...(needs === undefined ? {} : { model: needs }),
    problems,
  };
}

interface Checked<T> {
  readonly result: T;
  readonly problems: readonly Problem[];
}

interface CpuResult {
  readonly ok: boolean;
  readonly description: string;
  /** How it reaches ONNX Runtime. */
  readonly runtime?: RuntimeChoice;
  readonly selfCheckMs?: number;
  readonly error?: string;
}

async function checkCpuDevice(
  env: Given<Record<never, never>>["env"],
  signal: AbortSignal,
): Promise<Checked<CpuResult>> {
  signal.throwIfAborted();
  const start = performance.now();
  try {
    const device = await createCpuDevice({ runtime: wishedRuntime(env) });
    try {
      await selfCheck(device);
      const selfCheckMs = Math.round(performance.now() - start);
      const runtime = await device.runtimeChoice();
      return { result: { ok: true, description: device.description, runtime, selfCheckMs }, problems: [] };
    } finally {
      await device.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    const problem = {
      what: `the CPU device does not work: ${messageOf(error)}`,
      remedy:
        error instanceof RuntimeVariableError
          ? "Correct the environment variable, or unset it"
          : "Run `npm ci` again in the project's folder. ONNX Runtime, which computes, has binaries for Linux (glibc) and Windows on " +
            "x64 and arm64, and for macOS on arm64; other systems (Alpine, Intel Macs) are not supported",
    };
    return { result: { ok: false, description: "CPU", error: messageOf(error) }, problems: [problem] };
  }
}

interface GpuResult {
  readonly ok: boolean;
  readonly description?: string;
  /** Whether it is a software renderer on the processor. */
  readonly software?: boolean;
  readonly driver?: string;
  /** Its memory, and the source of that number; absent if no source reports it. */
  readonly memoryMB?: number;
  readonly memorySource?: string;
  /** Largest buffer, which holds one tensor, and largest part of it that a kernel reads at once. */
  readonly bufferMB?: number;
  readonly bindingMB?: number;
  readonly f16?: boolean;
  readonly subgroupMatrices?: readonly string[];
  readonly selfCheckMs?: number;
  readonly reason?: string;
  readonly cause?: string;
  readonly remedy?: string;
}

/**
 * Checks a product, and an addition into state, with known answers: on the CPU this needs both ONNX Runtime and our own
 * kernels.
 */
async function selfCheck(device: Device): Promise<void> {
  const store = await device.createState([{ name: "sum", shape: [2, 2], values: Float32Array.of(1, 1, 1, 1) }]);
  const product = ops.matmul(ops.input("a", [2, 2]), ops.input("b", [2, 2]));
  const program = await device.compile({
    stores: [store],
    outputs: { product },
    updates: [{ kind: "accumulate", target: ops.state("sum", [2, 2]), value: product }],
  });
  const { product: got = [] } = await program.run({ a: Float32Array.of(1, 2, 3, 4), b: Float32Array.of(5, 6, 7, 8) });
  const numbers = [...got, ...(await store.read("sum"))].join(", ");
  const expected = "19, 22, 43, 50, 20, 23, 44, 51";
  if (numbers !== expected)
    throw new DeviceError(`the ${device.kind.toUpperCase()} device computed ${numbers}; the answers are ${expected}`);
}

/**
 * Computes on the adapter, or finds out why there is none. That is a problem only if the machine has a GPU or is set up
 * for one.
 */
async function checkGpuDevice(
  env: Given<Record<never, never>>["env"],
  signal: AbortSignal,
): Promise<Checked<GpuResult>> {
  signal.throwIfAborted();
  const start = performance.now();
  try {
    const traits = await gpuTraits(env);
    const missing = traits.software ? await whyNoAdapter(realSurroundings(env)) : undefined;
    const device = await createGpuDevice({ tuned: (adapter) => readTuning(stateFolder(env), adapter) });
    try {
      await selfCheck(device);
    } finally {
      await device.close();
    }
    const result = { ok: true, ...traits, selfCheckMs: Math.round(performance.now() - start) };
    return missing?.expected === true ? { result, problems: [missing] } : { result, problems: [] };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NoAdapterError) {
      const missing = await whyNoAdapter(realSurroundings(env), error.cause === undefined ? undefined : error.message);
      const result = { ok: false, reason: missing.what, cause: missing.cause, remedy: missing.remedy };
      return { result, problems: missing.expected ? [missing] : [] };
    }
    const problem = {
      what: `the GPU device does not work: ${messageOf(error)}`,
      remedy:
        error instanceof GpuMemoryVariableError
          ? "Correct the environment variable, or unset it"
          : "Update the graphics driver; until then everything runs on the CPU. Please report it",
    };
    return { result: { ok: false, reason: messageOf(error) }, problems: [problem] };
  }
}

async function gpuTraits(env: Given<Record<never, never>>["env"]) {
  const { device, traits } = await openAdapter();
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const sizes = { bufferMB: megabytes(maxBufferSize), bindingMB: megabytes(maxStorageBufferBindingSize) };
  device.destroy();
  const { description, driver, software, f16, matrices } = traits;
  const found = await gpuMemory(traits, realMemorySources(env));
  const memory = found === undefined ? {} : { memoryMB: megabytes(found.bytes), memorySource: found.source };
  const shapes = matrices.map(
    ({ componentType, resultComponentType, M, N, K }) => `${componentType} to ${resultComponentType} ${M}x${N}x${K}`,
  );
  return { description, driver, ...memory, ...sizes, software, f16, subgroupMatrices: shapes };
}

function cpuText({ ok, description, runtime, selfCheckMs }: CpuResult): string {
  if (!ok || runtime === undefined) return "does not work";
  return `works: ${description} ${runtimeText(runtime)} (self-check ${selfCheckMs} ms)`;
}

function runtimeText({ kind, reason }: RuntimeChoice): string {
  if (kind === "c-api") return "by its C API";
  return `by onnxruntime-node, which copies results once more (why not by its C API: ${reason ?? "unknown"})`;
}

function gpuText(gpu: GpuResult): string {
  if (!gpu.ok) return `none: ${gpu.reason}`;
  const { description, driver, software, f16, subgroupMatrices = [], selfCheckMs } = gpu;
  const kinds = [f16 ? "f16" : "no f16", subgroupMatrices.length > 0 ? "subgroup matrices" : "no subgroup matrices"];
  const what = software ? "computes on the processor, slower than the CPU device" : kinds.join(", ");
  const named = driver === undefined || driver === "" ? description : `${description} (${driver})`;
  return `works: ${named}; ${what}; ${memoryText(gpu)}; one tensor of ${gigabytes(gpu.bufferMB)} at most (self-check ${selfCheckMs} ms)`;
}

function memoryText({ memoryMB, memorySource }: GpuResult): string {
  if (memoryMB === undefined) return "memory not known, so that the driver refuses what does not fit";
  return `memory ${gigabytes(memoryMB)} (${memorySource})`;
}

function gigabytes(mb: number | undefined): string {
  return mb === undefined ? "unknown" : `${(mb / 1024).toFixed(1)} GB`;
}

async function checkStarter(): Promise<Checked<{ readonly ok: boolean; readonly folder: string }>> {
  const folder = starterFolder();
  try {
    await readConfig(folder);
    const files = await readdir(folder);
    const missing = ["model.safetensors", "tokenizer.json"].filter((name) => !files.includes(name));
    if (missing.length > 0) throw new Error(`${missing.join(" and ")} is missing`);
    return { result: { ok: true, folder }, problems: [] };
  } catch (error) {
    const problem = {
      what: `the starter model is not whole: ${messageOf(error)}`,
      remedy:
        "It is part of the project: restore the folder (`git checkout -- assets/starter`) or clone the project again",
    };
    return { result: { ok: false, folder }, problems: [problem] };
  }
}

interface CacheResult {
  readonly cacheFolder: string | undefined;
  readonly models: readonly string[];
  readonly offline: boolean;
}

async function checkCache(env: Given<Record<never, never>>["env"]): Promise<Checked<CacheResult>> {
  try {
    const { cacheFolder, offline } = await hubSettings(env);
    const names = await readdir(cacheFolder).catch(() => []);
    const models = names.filter((name) => name.startsWith("models--")).map((name) => name.slice(8).replace("--", "/"));
    return { result: { cacheFolder, models, offline }, problems: [] };
  } catch (error) {
    const problem = {
      what: messageOf(error),
      remedy: "Correct the environment variable; hub models cannot be found until then",
    };
    return { result: { cacheFolder: undefined, models: [], offline: false }, problems: [problem] };
  }
}

function asText({ versions, processor, memory, disk, devices, huggingFace, starter, model, problems }: Report): string {
  const { cpu, gpu } = devices;
  const cache = huggingFace.cacheFolder ?? "unknown";
  const rows: readonly (readonly [string, string])[] = [
    ["lfp", versions.lfp],
    ["node", `${versions.node} (needs ${versions.nodeNeeded} or newer)`],
    ["onnxruntime", versions.onnxruntime ?? "not found"],
    ["platform", versions.glibc === undefined ? versions.platform : `${versions.platform}, glibc ${versions.glibc}`],
    ["processor", `${processor.model}, ${processor.cores ?? "unknown"} cores, ${processor.threads} threads`],
    ["memory", `${gigabytes(memory.freeMB)} free of ${gigabytes(memory.totalMB)}`],
    ["disk", `${gigabytes(disk.freeMB)} free in ${disk.folder}`],
    ["CPU device", cpuText(cpu)],
    ["GPU device", gpuText(gpu)],
    ["hub cache", `${cache} (${huggingFace.models.length} models${huggingFace.offline ? "; offline by setting" : ""})`],
    ["starter", starter.ok ? starter.folder : "not whole"],
    ...(model === undefined ? [] : [["model", needsText(model)] as const]),
  ];
  const lines = rows.map(([what, said]) => `${what.padEnd(13)}${said}`);
  const advice = problems.flatMap(({ what, remedy }) => ["", `Problem: ${what}.`, `${remedy}.`]);
  return [...lines, ...(problems.length === 0 ? ["", "Nothing is missing."] : advice)].join("\n");
}

async function onnxRuntimeVersion(): Promise<string | undefined> {
  const path = findPackageJSON("onnxruntime-node", import.meta.url);
  if (path === undefined) return undefined;
  const manifest: unknown = JSON.parse(await readTextFile(path, "record"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest
    ? String(manifest.version)
    : undefined;
}

/** The glibc version on Linux; undefined elsewhere and with musl. */
function glibcVersion(): string | undefined {
  if (process.platform !== "linux") return undefined;
  // Otherwise the report looks up host names of open connections; the typings lack this property so far.
  Object.assign(process.report, { excludeNetwork: true });
  const report: { header?: { glibcVersionRuntime?: string } } = process.report.getReport();
  return report.header?.glibcVersionRuntime;
}

/** Number of physical cores; known on Linux only. */
async function physicalCores(): Promise<number | undefined> {
  const text = await readTextFile("/proc/cpuinfo", "record").catch(() => "");
  const cores = text.split("\n\n").flatMap((block) => {
    const field = (name: string): string | undefined => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(block)?.[1];
    const core = field("core id");
    return core === undefined ? [] : [`${field("physical id")}/${core}`];
  });
  return cores.length === 0 ? undefined : new Set(cores).size;
}

/** Free space on the disk of a folder, in MB; undefined if the system does not tell. */
async function freeDisk(folder: string): Promise<number | undefined> {
  const found = await statfs(folder).catch(() => undefined);
  return found === undefined ? undefined : megabytes(found.bavail * found.bsize);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
