/** Feedback from a text classifier or reward model (Marks et al., Appendix B, with DistilBERT). */
import { LfpError } from "../common/errors.ts";
import type { Device } from "../engine/device.ts";
import { Classifier, readClassifierLabels } from "../models/classifier.ts";
import { isReadFromWeights } from "../models/classifiers/kinds.ts";
import { resolveReference } from "../models/open.ts";
import type { ClassifierConfig } from "./classifier-config.ts";
import { RememberedRewards } from "./remembered.ts";
import { type Completion, type JudgedText, judgedText, type Reward } from "./reward.ts";
import type { FolderOf, RewardIssue } from "./reward-issues.ts";

export type ClassifierSettings = Pick<ClassifierConfig, "model" | "label" | "output" | "scale">;

/** `reward.label` names none of the classifier's labels, or none where there are several. */
export class ClassifierLabelError extends LfpError {
  readonly code = "input";

  constructor({ model, label }: ClassifierSettings, labels: readonly string[]) {
    const got = label === null ? "reward.label is null" : `reward.label is ${JSON.stringify(label)}`;
    super(
      `${got}, but the classifier ${model} has ${labels.length} labels: ${labels.slice(0, 20).join(", ")}. Give one of them`,
    );
  }
}

/**
 * Loads the classifier onto a device; downloads nothing. Throws `ClassifierLabelError`, and what `resolveReference` and
 * `Classifier.load` throw.
 */
export async function classifierReward(
  settings: ClassifierSettings,
  text: JudgedText,
  device: Device,
): Promise<Reward> {
  const { folder } = await resolveReference(settings.model, { download: false, onnxUnless: isReadFromWeights });
  const classifier = await Classifier.load(device, folder);
  const { labels } = classifier;
  const column = columnOf(settings, labels);
  if (column < 0) {
    await classifier[Symbol.asyncDispose]();
    throw new ClassifierLabelError(settings, labels);
  }
  return new ClassifierReward(classifier, column, settings, text);
}

/** What the classifier's folder refutes in the settings, without loading weights. */
export async function classifierIssues(
  settings: ClassifierSettings,
  folderOf: FolderOf,
): Promise<readonly RewardIssue[]> {
  try {
    const folder = await folderOf(settings.model);
    if (folder === undefined) return [];
    const labels = await readClassifierLabels(folder);
    const error = columnOf(settings, labels) < 0 ? new ClassifierLabelError(settings, labels) : undefined;
    return error === undefined ? [] : [{ path: ["label"], message: error.message }];
  } catch (error) {
    if (!(error instanceof LfpError)) throw error;
    return [{ path: ["model"], message: error.message }];
  }
}

/** Index of the label; below zero where the settings name none of the labels. */
function columnOf({ label }: Pick<ClassifierSettings, "label">, labels: readonly string[]): number {
  return label === null && labels.length === 1 ? 0 : labels.indexOf(label ?? "");
}

class ClassifierReward implements Reward {
  readonly name: string;
  readonly #classifier: Classifier;
  readonly #column: number;
  readonly #settings: ClassifierSettings;
  readonly #text: JudgedText;
  readonly #remembered = new RememberedRewards(async (texts, signal) => {
    const L = this.#classifier.labels.length;
    const logits = await this.#classifier.logits(texts, signal);
    return texts.map((_, at) => this.#settings.scale * this.#output(logits.subarray(at * L, (at + 1) * L)));
  });

  constructor(classifier: Classifier, column: number, settings: ClassifierSettings, text: JudgedText) {
    this.#classifier = classifier;
    this.#column = column;
    this.#settings = settings;
    this.#text = text;
    this.name = `classifier/${settings.model}/${classifier.labels[column]}`;
  }

  async score(batch: readonly Completion[], signal?: AbortSignal): Promise<Float64Array> {
    const texts = batch.map((one) => judgedText(one, this.#text));
    return await this.#remembered.rewards(texts, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#classifier[Symbol.asyncDispose]();
  }

  #output(logits: Float32Array): number {
    const own = logits[this.#column] ?? 0;
    if (this.#settings.output === "logit") return own;
    if (logits.length === 1 || this.#classifier.isMultiLabel) return 1 / (1 + Math.exp(-own));
    return 1 / logits.reduce((sum, other) => sum + Math.exp(other - own), 0);
  }
}
