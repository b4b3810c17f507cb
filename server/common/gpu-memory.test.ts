import { describe, expect, it } from "vitest";
import { type GpuName, gpuMemory, type MemorySources, nvidiaCards, realMemorySources } from "./gpu-memory.ts";

const gibibyte = 2 ** 30;
const h200: GpuName = { vendor: "nvidia", architecture: "hopper", description: "nvidia-h200", software: false };
const amd: GpuName = { vendor: "amd", architecture: "rdna-3", description: "amd-radeon-graphics", software: false };
const intel: GpuName = { vendor: "intel", architecture: "gen-12lp", description: "intel-iris-xe", software: false };
const apple: GpuName = { vendor: "apple", architecture: "metal-3", description: "apple-m2-pro", software: false };

interface Machine {
  readonly platform?: NodeJS.Platform;
  readonly env?: Record<string, string>;
  readonly files?: Readonly<Record<string, string>>;
  /** What nvidia-smi says. */
  readonly smi?: string;
}

function machine({ platform = "linux", env = {}, files = {}, smi }: Machine = {}): MemorySources {
  const paths = Object.keys(files);
  const below = (folder: string): string[] =>
    paths.flatMap((path) => (path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1).split("/")[0] ?? ""] : []));
  return {
    platform,
    env,
    machineBytes: 64 * gibibyte,
    list: async (folder) => [...new Set(below(folder))],
    read: async (path) => files[path],
    run: async (program) => (program === "nvidia-smi" ? smi : undefined),
  };
}

describe("the memory of", () => {
  it("an NVIDIA card is what nvidia-smi says of the card of that name, else of the largest", async () => {
    const two = "NVIDIA GeForce RTX 4060, 8188\nNVIDIA H200, 143771\nNVIDIA H200, 143771\n";
    const of = (smi: string, gpu = h200) => gpuMemory(gpu, machine({ smi }));
    expect(await of(two)).toEqual({ bytes: 143_771 * 2 ** 20, source: "nvidia-smi" });
    expect(await of(two, { ...h200, description: "nvidia-geforce-rtx-4060" })).toMatchObject({ bytes: 8188 * 2 ** 20 });
    expect(await of(two, { ...h200, description: "another name" })).toMatchObject({ bytes: 143_771 * 2 ** 20 });
    expect(await gpuMemory(h200, machine({ smi: two, platform: "win32" }))).toMatchObject({ source: "nvidia-smi" });
  });

  it("an NVIDIA chip that shares the machine's memory is the machine's", async () => {
    const gb10 = { ...h200, description: "nvidia-gb10" };
    expect(await gpuMemory(gb10, machine({ smi: "NVIDIA GB10, [N/A]\n" }))).toEqual({
      bytes: 64 * gibibyte,
      source: "the machine's memory, which it shares",
    });
  });

  it("an NVIDIA card is not known without nvidia-smi, or when that only complains", async () => {
    expect(await gpuMemory(h200, machine())).toBeUndefined();
    const complaint = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 570.1\n";
    expect(await gpuMemory(h200, machine({ smi: complaint }))).toBeUndefined();
  });

  it("an AMD card is its own, of a processor's GPU also what it may map", async () => {
    const card = {
      "/sys/class/drm/card0/device/mem_info_vram_total": "536870912\n",
      "/sys/class/drm/card0/device/mem_info_gtt_total": "33285996544\n",
      "/sys/class/drm/card0-DP-1/device/mem_info_vram_total": "1\n",
    };
    expect(await gpuMemory(amd, machine({ files: card }))).toEqual({
      bytes: 536_870_912 + 33_285_996_544,
      source: "mem_info_vram_total and mem_info_gtt_total in /sys/class/drm/card0/device",
    });
    const both = { "/sys/class/drm/card1/device/mem_info_vram_total": `${48 * gibibyte}\n`, ...card };
    expect(await gpuMemory(amd, machine({ files: both }))).toEqual({
      bytes: 48 * gibibyte,
      source: "mem_info_vram_total in /sys/class/drm/card1/device",
    });
    expect(await gpuMemory(amd, machine())).toBeUndefined();
    expect(await gpuMemory(amd, machine({ platform: "win32" }))).toBeUndefined();
  });

  it("an Intel processor's GPU is the machine's, an Intel card's is its own where it is told", async () => {
    expect(await gpuMemory(intel, machine())).toMatchObject({ bytes: 64 * gibibyte });
    const arc = { ...intel, architecture: "xe-2-hpg", description: "intel-arc-b580-graphics" };
    expect(await gpuMemory(arc, machine())).toBeUndefined();
    const path = "/sys/class/drm/card0/lmem_total_bytes";
    expect(await gpuMemory(arc, machine({ files: { [path]: "0x2f0000000\n" } }))).toEqual({
      bytes: 0x2f0000000,
      source: path,
    });
  });

  it("an Apple chip is three quarters of the machine's", async () => {
    expect(await gpuMemory(apple, machine({ platform: "darwin" }))).toMatchObject({ bytes: 48 * gibibyte });
    expect(await gpuMemory(amd, machine({ platform: "darwin" }))).toBeUndefined();
  });

  it("a software adapter is the machine's", async () => {
    const software = { vendor: "google", architecture: "swiftshader", description: "swiftshader", software: true };
    expect(await gpuMemory(software, machine({ platform: "win32" }))).toMatchObject({ bytes: 64 * gibibyte });
  });

  it("any of them is what LFP_GPU_MEMORY_MB says", async () => {
    const of = (value: string) =>
      gpuMemory(h200, machine({ env: { LFP_GPU_MEMORY_MB: value }, smi: "NVIDIA H200, 5" }));
    expect(await of("6000")).toEqual({ bytes: 6000 * 2 ** 20, source: "LFP_GPU_MEMORY_MB" });
    expect(await of("")).toMatchObject({ source: "nvidia-smi" });
    for (const wrong of ["0", "-1", "8 GB", "1e3"])
      await expect(of(wrong)).rejects.toThrow(`LFP_GPU_MEMORY_MB is ${JSON.stringify(wrong)}; expected the megabytes`);
  });
});

it("reads nvidia-smi's lines and nothing else", () => {
  expect(nvidiaCards("name, memory.total [MiB]\nTesla T4, 15360\n\n[Not Supported], [Not Supported]\n")).toEqual([
    { name: "Tesla T4", bytes: 15_360 * 2 ** 20 },
    { name: "[Not Supported]", bytes: undefined },
  ]);
});

it("asks this machine without failing", async () => {
  const own = realMemorySources({});
  expect(own.machineBytes).toBeGreaterThan(2 ** 28);
  expect(await own.run("a-program-that-is-not-there", [])).toBeUndefined();
  expect(await own.run(process.execPath, ["-p", "6 * 7"])).toBe("42\n");
  expect(await own.list("/nowhere/at/all")).toEqual([]);
  expect(await own.read("/nowhere/at/all")).toBeUndefined();
});
