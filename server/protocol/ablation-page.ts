/** The page of the active ablation set, in a view of the side bar. */
import * as z from "zod";
import { FeatureId } from "./ablation.ts";
import { MeasuredEffect } from "./features.ts";
import { ask, definePage } from "./pages.ts";

const nothing = z.strictObject({});
const done = z.object({});
const factor = z.number().min(-100).max(100);

/** Maximum number of features that the view lists; the file has all. */
export const MOST_LISTED = 200;

/** Whether the active set acts; `unbound`: it names no run, `broken`: its file cannot be read. */
export const AblationStatus = z.enum(["none", "acts", "off", "otherRun", "unbound", "broken"]);
export type AblationStatus = z.infer<typeof AblationStatus>;

/** A feature of the set. */
export const ListedFeature = z.object({
  id: FeatureId,
  factor,
  on: z.boolean(),
  /** What it is active on; null if nobody explained it, or if its run is not at hand. */
  explanation: z.string().nullable(),
  /** Mean over its active tokens of weight times activation; null if unknown. */
  contribution: z.number().nullable(),
});
export type ListedFeature = z.infer<typeof ListedFeature>;

export const AblationView = z.object({
  status: AblationStatus,
  /** Name of the active file; null if no set is active. */
  file: z.string().nullable(),
  /** Why the file cannot be read; null if it can. */
  problem: z.string().nullable(),
  /** The run that the set belongs to, and whether it is at hand, so that the lens can look through it. */
  run: z.object({ name: z.string(), isAtHand: z.boolean() }).nullable(),
  /** Name of what the lens looks through; null if nothing yet. */
  looked: z.string().nullable(),
  features: z.array(ListedFeature).max(MOST_LISTED),
  /** Number of features that are not listed. */
  more: z.int().min(0),
  /** The last measurement of the set, and whether it was one of the present factors; null without any. */
  measured: z.object({ effects: z.array(MeasuredEffect), isCurrent: z.boolean() }).nullable(),
  /** Whether the workspace has a folder, in which sets can be found. */
  hasFolder: z.boolean(),
});
export type AblationView = z.infer<typeof AblationView>;

export const AblationPage = definePage({
  name: "ablation",
  asks: {
    open: ask(nothing, AblationView),
    /** Changes a feature's factor in the file. */
    scale: ask(z.strictObject({ id: FeatureId, factor }), done),
    /** Switches a feature on or off in the file. */
    switch: ask(z.strictObject({ id: FeatureId, on: z.boolean() }), done),
    /** Switches the whole set on or off. */
    switchAll: ask(z.strictObject({ on: z.boolean() }), done),
    /** Gives every feature its own activation again; the features stay in the set. */
    restoreAll: ask(nothing, done),
    remove: ask(z.strictObject({ id: FeatureId }), done),
    /** Asks which feature to add. */
    add: ask(nothing, done),
    /** Measures what the set does to the task's reward, with controls. Takes minutes. */
    measure: ask(nothing, done),
    openFeature: ask(z.strictObject({ id: FeatureId }), done),
    openFile: ask(nothing, done),
    /** Lets the person choose another set. */
    choose: ask(nothing, done),
    /** Looks through the run that the set belongs to. */
    openRun: ask(nothing, done),
    /** Writes into the file that the set belongs to the run that the lens looks through. */
    bind: ask(nothing, done),
  },
  tells: { changed: done },
  state: z.object({ scroll: z.number().default(0) }),
});
