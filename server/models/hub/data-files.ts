/**
 * Which files of a data set's repository form a split. The card may declare it (`configs`); otherwise file names
 * decide, as in the `datasets` library: https://huggingface.co/docs/hub/datasets-file-names-and-splits and
 * https://huggingface.co/docs/hub/datasets-manual-configuration
 */

import { z } from "zod";
import { byCodeUnit } from "../../common/order.ts";
import { DataSplitError } from "./errors.ts";

/** Selects a part of a data set. */
export interface DataSelection {
  /** Such as `train`. */
  readonly split: string;
  /** The configuration, which the hub's viewer calls subset; needed where there are several and none is the default. */
  readonly config?: string | undefined;
  /** Readable file extensions, such as `.parquet`; of several formats in a split, the one with most files wins. */
  readonly endings: readonly string[];
}

const configSchema = z
  .object({
    name: z.string(),
    isDefault: z.boolean(),
    splits: z.array(z.object({ name: z.string(), patterns: z.array(z.string()) })),
  })
  .readonly();

/** A configuration as declared by the card: for each split the patterns of its files. */
export type DataConfig = z.infer<typeof configSchema>;
export const dataConfigsSchema = z.array(configSchema).readonly();

/**
 * The split's files, in the order of their names. `configs` come from the card, `paths` are all files of the
 * repository. Throws `DataSplitError`.
 */
export function selectDataFiles(
  id: string,
  paths: readonly string[],
  configs: readonly DataConfig[],
  { split, config, endings }: DataSelection,
): string[] {
  const files = paths.filter((path) => endingOf(path, endings) !== undefined).sort(byCodeUnit);
  if (files.length === 0) throw noReadableFiles(id, paths, endings);
  const splits = configs.length > 0 ? declaredSplits(id, files, configs, config) : namedSplits(id, files, config);
  const chosen = splits.get(split) ?? splits.get(canonicalSplit(split));
  if (chosen !== undefined && chosen.length > 0) return ofOneFormat(chosen, endings);
  const others = [...splits].filter(([, all]) => all.length > 0).map(([name]) => name);
  const which = config === undefined ? "" : ` in its configuration ${quoted(config)}`;
  const advice = others.length > 0 ? `It has ${listed(others)}.` : "Check its page on the hub.";
  throw new DataSplitError(id, `has no files of the split ${quoted(split)}${which}`, advice);
}

/** The configurations that a card declares; empty unless they name their files. */
export function configsOfCard(card: unknown): readonly DataConfig[] {
  const parsed = cardSchema.safeParse(card);
  if (!parsed.success) return [];
  const configs = parsed.data.configs.map(
    ({ config_name: name, data_files: files, data_dir: folder = "", ...rest }) => ({
      name,
      isDefault: rest.default ?? name === "default",
      splits: splitsOf(files).map((split) => ({
        name: split.name,
        patterns: split.patterns.map((pattern) => (folder === "" ? pattern : `${folder}/${pattern}`)),
      })),
    }),
  );
  return configs.every(({ splits }) => splits.length > 0) ? configs : [];
}

const oneOrMore = z.union([z.string().transform((only) => [only]), z.array(z.string())]);
const cardSchema = z.object({
  configs: z.array(
    z.object({
      config_name: z.string(),
      data_files: z.union([oneOrMore, z.array(z.object({ split: z.string(), path: oneOrMore }))]).optional(),
      data_dir: z.string().optional(),
      default: z.boolean().optional(),
    }),
  ),
});

type CardFiles = z.infer<typeof cardSchema>["configs"][number]["data_files"];

/** The splits of a configuration; files without a split form the training split. */
function splitsOf(files: CardFiles): { name: string; patterns: string[] }[] {
  return (files ?? []).map((item) =>
    typeof item === "string" ? { name: "train", patterns: [item] } : { name: item.split, patterns: item.path },
  );
}

function declaredSplits(
  id: string,
  files: readonly string[],
  configs: readonly DataConfig[],
  wanted: string | undefined,
): Map<string, string[]> {
  const only = configs.length === 1 ? configs[0] : undefined;
  const config =
    wanted === undefined
      ? (configs.find(({ isDefault }) => isDefault) ?? only)
      : configs.find(({ name }) => name === wanted);
  if (config === undefined) {
    const detail =
      wanted === undefined
        ? "has several configurations, and none is the default"
        : `has no configuration ${quoted(wanted)}`;
    throw new DataSplitError(id, detail, `Give one of ${listed(configs.map(({ name }) => name))}.`);
  }
  const splits = new Map<string, string[]>();
  for (const { name, patterns } of config.splits) {
    const matchers = patterns.map(matcherOf);
    const found = files.filter((path) => matchers.some((matches) => matches.test(path)));
    splits.set(name, [...(splits.get(name) ?? []), ...found]);
  }
  return splits;
}

/** Splits inferred from file names. Where no name shows one, all files form the training split. */
function namedSplits(id: string, files: readonly string[], config: string | undefined): Map<string, string[]> {
  const inConfig = config === undefined ? files : files.filter((path) => path.split("/").slice(0, -1).includes(config));
  if (config !== undefined && inConfig.length === 0) {
    const folders = [...new Set(files.flatMap((path) => path.split("/").slice(0, -1)))];
    const advice =
      folders.length > 0 ? `It has the folders ${listed(folders)}.` : "It has no folders: leave the configuration out.";
    throw new DataSplitError(
      id,
      `has no configuration ${quoted(config)}: no folder of that name holds data files`,
      advice,
    );
  }
  const splits = new Map<string, string[]>();
  for (const path of inConfig) {
    const split = splitShownBy(path);
    if (split !== undefined) splits.set(split, [...(splits.get(split) ?? []), path]);
  }
  return splits.size > 0 ? splits : new Map([["train", [...inConfig]]]);
}

/** The split named by the file or else its nearest folder; any word before a shard number is a split. */
function splitShownBy(path: string): string | undefined {
  const [name = "", ...folders] = path.split("/").reverse();
  const sharded = SHARD.exec(name)?.[1];
  if (sharded !== undefined) return canonicalSplit(sharded);
  for (const part of [name, ...folders]) {
    const words = part.toLowerCase().split(/[^a-z]+/);
    const split = words.map((word) => SPLIT_WORDS.get(word)).find((found) => found !== undefined);
    if (split !== undefined) return split;
  }
  return undefined;
}

/** `train-00000-of-00002.parquet`. */
const SHARD = /^(\w[\w.-]*?)-(\d{4,})-of-(\d{4,})(?=[.-])/;

/** Synonyms of split names, as in the `datasets` library. */
const SPLIT_WORDS: ReadonlyMap<string, string> = new Map([
  ["train", "train"],
  ["training", "train"],
  ["validation", "validation"],
  ["valid", "validation"],
  ["val", "validation"],
  ["dev", "validation"],
  ["test", "test"],
  ["testing", "test"],
  ["eval", "test"],
  ["evaluation", "test"],
]);

function canonicalSplit(split: string): string {
  return SPLIT_WORDS.get(split) ?? split;
}

/** Whether files are all the shards of one split, with none missing. */
export function areAllShards(paths: readonly string[]): boolean {
  const shards = paths.map((path) => {
    const name = path.split("/").at(-1) ?? "";
    const [, split, index, total] = SHARD.exec(name) ?? [];
    return { of: `${path.slice(0, -name.length)}${split}/${total}`, index: Number(index), total: Number(total) };
  });
  const isOneFile = new Set(shards.map((shard) => shard.of)).size === 1;
  return isOneFile && shards.every(({ index, total }, at) => index === at && total === shards.length);
}

/** A path pattern with *, **, ?, [...] and {a,b}, as a regular expression. */
function matcherOf(pattern: string): RegExp {
  const source = pattern.replace(/^\.?\//, "").replace(/\*\*\/|\*\*|\[!?[^\]]+\]|[\s\S]/g, (part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.length > 1) return part.replace("[!", "[^").replaceAll("\\", "\\\\");
    if (part === "{" || part === "}" || part === ",") return { "{": "(?:", "}": ")", ",": "|" }[part];
    return part.replace(/[\\^$.|+()[\]]/, "\\$&");
  });
  try {
    return new RegExp(`^${source}$`);
  } catch {
    return /(?!)/;
  }
}

function ofOneFormat(files: readonly string[], endings: readonly string[]): string[] {
  const byEnding = new Map<string, string[]>();
  for (const path of new Set(files)) {
    const ending = endingOf(path, endings) ?? "";
    byEnding.set(ending, [...(byEnding.get(ending) ?? []), path]);
  }
  return [...byEnding.values()].reduce((most, some) => (some.length > most.length ? some : most), []);
}

/** The longest matching ending, so that .jsonl.gz does not match a shorter one. */
function endingOf(path: string, endings: readonly string[]): string | undefined {
  const name = path.toLowerCase();
  return endings.toSorted((a, b) => b.length - a.length).find((ending) => name.endsWith(ending));
}

function noReadableFiles(id: string, paths: readonly string[], endings: readonly string[]): DataSplitError {
  const found = [...new Set(paths.map((path) => /\.[^./]+$/.exec(path)?.[0] ?? path))].slice(0, 8);
  return new DataSplitError(
    id,
    `has no files that can be read (${listed(endings)}); it has ${found.length > 0 ? listed(found) : "no files"}`,
    `The hub keeps a Parquet copy of many data sets: try ${id}@refs/convert/parquet.`,
  );
}

function listed(names: readonly string[]): string {
  const some = names.slice(0, 20).map(quoted).join(", ");
  return names.length > 20 ? `${some} and ${names.length - 20} more` : some;
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}
