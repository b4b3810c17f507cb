/** Opens a GPU through Dawn, with the toggles that training needs and the adapter's own limits and features. */
import type { MatrixConfig } from "../../../kernels/matmul/matrix-text.ts";
import type { MatmulAdapter } from "../../../kernels/matmul/variants.ts";
import { messageOf } from "../../common/errors.ts";
import { DeviceError } from "../errors.ts";

export interface AdapterOptions {
  /** Part of the adapter's name, where there are several. */
  readonly adapter?: string;
  /** Compiles and validates everything and computes nothing: Dawn's null backend, which needs no driver. */
  readonly compileOnly?: boolean;
  /** Skips software adapters: they compute on the processor, more slowly than the CPU device. */
  readonly hardwareOnly?: boolean;
  /** Disables the bounds checks that keep a faulty kernel inside its buffers. Never in tests. */
  readonly fast?: boolean;
}

/** The adapter's properties that the choice of kernels depends on. */
export interface AdapterTraits {
  readonly vendor: string;
  readonly architecture: string;
  /** The adapter's name, as Dawn reports it: `nvidia-h200`. */
  readonly description: string;
  /** The driver's name and version, as far as Dawn reports them. */
  readonly driver: string;
  /** Runs on the processor. */
  readonly software: boolean;
  readonly f16: boolean;
  readonly subgroups: { readonly min: number; readonly max: number } | undefined;
  readonly matrices: readonly MatrixConfig[];
}

export interface OpenedAdapter {
  readonly device: GPUDevice;
  readonly traits: AdapterTraits;
  /** A reference to the instance, which Dawn destroys when it is garbage-collected. */
  readonly instance: GPU;
}

/** Why no GPU device is available, as a message for the user and `lfp doctor`. */
export class NoAdapterError extends DeviceError {}

const wantedFeatures = [
  "shader-f16",
  "subgroups",
  "subgroup-size-control",
  "chromium-experimental-subgroup-matrix",
  "timestamp-query",
] as const;

/** Limits requested at the adapter's maximum; the defaults fit the smallest phones. */
const wantedLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Throws `NoAdapterError` where the package does not load or finds no adapter. */
export async function openAdapter(options: AdapterOptions = {}): Promise<OpenedAdapter> {
  const instance = await createInstance(options);
  const adapter = await instance.requestAdapter({ featureLevel: "core", powerPreference: "high-performance" });
  if (adapter === null) {
    const named = options.adapter === undefined ? "" : ` of a name with '${options.adapter}'`;
    throw new NoAdapterError(`no GPU adapter${named} was found: \`lfp doctor\` says why and what to do`);
  }
  const traits = traitsOf(adapter);
  if (options.hardwareOnly === true && traits.software)
    throw new NoAdapterError(`the only GPU adapter is software (${traits.description}): \`lfp doctor\` says more`);
  const features = wantedFeatures.filter((feature) => has(adapter.features, feature));
  const requiredLimits = Object.fromEntries(wantedLimits.map((limit) => [limit, adapter.limits[limit]]));
  // Dawn knows features that the standard's types do not.
  const requiredFeatures = features as unknown as GPUFeatureName[];
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  return { device, traits, instance };
}

/** The properties by which product kernels are chosen. */
export function matmulAdapterOf({ device, traits }: Pick<OpenedAdapter, "device" | "traits">): MatmulAdapter {
  return {
    software: traits.software,
    subgroups: traits.subgroups,
    matrices: traits.matrices,
    workgroupStorage: device.limits.maxComputeWorkgroupStorageSize,
    invocations: device.limits.maxComputeInvocationsPerWorkgroup,
  };
}

async function createInstance({ adapter, compileOnly = false, fast = false }: AdapterOptions): Promise<GPU> {
  const enabled = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia", "use_vulkan_memory_model"];
  if (fast) enabled.push("disable_robustness", "disable_workgroup_init", "disable_polyfills_on_integer_div_and_mod");
  const settings = [`enable-dawn-features=${enabled.join(",")}`];
  if (compileOnly) settings.push("backend=null");
  if (adapter !== undefined) settings.push(`adapter=${adapter}`);
  try {
    // Loaded only on demand: the native part needs glibc 2.34 and takes a few hundred milliseconds.
    const { create } = await import("webgpu");
    return create(settings);
  } catch (cause) {
    const reason = messageOf(cause);
    throw new NoAdapterError(`the package webgpu (Dawn) does not load: ${reason}`, { cause });
  }
}

function traitsOf({ info, features }: GPUAdapter): AdapterTraits {
  const extended: GPUAdapterInfo & { subgroupMatrixConfigs?: Iterable<MatrixConfig> } = info;
  const matrices = Array.from(extended.subgroupMatrixConfigs ?? [], (config) => ({
    componentType: config.componentType,
    resultComponentType: config.resultComponentType,
    M: config.M,
    N: config.N,
    K: config.K,
  }));
  // Dawn's `description` is the driver's; the adapter's name is in `device`, in lower case with hyphens.
  const name = info.device === "" ? info.description : info.device.replaceAll(/^-+|-+$/g, "");
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    description: name === "" ? "unnamed adapter" : name,
    driver: info.description,
    software:
      info.isFallbackAdapter ||
      info.architecture === "swiftshader" ||
      /llvmpipe|lavapipe/i.test(`${name} ${info.description}`),
    f16: has(features, "shader-f16"),
    subgroups: has(features, "subgroups")
      ? { min: info.subgroupMinSize ?? 4, max: info.subgroupMaxSize ?? 128 }
      : undefined,
    matrices,
  };
}

function has(features: GPUSupportedFeatures, name: string): boolean {
  const names: ReadonlySet<string> = features;
  return names.has(name);
}
