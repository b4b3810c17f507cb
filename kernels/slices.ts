/**
 * Launches that may take long, cut into several that run one after another, each over a part of the grid's workgroups. A workgroup computes the
 * same whichever slice it is in, so results are the same to the byte. All kernels take their place from `group` (wgsl.ts), so any can be cut.
 */
import { defineKernel, foldedGrid, type Grid, type Kernel, maxWorkgroupsPerAxis } from "./wgsl.ts";

/** Some of a grid's workgroups: the first of them, and the grid that is dispatched for it and those after it. */
export interface Slice {
  readonly first: number;
  readonly grid: Grid;
}

/** The kernel with one more parameter at its end, the slice's first group. */
export function slicedKernel(kernel: Kernel): Kernel {
  return defineKernel({ ...kernel.source, sliced: true });
}

/**
 * About `count` nearly equal slices, without overlap: kernels that add to what is there must meet no group twice. Only the last may go beyond
 * the grid, as folded grids do.
 */
export function slicesOf([x, y]: Grid, count: number, axis = maxWorkgroupsPerAxis): Slice[] {
  const groups = x * y;
  const even = Math.max(1, Math.ceil(groups / count));
  const each = even <= axis ? even : Math.ceil(even / axis) * axis;
  return Array.from({ length: Math.ceil(groups / each) }, (_, at) => {
    const own = Math.min(each, groups - at * each);
    // A whole slice above an axis is a multiple of it, and so fills its folded grid.
    return { first: at * each, grid: own === each && own > axis ? [axis, own / axis, 1] : foldedGrid(own, axis) };
  });
}
