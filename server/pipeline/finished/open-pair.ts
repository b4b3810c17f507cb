/** Opens two checkpoints for the lens, on a device of their own. Needs no run. */
import { starterFolder } from "../../common/package-root.ts";
import type { LensOptions } from "../../lens/options.ts";
import { PairLens, type PairSubject } from "../../lens/pair-lens.ts";
import { preferenceReader } from "../../lens/preference-reader.ts";
import { type LoadedModel, notesOn } from "../../models/checkpoint.ts";
import type { ResolveOptions } from "../../models/hub.ts";
import { type OpenedPair, openPair, type PairReferences } from "../../models/pair.ts";
import type { PairInfo } from "../../protocol/lens-state.ts";
import { endOfText } from "../../tasks/pairs/answer-tokens.ts";
import type { MessageWriter } from "../../tasks/pairs/messages.ts";
import { messageWriterOf, prefixOfTokenizer } from "./lens-preferences.ts";
import { type OpenOnOptions, type OwnDevice, openOnDevice } from "./open-on-device.ts";
import { type DictionaryReference, openPairDictionary } from "./pair-dictionary.ts";

export interface OpenPairLensOptions extends LensOptions<PairInfo>, OpenOnOptions {
  /** How to resolve hub ids; downloads nothing unless this says so. */
  readonly resolve?: ResolveOptions;
  /**
   * Whether to prepend the begin-of-text token to every text. By default where the tokenizer prepends it by itself
   * (Gemma's does, Pythia's and GPT-Neo's do not), and where one of the two models is the starter, which was trained
   * that way.
   */
  readonly bos?: boolean | undefined;
  /** A dictionary to read both models through. */
  readonly dictionary?: DictionaryReference | undefined;
}

/** A pair on a device, and its base model for a further pair. */
export interface PlacedPair {
  readonly subject: PairSubject;
  readonly base: LoadedModel;
}

/** Opens a pair for reading texts. Throws what `openPair` and `openPairDictionary` throw, after closing the device. */
export async function openPairLens(references: PairReferences, options: OpenPairLensOptions = {}): Promise<PairLens> {
  const build = async (own: OwnDevice<PairSubject>): Promise<PairSubject> =>
    (await placePair(own, references, options)).subject;
  return new PairLens(await openOnDevice(options, build), options);
}

/** Loads a pair onto a device, without the base model if that is on the device already. */
export async function placePair(
  own: OwnDevice<PairSubject>,
  references: PairReferences,
  options: OpenPairLensOptions,
  base?: LoadedModel,
): Promise<PlacedPair> {
  const { resolve = { download: false }, bos, dictionary, signal } = options;
  const resolving = signal === undefined ? resolve : { ...resolve, signal };
  const opened = await openPair(own.device, references, resolving, base);
  for (const [which, model] of Object.entries(opened.pair))
    for (const note of notesOn(model)) options.note?.(`${which}: ${note}`);
  const template = await messageWriterOf(opened.resolved.tuned.folder);
  const subject = subjectOf(opened, own, { bos, template });
  const placed = { subject, base: opened.pair.base };
  if (dictionary === undefined) return placed;
  const note = (line: string): void => options.note?.(line);
  const read = await openPairDictionary(own.device, opened, subject.prefixIds, dictionary, note);
  return { ...placed, subject: { ...subject, dictionary: read } };
}

function subjectOf(
  { pair, tokenizer, sharedTokens, resolved }: OpenedPair,
  { device, description, onCpu }: OwnDevice<PairSubject>,
  { bos, template }: { readonly bos: boolean | undefined; readonly template: MessageWriter | undefined },
): PairSubject {
  const isStarters = resolved.tuned.folder === starterFolder() || resolved.base.folder === starterFolder();
  const prefixIds = prefixOf(tokenizer, pair.tuned.config.bosId, bos ?? (isStarters ? true : undefined));
  const { modelType } = pair.tuned.config;
  return {
    info: {
      kind: "pair",
      tuned: resolved.tuned.folder,
      base: resolved.base.folder,
      modelType,
      bos: prefixIds.length > 0,
      device: description,
    },
    device,
    pair,
    tokenizer,
    sharedTokens,
    prefixIds,
    preferences: preferenceReader({
      prefixIds,
      contextLength: Math.min(pair.tuned.config.contextLength, pair.base.config.contextLength),
      // As TRL's trainers end answers.
      end: endOfText(tokenizer),
      template,
    }),
    onCpu,
    close: () => device.close(),
  };
}

/** The tokens that the tokenizer prepends to a text, or the begin-of-text token if requested. */
function prefixOf(
  tokenizer: OpenedPair["tokenizer"],
  bosId: number | undefined,
  bos: boolean | undefined,
): readonly number[] {
  if (bos === false) return [];
  const own = prefixOfTokenizer(tokenizer);
  if (own.length > 0 || bos === undefined) return own;
  const id = tokenizer.bosId ?? bosId;
  return id === undefined ? [] : [id];
}
