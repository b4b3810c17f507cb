import { basename } from "node:path";
import type { FeatureId } from "../../protocol/ablation.ts";
import { featureHover } from "../lens/feature-hover-text.ts";
import type { FeatureStores } from "./feature-stores.ts";

/** The run in which mentioned features are looked up: the lens's run, if the server may load it. */
export interface ChosenRun {
  /** The run's folder; undefined if no run is chosen. */
  readonly folder: () => string | undefined;
}

/** Hovers for features that texts mention. */
export class FeatureHovers {
  readonly #stores: FeatureStores;
  readonly #run: ChosenRun;

  constructor(stores: FeatureStores, run: ChosenRun) {
    this.#stores = stores;
    this.#run = run;
  }

  /**
   * The hover's text; undefined if there is no run, or if its store has no such feature and the text may mean something
   * else.
   */
  async hover(id: FeatureId): Promise<string | undefined> {
    const folder = this.#run.folder();
    if (folder === undefined) return undefined;
    const detail = await this.#stores.use(folder, (store) => store.detail(id)).catch(() => undefined);
    return detail === undefined ? undefined : featureHover(detail, folder, basename(folder));
  }
}
