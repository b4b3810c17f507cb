/** Runs and compiles single kernels for tests, without the GPU device: on SwiftShader, which computes, and on Dawn's null backend, which does not. */
import { existsSync } from "node:fs";
import { create, globals } from "webgpu";
import type { Kernel, Launch } from "../../kernels/wgsl.ts";

/** Where Chromium's packages put a Vulkan driver that needs no GPU. */
const softwareDrivers = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

/** Undefined where this machine has none. */
export const softwareDriver: string | undefined = softwareDrivers.find((path) => existsSync(path));

export class KernelRunner {
  readonly #device: GPUDevice;
  readonly #instance: GPU;
  readonly #errors: string[] = [];
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  private constructor(instance: GPU, device: GPUDevice) {
    this.#instance = instance;
    this.#device = device;
    device.addEventListener("uncapturederror", (event) => this.#errors.push(event.error.message));
  }

  static async open(backend: "software" | "null"): Promise<KernelRunner> {
    Object.assign(globalThis, globals);
    if (backend === "software" && softwareDriver !== undefined) process.env["VK_ICD_FILENAMES"] = softwareDriver;
    const toggles = "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,use_vulkan_memory_model";
    const instance = create(backend === "null" ? ["backend=null", toggles] : [toggles]);
    const adapter = await instance.requestAdapter({ featureLevel: "core" });
    if (adapter === null) throw new Error(`no adapter for ${backend}`);
    const features: ReadonlySet<string> = adapter.features;
    const wanted = ["shader-f16", "subgroups", "subgroup-size-control", "chromium-experimental-subgroup-matrix"];
    const requiredFeatures = wanted.filter((feature) => features.has(feature)) as unknown as GPUFeatureName[];
    const { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage } = adapter.limits;
    const requiredLimits = { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage, maxImmediateSize: 64 };
    return new KernelRunner(instance, await adapter.requestDevice({ requiredFeatures, requiredLimits }));
  }

  /** Throws with the compiler's message and the text if that is not WGSL. */
  async checkText(kernel: Kernel): Promise<GPUShaderModule> {
    const module = this.#device.createShaderModule({ code: kernel.code });
    const { messages } = await module.getCompilationInfo();
    const errors = messages.map(({ type, lineNum, message }) => `${type} in line ${lineNum}: ${message}`);
    if (errors.length > 0) throw new Error(`${kernel.name}: ${errors.join("\n")}\n${kernel.code}`);
    return module;
  }

  async compile(kernel: Kernel): Promise<GPUComputePipeline> {
    const known = this.#pipelines.get(kernel.code);
    if (known !== undefined) return known;
    const module = await this.checkText(kernel);
    const layout = this.#device.createPipelineLayout({
      bindGroupLayouts: [this.#groupLayout(kernel)],
      immediateSize: 4 * kernel.params.length,
    });
    const pipeline = await this.#device.createComputePipelineAsync({ layout, compute: { module, entryPoint: "main" } });
    this.#pipelines.set(kernel.code, pipeline);
    return pipeline;
  }

  #groupLayout(kernel: Kernel): GPUBindGroupLayout {
    return this.#device.createBindGroupLayout({
      entries: kernel.bindings.map(({ access }, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      })),
    });
  }

  /**
   * Runs launches one after the other and gives back the buffers asked for. A launch names its buffers in the order of its kernel's bindings,
   * by the bindings' own names if it says nothing. A buffer that is given as a number of elements starts as zeros.
   */
  async run(
    steps: readonly { readonly launch: Launch; readonly operands?: readonly string[] }[],
    buffers: Readonly<Record<string, Float32Array | Int32Array | Uint32Array | number>>,
    wanted: readonly string[],
  ): Promise<Record<string, Float32Array<ArrayBuffer>>> {
    const device = this.#device;
    const made = new Map(Object.entries(buffers).map(([name, values]) => [name, this.#buffer(values)]));
    const encoder = device.createCommandEncoder();
    for (const { launch, operands } of steps) {
      const { kernel, params, grid } = launch;
      const pipeline = await this.compile(kernel);
      const entries = kernel.bindings.map(({ name }, binding) => {
        const operand = operands?.[binding] ?? name;
        const buffer = made.get(operand);
        if (buffer === undefined) throw new Error(`${kernel.name} binds ${operand}, which was not given`);
        return { binding, resource: { buffer } };
      });
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, device.createBindGroup({ layout: this.#groupLayout(kernel), entries }));
      if (kernel.params.length > 0) pass.setImmediates(0, packed(kernel, params));
      pass.dispatchWorkgroups(...grid);
      pass.end();
    }
    const readers = wanted.map((name) => {
      const from = made.get(name);
      if (from === undefined) throw new Error(`there is no buffer ${name}`);
      const to = device.createBuffer({ size: from.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
      return { name, to, length: lengthOf(buffers[name] ?? 0) };
    });
    device.queue.submit([encoder.finish()]);
    const results: Record<string, Float32Array<ArrayBuffer>> = {};
    for (const { name, to, length } of readers) {
      await to.mapAsync(GPUMapMode.READ);
      results[name] = new Float32Array(to.getMappedRange()).slice(0, length);
      to.destroy();
    }
    for (const buffer of made.values()) buffer.destroy();
    if (this.#errors.length > 0) throw new Error(this.#errors.join("\n"));
    return results;
  }

  #buffer(values: Float32Array | Int32Array | Uint32Array | number): GPUBuffer {
    const size = Math.max(1, Math.ceil(lengthOf(values) / 4)) * 16;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const buffer = this.#device.createBuffer({ size, usage });
    if (typeof values !== "number") this.#device.queue.writeBuffer(buffer, 0, new Uint8Array(values.slice().buffer));
    return buffer;
  }

  close(): void {
    this.#device.destroy();
    // Referenced to here: Dawn ends with its instance.
    void this.#instance;
  }
}

function lengthOf(values: { readonly length: number } | number): number {
  return typeof values === "number" ? values : values.length;
}

function packed(kernel: Kernel, params: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 * kernel.params.length));
  for (const [at, { type }] of kernel.params.entries()) {
    const value = params[at] ?? Number.NaN;
    if (type === "u32") view.setUint32(4 * at, value, true);
    else view.setFloat32(4 * at, value, true);
  }
  return new Uint8Array(view.buffer);
}
