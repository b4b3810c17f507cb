/**
 * Splits long launches into slices that run one after another, each over a part of the grid's workgroups. A workgroup
 * computes the same in any slice, so results are bit-identical. All kernels derive their indices from `group`
 * (wgsl.ts), so any kernel can be sliced.
 */
import { defineKernel, foldedGrid, type Grid, type Kernel, maxWorkgroupsPerAxis } from "./wgsl.ts";

/** A slice of a grid's workgroups: the first, and the grid to dispatch from it on. */
export interface Slice {
  readonly first: number;
  readonly grid: Grid;
}

/** The kernel with one more parameter at its end, the slice's first group. */
export function slicedKernel(kernel: Kernel): Kernel {
  return defineKernel({ ...kernel.source, sliced: true });
}

/**
 * About `count` nearly equal slices, without overlap: kernels that accumulate must not run a group twice. Only the last
 * may exceed the grid, as folded grids do.
 */
export function slicesOf([x, y]: Grid, count: number, axis = maxWorkgroupsPerAxis): Slice[] {
  const groups = x * y;
  const even = Math.max(1, Math.ceil(groups / count));
  const each = even <= axis ? even : Math.ceil(even / axis) * axis;
  return Array.from({ length: Math.ceil(groups / each) }, (_, at) => {
    const own = Math.min(each, groups - at * each);
    // A full slice larger than an axis is a multiple of it, and so fills its folded grid.
    return { first: at * each, grid: own === each && own > axis ? [axis, own / axis, 1] : foldedGrid(own, axis) };
  });
}
