/**
 * Determines a GPU's memory. Dawn does not report it, so other sources of the system are queried; each answer names its
 * source.
 */

import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import { slug } from "../protocol/slug.ts";
import { LfpError } from "./errors.ts";
import { machineMemory } from "./machine-memory.ts";
import { readTextFile } from "./text-file.ts";

export interface GpuMemory {
  readonly bytes: number;
  /** The source of the number, for people. */
  readonly source: string;
}

/** Identifies a GPU. */
export interface GpuName {
  /** One word, as in Dawn: `nvidia`, `amd`, `intel`, `apple`, ... */
  readonly vendor: string;
  readonly architecture: string;
  /** Lower case, words joined by hyphens: `nvidia-h200`. */
  readonly description: string;
  /** Whether it is a software renderer on the processor. */
  readonly software: boolean;
}

/** The machine's sources of information. Tests supply fakes. */
export interface MemorySources {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Memory of the machine, or of the container if that is less. */
  readonly machineBytes: number;
  /** Names in a folder; empty if it does not exist. */
  list(folder: string): Promise<readonly string[]>;
  /** A file's text; undefined if it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** A program's standard output; undefined if it is missing, fails or takes too long. */
  run(program: string, args: readonly string[]): Promise<string | undefined>;
}

export class GpuMemoryVariableError extends LfpError {
  readonly code = "usage";

  constructor(value: string) {
    super(
      `${variable} is ${JSON.stringify(value)}; expected the megabytes (of 2^20) that may be used, a whole number above 0`,
    );
  }
}

const variable = "LFP_GPU_MEMORY_MB";
const mebibyte = 2 ** 20;

/** A GPU's memory, or undefined if no source reports it. Throws `GpuMemoryVariableError`. */
export async function gpuMemory(gpu: GpuName, from: MemorySources): Promise<GpuMemory | undefined> {
  const set = from.env[variable];
  if (set !== undefined && set !== "") {
    if (!/^[1-9]\d{0,8}$/.test(set)) throw new GpuMemoryVariableError(set);
    return { bytes: Number(set) * mebibyte, source: variable };
  }
  const shared: GpuMemory = { bytes: from.machineBytes, source: "the machine's memory, which it shares" };
  if (gpu.software) return shared;
  if (gpu.vendor === "nvidia") return await ofNvidia(gpu, from, shared);
  if (from.platform === "darwin")
    return gpu.vendor === "apple"
      ? { bytes: from.machineBytes * macShare, source: "three quarters of the machine's memory, as macOS gives a GPU" }
      : undefined;
  if (from.platform !== "linux") return undefined;
  if (gpu.vendor === "amd") return await ofAmd(from);
  if (gpu.vendor === "intel") return await ofIntel(gpu, from, shared);
  return onChip.has(gpu.vendor) ? shared : undefined;
}

/** Usable share on a Mac. Apple's drivers recommend two thirds to three quarters; more is slow or fails. */
const macShare = 0.75;
/** Vendors whose GPUs are integrated into processors. */
const onChip: ReadonlySet<string> = new Set(["arm", "broadcom", "qualcomm", "img-tec", "samsung"]);

const query = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"];

async function ofNvidia(gpu: GpuName, from: MemorySources, shared: GpuMemory): Promise<GpuMemory | undefined> {
  const cards = nvidiaCards((await from.run("nvidia-smi", query)) ?? "");
  const named = cards.filter(({ name }) => slug(name) === slug(gpu.description));
  // If names do not identify the card, take the largest, so that only what no card can hold is rejected.
  const largest = (named.length > 0 ? named : cards).toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0))[0];
  if (largest === undefined) return undefined;
  return largest.bytes === undefined ? shared : { bytes: largest.bytes, source: "nvidia-smi" };
}

/** Lines such as `NVIDIA H200, 143771`; a GPU that shares the machine's memory has no number of its own. */
export function nvidiaCards(text: string): { readonly name: string; readonly bytes: number | undefined }[] {
  return text.split("\n").flatMap((line) => {
    const [, name, size = ""] = /^\s*(.+?)\s*,\s*(\d+|\[?(?:N\/A|Not Supported)\]?)\s*$/i.exec(line) ?? [];
    if (name === undefined) return [];
    const bytes = Number(size) * mebibyte;
    return [{ name, bytes: bytes > 0 ? bytes : undefined }];
  });
}

const cards = "/sys/class/drm";

/** Memory of an AMD GPU. An integrated one has little memory of its own and uses what the system lets it map. */
async function ofAmd(from: MemorySources): Promise<GpuMemory | undefined> {
  const found: GpuMemory[] = [];
  for (const name of await from.list(cards)) {
    const folder = `${cards}/${name}/device`;
    const own = numberOf(await from.read(`${folder}/mem_info_vram_total`));
    if (!/^card\d+$/.test(name) || own === undefined) continue;
    const mapped = numberOf(await from.read(`${folder}/mem_info_gtt_total`)) ?? 0;
    const onChipToo = own < leastCard;
    const files = onChipToo ? "mem_info_vram_total and mem_info_gtt_total" : "mem_info_vram_total";
    found.push({ bytes: onChipToo ? own + mapped : own, source: `${files} in ${folder}` });
  }
  return found.toSorted((a, b) => b.bytes - a.bytes)[0];
}

/** Minimum memory of a discrete card; integrated GPUs mostly have less of their own. */
const leastCard = 4 * 2 ** 30;

async function ofIntel(
  { architecture, description }: GpuName,
  from: MemorySources,
  shared: GpuMemory,
): Promise<GpuMemory | undefined> {
  for (const name of await from.list(cards)) {
    const path = `${cards}/${name}/lmem_total_bytes`;
    const own = numberOf(await from.read(path));
    if (own !== undefined) return { bytes: own, source: path };
  }
  const isCard = /hp/.test(architecture) || /arc-(pro-)?[ab]\d/.test(description);
  return isCard ? undefined : shared;
}

function numberOf(text: string | undefined): number | undefined {
  const value = Number(text?.trim() || Number.NaN);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

/** The real machine's sources. Each program runs once per process: cards do not change during its life. */
export function realMemorySources(env: MemorySources["env"]): MemorySources {
  return {
    platform: process.platform,
    env,
    machineBytes: machineMemory(),
    list: (folder) => readdir(folder).catch(() => []),
    read: (path) => readTextFile(path, "record").catch(() => undefined),
    run: (program, args) => {
      const key = [program, ...args].join(" ");
      const known = ran.get(key) ?? outputOf(program, args);
      ran.set(key, known);
      return known;
    },
  };
}

const ran = new Map<string, Promise<string | undefined>>();
/** Timeout of a program: without a daemon that keeps drivers loaded, querying eight cards takes seconds. */
const patienceMs = 10_000;

async function outputOf(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: patienceMs, windowsHide: true });
    return stdout;
  } catch {
    return undefined;
  }
}
