/**
 * Runs and compiles single kernels for tests, without the GPU device: on the machine's adapter (a real one, or SwiftShader), which computes,
 * and on Dawn's null backend, which does not.
 */
import { globals } from "webgpu";
import type { Kernel, Launch } from "../../kernels/wgsl.ts";
import { type OpenedAdapter, openAdapter } from "../../server/engine/webgpu/adapter.ts";
import "./software-gpu.ts";

export class KernelRunner {
  readonly #opened: OpenedAdapter;
  readonly #device: GPUDevice;
  readonly #errors: string[] = [];
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  private constructor(opened: OpenedAdapter) {
    this.#opened = opened;
    this.#device = opened.device;
    this.#device.addEventListener("uncapturederror", (event) => this.#errors.push(event.error.message));
  }

  static async open(backend: "here" | "null"): Promise<KernelRunner> {
    Object.assign(globalThis, globals);
    return new KernelRunner(await openAdapter({ compileOnly: backend === "null" }));
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
    void this.#opened;
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
