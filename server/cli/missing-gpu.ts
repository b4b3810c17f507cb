/**
 * Finds out why this machine has no GPU adapter, and the remedy. Looks at files and libraries only; queries no driver.
 */

import { access, constants, readdir, realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { messageOf } from "../common/errors.ts";
import { exists } from "../common/exists.ts";
import { readTextFile } from "../common/text-file.ts";

/** The machine's files and libraries. Tests supply fakes. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A file's text; undefined if it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** Names in a folder; empty if it does not exist. */
  list(folder: string): Promise<readonly string[]>;
  /** Whether this user may open a device file for reading and writing; undefined if it does not exist. */
  mayOpen(path: string): Promise<boolean | undefined>;
  /** Why the system's loader cannot load a shared library; undefined if it can. */
  loadingFails(library: string): string | undefined;
  /** The target of a path, following links; undefined if it does not exist. */
  target(path: string): Promise<string | undefined>;
}

export interface MissingGpu {
  readonly cause: keyof typeof remedies;
  readonly what: string;
  readonly remedy: string;
  /** Whether the machine has a GPU or is set up for one: then a missing adapter is a problem. */
  readonly expected: boolean;
}

/** The remedy of each cause. */
const remedies = {
  "package does not load":
    "Dawn, which reaches the GPU, has binaries for Linux (glibc 2.34 or newer) and Windows on x64 and arm64, and for macOS. Run `npm ci` again; " +
    "on an older Linux use a newer one, for example in a container",
  "no loader":
    "Install the Vulkan loader: `apt install libvulkan1` (Debian, Ubuntu), `dnf install vulkan-loader` (Fedora, RHEL)",
  "variable names nothing":
    "Correct the environment variable, or unset it so that the drivers installed here are found",
  "container without graphics":
    "Start the container with `NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics` (or `all`) and NVIDIA's runtime or CDI devices: the usual " +
    "setting brings CUDA only. Where that cannot be changed and libEGL_nvidia.so.0 is there, write a file " +
    '{"file_format_version":"1.0.0","ICD":{"library_path":"libEGL_nvidia.so.0","api_version":"1.3.0"}} and name it in VK_DRIVER_FILES',
  "no NVIDIA Vulkan driver":
    "Install the part of NVIDIA's driver that has Vulkan (libnvidia-gl-NUMBER on Ubuntu, nvidia-vulkan-icd on Debian), of the version that the kernel has",
  "no Mesa driver": "Install Mesa's Vulkan drivers: `apt install mesa-vulkan-drivers`",
  "X11 libraries missing":
    "Install them: `apt install libxext6 libx11-6`. No display is needed, but NVIDIA's library asks for them",
  "driver does not load":
    "Where the driver is NVIDIA's and the machine has no display, let the driver's JSON file name libEGL_nvidia.so.0 instead of libGLX_nvidia.so.0 and " +
    "`apt install libegl1`. In a container the host's library may not be mounted: see NVIDIA_DRIVER_CAPABILITIES",
  "shader compiler missing":
    "Mount or install it: it belongs to NVIDIA's driver, of the same version (libnvidia-glvkspirv comes with the graphics capability of containers)",
  "driver versions differ":
    "Install the user-space driver of the kernel module's version, or restart the machine after an update of the driver. In a container, let NVIDIA's " +
    "runtime mount the host's libraries instead of installing some in the image",
  "no permission": "Add yourself to the groups that own it (`sudo usermod -aG render,video $USER`), then log in again",
  "no GPU":
    "Nothing to mend: everything runs on the CPU. Where a card is built in, see whether the system lists it (`lspci`)",
  "no Metal": "macOS gives programs in most virtual machines no GPU: run on the machine itself",
  "no Direct3D":
    "Update the graphics driver. In a virtual machine or over Remote Desktop give it a GPU; Direct3D 12 or Vulkan is needed",
  unknown:
    "Run `vulkaninfo --summary` (package vulkan-tools), and `VK_LOADER_DEBUG=all npx lfp doctor`, which says what the Vulkan loader tries",
} as const;

/**
 * The first cause that explains the missing adapter, from the bottom up: package, loader, driver's description, driver,
 * permission. `packageError` is the message if the package did not load.
 */
export async function whyNoAdapter(around: Surroundings, packageError?: string): Promise<MissingGpu> {
  if (packageError !== undefined) return missing("package does not load", packageError, true);
  if (around.platform === "darwin") return missing("no Metal", "macOS offers no GPU", false);
  if (around.platform === "win32") return missing("no Direct3D", "Windows offers no GPU", false);
  const card = await cardOf(around);
  const hasCard = card !== undefined;
  const loader = around.loadingFails("libvulkan.so.1");
  if (loader !== undefined) return missing("no loader", `the Vulkan loader does not load: ${loader}`, hasCard);
  return (
    (await wrongVariable(around)) ??
    (card === undefined ? undefined : await wrongDriver(around, card)) ??
    (hasCard
      ? missing("unknown", `there is ${card.name} and a driver for it, but Vulkan offers no adapter`, true)
      : missing("no GPU", "this machine has no GPU that can be seen", false))
  );
}

interface Card {
  readonly name: string;
  readonly vendor: "nvidia" | "mesa";
}

const vendors: Readonly<Record<string, Card>> = {
  "0x10de": { name: "an NVIDIA GPU", vendor: "nvidia" },
  "0x1002": { name: "an AMD GPU", vendor: "mesa" },
  "0x8086": { name: "an Intel GPU", vendor: "mesa" },
};

async function cardOf(around: Surroundings): Promise<Card | undefined> {
  const devices = await around.list("/dev");
  const driver = await around.read("/proc/driver/nvidia/version");
  if (driver !== undefined || devices.some((name) => /^nvidia\d+$/.test(name))) return vendors["0x10de"];
  for (const name of await around.list("/sys/class/drm")) {
    const vendor = await around.read(`/sys/class/drm/${name}/device/vendor`);
    const card = vendors[vendor?.trim() ?? ""];
    if (card !== undefined) return card;
  }
  return undefined;
}

const driverVariables = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] as const;

async function wrongVariable(around: Surroundings): Promise<MissingGpu | undefined> {
  for (const variable of driverVariables) {
    const value = around.env[variable];
    for (const path of value?.split(":").filter((each) => each !== "") ?? [])
      if ((await around.read(path)) === undefined && (await around.list(path)).length === 0)
        return missing("variable names nothing", `${variable} names ${path}, which cannot be read`, true);
    if (value) break;
  }
  return undefined;
}

async function wrongDriver(around: Surroundings, card: Card): Promise<MissingGpu | undefined> {
  const descriptions = await driverDescriptions(around);
  const isOf = (path: string): boolean => /nvidia/i.test(basename(path)) === (card.vendor === "nvidia");
  const own = descriptions.filter(
    ({ path, library }) => isOf(path) || /nvidia/i.test(library) === (card.vendor === "nvidia"),
  );
  const real = own.filter(({ path }) => !/lvp|swiftshader/i.test(path));
  if (real.length === 0) return await noDescription(around, card);
  for (const { path, library } of real) {
    const place = library.includes("/") && !isAbsolute(library) ? resolve(dirname(path), library) : library;
    const failure = around.loadingFails(place);
    if (failure !== undefined) return doesNotLoad(path, failure);
  }
  return (await versionsDiffer(around)) ?? (await notPermitted(around, card));
}

async function noDescription(around: Surroundings, card: Card): Promise<MissingGpu> {
  const what = `there is ${card.name}, but no file that describes its Vulkan driver (in ${descriptionFolders(around).join(", ")})`;
  if (card.vendor === "mesa") return missing("no Mesa driver", what, true);
  if (!(await inContainer(around))) return missing("no NVIDIA Vulkan driver", what, true);
  const capabilities = around.env["NVIDIA_DRIVER_CAPABILITIES"];
  const setting = capabilities === undefined ? "is not set" : `is ${JSON.stringify(capabilities)}`;
  const inside = `this is a container, and NVIDIA_DRIVER_CAPABILITIES ${setting}`;
  return missing("container without graphics", `${what}; ${inside}`, true);
}

function doesNotLoad(path: string, failure: string): MissingGpu {
  const what = `the driver that ${path} describes does not load: ${failure}`;
  if (/libX(ext|11)[\w.-]*\.so/.test(failure)) return missing("X11 libraries missing", what, true);
  if (failure.includes("glvkspirv")) return missing("shader compiler missing", what, true);
  return missing("driver does not load", what, true);
}

/** Compares the versions of NVIDIA's libraries, from their names, with the kernel module's. */
async function versionsDiffer(around: Surroundings): Promise<MissingGpu | undefined> {
  const kernel = /Kernel Module\D*(\d+\.[\d.]+\d)/.exec((await around.read("/proc/driver/nvidia/version")) ?? "")?.[1];
  if (kernel === undefined) return undefined;
  for (const folder of libraryFolders)
    for (const name of ["libGLX_nvidia.so.0", "libEGL_nvidia.so.0"]) {
      const target = await around.target(join(folder, name));
      const library = /\.so\.(\d+\.[\d.]+\d)$/.exec(target ?? "")?.[1];
      if (library !== undefined && library !== kernel)
        return missing("driver versions differ", `NVIDIA's kernel module is ${kernel}, ${target} is ${library}`, true);
    }
  return undefined;
}

const libraryFolders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

async function notPermitted(around: Surroundings, card: Card): Promise<MissingGpu | undefined> {
  const [folder, pattern] = card.vendor === "nvidia" ? ["/dev", /^nvidia\d+$/] : ["/dev/dri", /^renderD\d+$/];
  const paths = (await around.list(folder)).filter((name) => pattern.test(name)).map((name) => join(folder, name));
  const may = await Promise.all(paths.map((path) => around.mayOpen(path)));
  if (paths.length === 0 || may.includes(true)) return undefined;
  return missing("no permission", `this user may not open ${paths.join(" or ")}`, true);
}

interface Description {
  readonly path: string;
  readonly library: string;
}

function descriptionFolders({ env }: Surroundings): string[] {
  const data = (env["XDG_DATA_DIRS"] || "/usr/local/share:/usr/share").split(":");
  return ["/etc/vulkan/icd.d", ...data.map((folder) => join(folder, "vulkan/icd.d"))];
}

async function driverDescriptions(around: Surroundings): Promise<Description[]> {
  const given = driverVariables.map((name) => around.env[name]).find((value) => value);
  const paths = given?.split(":") ?? [];
  if (given === undefined)
    for (const folder of descriptionFolders(around))
      for (const name of await around.list(folder)) if (name.endsWith(".json")) paths.push(join(folder, name));
  const found = await Promise.all(
    paths.map(async (path) => ({ path, library: libraryOf((await around.read(path)) ?? "") })),
  );
  return found.flatMap(({ path, library }) => (library === undefined ? [] : [{ path, library }]));
}

function libraryOf(text: string): string | undefined {
  return /"library_path"\s*:\s*"([^"]+)"/.exec(text)?.[1];
}

async function inContainer(around: Surroundings): Promise<boolean> {
  const marks = await Promise.all(["/.dockerenv", "/run/.containerenv"].map((path) => around.read(path)));
  const groups = (await around.read("/proc/1/cgroup")) ?? "";
  return (
    marks.some((text) => text !== undefined) ||
    /docker|containerd|kubepods|libpod|lxc/.test(groups) ||
    around.env["container"] !== undefined ||
    around.env["NVIDIA_VISIBLE_DEVICES"] !== undefined
  );
}

function missing(cause: MissingGpu["cause"], what: string, expected: boolean): MissingGpu {
  return { cause, what, remedy: remedies[cause], expected };
}

/** The real machine. */
export function realSurroundings(env: Surroundings["env"]): Surroundings {
  return {
    platform: process.platform,
    env,
    read: (path) => readTextFile(path, "record").catch(() => undefined),
    list: (folder) => readdir(folder).catch(() => []),
    mayOpen: async (path) => {
      if (!(await exists(path))) return undefined;
      return await access(path, constants.R_OK | constants.W_OK).then(
        () => true,
        () => false,
      );
    },
    loadingFails: (library) => {
      try {
        process.dlopen({ exports: {} }, library);
        return undefined;
      } catch (error) {
        // The system's loader has loaded the library by then, and Node rejects it because it is not an addon.
        return /self-register/.test(messageOf(error)) ? undefined : messageOf(error);
      }
    },
    target: (path) => realpath(path).catch(() => undefined),
  };
}
