import { basename } from "node:path";
import type { FeatureId } from "../../protocol/ablation.ts";
import { featureHover } from "../lens/feature-hover-text.ts";
import type { FeatureStores } from "./feature-stores.ts";

/** Where features that texts name are looked up: the run that is looked through, if it may be loaded. */
export interface ChosenRun {
  /** Undefined where no run is chosen. */
  readonly folder: () => string | undefined;
}

/** What is said of features that texts name. */
export class FeatureHovers {
  readonly #stores: FeatureStores;
  readonly #run: ChosenRun;

  constructor(stores: FeatureStores, run: ChosenRun) {
    this.#stores = stores;
    this.#run = run;
  }

  /** Undefined where there is no run, or its store does not know the feature: then it may be something else than a feature. */
  async hover(id: FeatureId): Promise<string | undefined> {
    const folder = this.#run.folder();
    if (folder === undefined) return undefined;
    const detail = await this.#stores.use(folder, (store) => store.detail(id)).catch(() => undefined);
    return detail === undefined ? undefined : featureHover(detail, folder, basename(folder));
  }
}
