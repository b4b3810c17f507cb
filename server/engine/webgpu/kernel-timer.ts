/** Runs and times single kernels on an adapter, outside any program: to choose kernels and to measure peaks. */
import type { MatmulAdapter } from "../../../kernels/matmul/variants.ts";
import type { Launch } from "../../../kernels/wgsl.ts";
import { DeviceError } from "../errors.ts";
import { type AdapterOptions, type AdapterTraits, matmulAdapterOf, openAdapter } from "./adapter.ts";
import { prepare, record } from "./commands.ts";
import { bufferUsage, GpuContext } from "./context.ts";
import type { Span } from "./span.ts";

/** A launch with the buffers that it binds, by name, in the order of its kernel's bindings. */
export interface TimedStep {
  readonly launch: Launch;
  readonly operands: readonly string[];
}

export interface TimerOptions {
  readonly repeats: number;
  /** Target duration of one submit; kernels repeat to fill it. */
  readonly submitMs: number;
}

/** Launches on one adapter, with buffers by name. */
export class KernelTimer {
  readonly traits: AdapterTraits;
  readonly adapter: MatmulAdapter;
  #context: GpuContext;
  readonly #options: AdapterOptions | undefined;
  readonly #buffers = new Map<string, GPUBuffer>();

  /** Uses an open device, and leaves it open. */
  constructor(context: GpuContext, options?: AdapterOptions) {
    this.#context = context;
    this.#options = options;
    this.traits = context.traits;
    this.adapter = matmulAdapterOf(context);
  }

  /** Opens a device of its own, which `close` closes. Throws `NoAdapterError`. */
  static async open(options: AdapterOptions = {}): Promise<KernelTimer> {
    return new KernelTimer(new GpuContext(await openAdapter(options)), options);
  }

  /**
   * Reopens the device if it was lost or failed, and returns whether it did; the buffers are gone then. Throws the
   * device's error if the device is not the timer's own, and `NoAdapterError`.
   */
  async reopenIfLost(): Promise<boolean> {
    try {
      this.#context.check();
      return false;
    } catch (error) {
      if (this.#options === undefined) throw error;
    }
    this.free();
    await this.#context.close();
    this.#context = new GpuContext(await openAdapter(this.#options));
    return true;
  }

  /** Creates buffers with values, or with zeros for a number of elements. Frees earlier buffers of the same names. */
  async fill(buffers: Readonly<Record<string, Float32Array<ArrayBuffer> | number>>): Promise<void> {
    for (const [name, values] of Object.entries(buffers)) {
      this.free([name]);
      const elements = typeof values === "number" ? values : values.length;
      const usage = bufferUsage.storage | bufferUsage.copyTarget | bufferUsage.copySource;
      const buffer = await this.#context.allocate(name, Math.ceil(elements / 4) * 16, usage);
      if (typeof values !== "number") this.#context.device.queue.writeBuffer(buffer, 0, values);
      this.#buffers.set(name, buffer);
    }
  }

  free(names: Iterable<string> = [...this.#buffers.keys()]): void {
    for (const name of names) {
      const buffer = this.#buffers.get(name);
      if (buffer !== undefined) this.#context.release(buffer);
      this.#buffers.delete(name);
    }
  }

  /**
   * Runs the steps once and reads `elements` of buffer `name`. Throws `DeviceError` naming a kernel that does not
   * compile.
   */
  async run(steps: readonly TimedStep[], name: string, elements: number): Promise<Float32Array<ArrayBuffer>> {
    const { device } = this.#context;
    const bytes = Math.ceil(elements / 4) * 16;
    const reader = await this.#context.allocate("results", bytes, bufferUsage.mapRead | bufferUsage.copyTarget);
    try {
      const encoder = await this.#record(steps, 1);
      encoder.copyBufferToBuffer(this.#buffer(name), 0, reader, 0, bytes);
      device.queue.submit([encoder.finish()]);
      return new Float32Array(await this.#context.readMapped(reader, bytes, 0), 0, elements);
    } finally {
      this.#context.release(reader);
    }
  }

  /** Median seconds of one run of the steps, by wall time over submits that are long enough for it. */
  async seconds(steps: readonly TimedStep[], { repeats, submitMs }: TimerOptions): Promise<number> {
    let calls = 1;
    let took = await this.#submit(steps, calls);
    // Discard the first run's time, which includes compilation.
    took = await this.#submit(steps, calls);
    while (took * 1000 < submitMs / 2 && calls < mostCalls) {
      calls = Math.min(mostCalls, Math.ceil(calls * Math.min(8, submitMs / 1000 / Math.max(took, 1e-5))));
      took = await this.#submit(steps, calls);
    }
    const times: number[] = [];
    for (let at = 0; at < repeats; at++) times.push((await this.#submit(steps, calls)) / calls);
    return times.toSorted((a, b) => a - b)[repeats >> 1] ?? Number.NaN;
  }

  async close(): Promise<void> {
    this.free();
    await this.#context.close();
  }

  async #submit(steps: readonly TimedStep[], calls: number): Promise<number> {
    const { device } = this.#context;
    const commands = (await this.#record(steps, calls)).finish();
    const start = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    this.#context.check();
    return (performance.now() - start) / 1000;
  }

  async #record(steps: readonly TimedStep[], calls: number): Promise<GPUCommandEncoder> {
    const launches = steps.map(({ launch, operands }) => ({
      launch,
      spans: operands.map((name): Span => {
        const buffer = this.#buffer(name);
        return { buffer, offset: 0, bytes: buffer.size };
      }),
    }));
    const commands = await prepare(this.#context, launches);
    const encoder = this.#context.device.createCommandEncoder();
    record(encoder, Array.from({ length: calls }, () => commands).flat());
    return encoder;
  }

  #buffer(name: string): GPUBuffer {
    const buffer = this.#buffers.get(name);
    if (buffer === undefined) throw new DeviceError(`the kernel timer has no buffer '${name}'`);
    return buffer;
  }
}

const mostCalls = 2000;
