/** How a report speaks of the place that the dictionaries encode. */
import type { Site } from "../../models/sites.ts";

interface SiteWords {
  /** What stands there. */
  readonly place: string;
  /** The beginning of a sentence on what putting the studied layers' MLPs back changes. */
  readonly lookInto: (studied: string) => string;
  /** What a figure says of those MLPs. */
  readonly grey: string;
  /** Whether those MLPs are all that the dictionaries see. */
  readonly isAll: boolean;
}

export const siteWords: { readonly [S in Site]: SiteWords } = {
  "mlp-output": {
    place: "the MLP",
    lookInto: (studied) => `Autoencoders and probe look into the ${studied}; put back to the base model's these`,
    grey: "what the autoencoders and the probe read",
    isAll: true,
  },
  residual: {
    place: "the residual stream",
    lookInto: (studied) =>
      `Autoencoders and probe look into the residual stream after the studied layers, to which every part up to there adds; of these the ${studied}, put back to the base model's,`,
    grey: "MLPs that add to what the autoencoders and the probe read",
    isAll: false,
  },
};
