import type { LensMode } from "../protocol/lens.ts";
import type { LensUnit } from "../protocol/lens-unit.ts";

/** The mode and unit of a passage's values. */
export interface Shown<M extends LensMode = LensMode> {
  readonly mode: M;
  readonly unit: LensUnit;
}
