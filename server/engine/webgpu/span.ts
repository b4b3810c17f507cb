/** Ranges of buffers, and the context that turns kernels on them into commands. */
import type { Kernel } from "../../../kernels/wgsl.ts";
import type { BindingLimits, Value } from "./values.ts";

/** A range of a buffer. */
export interface Span {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
  /** As of the value that lies there. */
  readonly stored?: Value["stored"];
}

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** The part of the device's context that binding a launch needs. */
export interface LaunchContext {
  readonly device: Pick<GPUDevice, "createBindGroup">;
  readonly limits: BindingLimits;
  readonly workLimits: { readonly dispatch: number };
  pipeline(kernel: Kernel): Promise<Pipeline>;
}
