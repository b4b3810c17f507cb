import { describe, expect, it } from "vitest";
import { realSurroundings, type Surroundings, whyNoAdapter } from "./missing-gpu.ts";

/** A Linux machine made of files; a path that ends in a slash and names are a folder. */
interface Machine {
  readonly files?: Readonly<Record<string, string>>;
  readonly folders?: Readonly<Record<string, readonly string[]>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly fails?: Readonly<Record<string, string>>;
  readonly closed?: readonly string[];
  readonly links?: Readonly<Record<string, string>>;
  readonly platform?: NodeJS.Platform;
}

function made({
  files = {},
  folders = {},
  env = {},
  fails = {},
  closed = [],
  links = {},
  platform = "linux",
}: Machine): Surroundings {
  return {
    platform,
    env,
    read: async (path) => files[path],
    list: async (folder) => folders[folder] ?? [],
    mayOpen: async (path) => !closed.includes(path),
    loadingFails: (library) => fails[library],
    target: async (path) => links[path],
  };
}

const nvidiaCard = {
  files: {
    "/proc/driver/nvidia/version":
      "NVRM version: NVIDIA UNIX x86_64 Kernel Module  565.57.01  Thu Oct 10 12:29:05 UTC 2024\nGCC version: gcc 12",
  },
  folders: { "/dev": ["null", "nvidia0", "nvidiactl"] },
};
const nvidiaDriver = {
  files: {
    ...nvidiaCard.files,
    "/usr/share/vulkan/icd.d/nvidia_icd.json": '{"ICD": {"library_path": "libGLX_nvidia.so.0"}}',
  },
  folders: { ...nvidiaCard.folders, "/usr/share/vulkan/icd.d": ["nvidia_icd.json"] },
};
const softwareOnly = {
  files: { "/usr/share/vulkan/icd.d/lvp_icd.json": '{"ICD": {"library_path": "/lib/libvulkan_lvp.so"}}' },
  folders: { "/usr/share/vulkan/icd.d": ["lvp_icd.json", "readme.txt"] },
};

describe("a missing adapter", () => {
  it.each<[cause: string, machine: Machine, what: string, remedy: string, expected: boolean]>([
    ["no GPU", {}, "no GPU that can be seen", "runs on the CPU", false],
    ["no GPU", softwareOnly, "no GPU that can be seen", "lspci", false],
    [
      "no loader",
      { ...nvidiaDriver, fails: { "libvulkan.so.1": "libvulkan.so.1: cannot open shared object file" } },
      "libvulkan.so.1: cannot open",
      "apt install libvulkan1",
      true,
    ],
    ["no loader", { fails: { "libvulkan.so.1": "not there" } }, "not there", "dnf install vulkan-loader", false],
    [
      "variable names nothing",
      { ...nvidiaDriver, env: { VK_ICD_FILENAMES: "/gone.json" } },
      "VK_ICD_FILENAMES names /gone.json",
      "unset it",
      true,
    ],
    ["no NVIDIA Vulkan driver", nvidiaCard, "an NVIDIA GPU, but no file", "libnvidia-gl-NUMBER", true],
    [
      "container without graphics",
      {
        ...nvidiaCard,
        files: { ...nvidiaCard.files, "/.dockerenv": "" },
        env: { NVIDIA_DRIVER_CAPABILITIES: "compute,utility" },
      },
      'NVIDIA_DRIVER_CAPABILITIES is "compute,utility"',
      "compute,utility,graphics",
      true,
    ],
    [
      "container without graphics",
      {
        files: { ...softwareOnly.files, "/proc/1/cgroup": "0::/kubepods/pod1" },
        folders: { ...softwareOnly.folders, ...nvidiaCard.folders },
      },
      "NVIDIA_DRIVER_CAPABILITIES is not set",
      "libEGL_nvidia.so.0",
      true,
    ],
    [
      "X11 libraries missing",
      { ...nvidiaDriver, fails: { "libGLX_nvidia.so.0": "libXext.so.6: cannot open shared object file" } },
      "nvidia_icd.json describes does not load: libXext.so.6",
      "apt install libxext6 libx11-6",
      true,
    ],
    [
      "driver does not load",
      { ...nvidiaDriver, fails: { "libGLX_nvidia.so.0": "libGLX_nvidia.so.0: cannot open shared object file" } },
      "libGLX_nvidia.so.0",
      "libEGL_nvidia.so.0 instead",
      true,
    ],
    [
      "shader compiler missing",
      { ...nvidiaDriver, fails: { "libGLX_nvidia.so.0": "libnvidia-glvkspirv.so.565.57.01: cannot open" } },
      "glvkspirv.so.565.57.01",
      "Mount or install it",
      true,
    ],
    [
      "driver versions differ",
      {
        ...nvidiaDriver,
        links: {
          "/usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.0": "/usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.550.90.07",
        },
      },
      "kernel module is 565.57.01",
      "restart the machine",
      true,
    ],
    ["no permission", { ...nvidiaDriver, closed: ["/dev/nvidia0"] }, "/dev/nvidia0", "usermod", true],
    ["unknown", nvidiaDriver, "a driver for it, but", "VK_LOADER_DEBUG=all", true],
    [
      "no Mesa driver",
      {
        files: { ...softwareOnly.files, "/sys/class/drm/card0/device/vendor": "0x1002\n" },
        folders: { ...softwareOnly.folders, "/sys/class/drm": ["card0", "version"] },
      },
      "an AMD GPU, but no file",
      "mesa-vulkan-drivers",
      true,
    ],
    [
      "no permission",
      {
        files: {
          "/sys/class/drm/card0/device/vendor": "0x8086\n",
          "/etc/vulkan/icd.d/intel_icd.json": '{"ICD":{"library_path":"../../lib/libvulkan_intel.so"}}',
        },
        folders: {
          "/sys/class/drm": ["card0"],
          "/etc/vulkan/icd.d": ["intel_icd.json"],
          "/dev/dri": ["card0", "renderD128"],
        },
        closed: ["/dev/dri/renderD128"],
      },
      "/dev/dri/renderD128",
      "render,video",
      true,
    ],
    ["no Metal", { platform: "darwin" }, "macOS", "virtual machines", false],
    ["no Direct3D", { platform: "win32" }, "Windows", "graphics driver", false],
  ])("%s: %j", async (cause, machine, what, remedy, expected) => {
    const found = await whyNoAdapter(made(machine));
    expect(found).toMatchObject({ cause, expected });
    expect(found.what).toContain(what);
    expect(found.remedy).toContain(remedy);
  });

  it("begins with the package itself", async () => {
    const said = "dawn.node: version `GLIBC_2.34' not found";
    const found = await whyNoAdapter(made(nvidiaDriver), said);
    expect(found).toMatchObject({ cause: "package does not load", what: said, expected: true });
    expect(found.remedy).toContain("glibc 2.34");
  });

  it("finds a driver where the user says that it is, and takes a relative library from there", async () => {
    const machine = {
      ...nvidiaCard,
      files: { ...nvidiaCard.files, "/opt/nv/nvidia_icd.json": '{"ICD":{"library_path":"./libnv.so"}}' },
      env: { VK_DRIVER_FILES: "/opt/nv/nvidia_icd.json" },
      fails: { "/opt/nv/libnv.so": "wrong ELF class" },
    };
    expect(await whyNoAdapter(made(machine))).toMatchObject({ cause: "driver does not load" });
  });
});

describe("this machine's own surroundings", () => {
  const own = realSurroundings({});

  it("tell what is there from what is not", async () => {
    expect(await own.read(import.meta.filename)).toContain("this machine's own surroundings");
    expect(await own.read("/no/such/file")).toBeUndefined();
    expect(await own.list(import.meta.dirname)).toContain("missing-gpu.test.ts");
    expect(await own.list("/no/such/folder")).toEqual([]);
    expect(await own.mayOpen(import.meta.filename)).toBe(true);
    expect(await own.mayOpen("/no/such/file")).toBeUndefined();
    expect(await own.target(import.meta.filename)).toBe(import.meta.filename);
    expect(await own.target("/no/such/file")).toBeUndefined();
    expect(own.loadingFails("libnosuchlibrary.so.9")).toContain("libnosuchlibrary.so.9");
  });

  it.runIf(process.platform === "linux")("load a library that every Linux has", () => {
    expect(own.loadingFails("libc.so.6")).toBeUndefined();
  });
});
