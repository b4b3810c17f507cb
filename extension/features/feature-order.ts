/** Which feature comes before and after another: as in the list that a person last opened one from. */
import { type FeatureId, parseFeatureId } from "../../server/protocol/ablation.ts";
import { FeatureQuery, type Neighbours } from "../../server/protocol/features.ts";
import type { FeaturePlace, FeaturesModel } from "./features-model.ts";

/** A list of features: the table's or a search's query, or the ids of a short one. */
export type FeatureList = FeatureQuery | readonly FeatureId[];

/** The last list per run. */
export class FeatureOrder {
  readonly #features: Pick<FeaturesModel, "neighbours">;
  readonly #lists = new Map<string, FeatureList>();

  constructor(features: Pick<FeaturesModel, "neighbours">) {
    this.#features = features;
  }

  /** Remembers the list that a feature of the run was opened from. */
  note(runFolder: string, list: FeatureList): void {
    this.#lists.set(runFolder, list);
  }

  /** The neighbours of a feature in its run's last list, or, if that does not have it, by contribution. */
  async neighbours(place: FeaturePlace): Promise<Neighbours> {
    const list = this.#lists.get(place.runFolder);
    const found = list === undefined ? undefined : await this.#in(list, place);
    if (found !== undefined && found.at !== null) return found;
    const { model = "tuned", size = "small" } = parseFeatureId(place.id) ?? {};
    return await this.#in(FeatureQuery.parse({ dictionary: { model, size } }), place);
  }

  async #in(list: FeatureList, place: FeaturePlace): Promise<Neighbours> {
    if ("dictionary" in list) return await this.#features.neighbours(place, list);
    const at = list.indexOf(place.id);
    const [previous = null, next = null] = at < 0 ? [] : [list[at - 1], list[at + 1]];
    return { at: at < 0 ? null : at, total: list.length, previous, next };
  }
}
