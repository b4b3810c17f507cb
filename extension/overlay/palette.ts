/** The decoration types, created once: at most sixteen, in the theme's own colours. */
import * as vscode from "vscode";
import { fadedStepOf, type Hue, hues, type Step, type Strength, signHues, stepOf, strengths } from "./scale.ts";

export type Palette = ReadonlyMap<Step, vscode.TextEditorDecorationType>;

/**
 * A line below the strong steps tells them apart without colour: solid above zero, dashed below, dotted for a feature.
 */
export const lines: Readonly<Record<Hue, "solid" | "dashed" | "dotted">> = {
  positive: "solid",
  negative: "dashed",
  feature: "dotted",
};

const lineWidths: Readonly<Record<Strength, string>> = { 1: "0", 2: "0", 3: "0 0 1px 0", 4: "0 0 2px 0" };

export function createPalette(): Palette {
  const make = vscode.window.createTextEditorDecorationType;
  return new Map<Step, vscode.TextEditorDecorationType>([
    ...hues.flatMap((hue) =>
      strengths.map((strength) => [stepOf(hue, strength), make(lookOf(hue, strength))] as const),
    ),
    ...signHues.map((hue) => [fadedStepOf(hue), make(fadedLookOf(hue))] as const),
  ]);
}

export function themeColor(step: Step): vscode.ThemeColor {
  return new vscode.ThemeColor(`lfpLens.${step}`);
}

/** A faded look: the line alone, which still shows the sign of a strong value. */
function fadedLookOf(hue: (typeof signHues)[number]): vscode.DecorationRenderOptions {
  return {
    borderWidth: "0 0 1px 0",
    borderStyle: lines[hue],
    borderColor: themeColor(fadedStepOf(hue)),
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  };
}

function lookOf(hue: Hue, strength: Strength): vscode.DecorationRenderOptions {
  return {
    backgroundColor: themeColor(stepOf(hue, strength)),
    borderRadius: "2px",
    borderWidth: lineWidths[strength],
    borderStyle: lines[hue],
    borderColor: new vscode.ThemeColor(`lfpLens.${hue}Line`),
    // Text typed beside a coloured word must not take its colour.
    rangeBehavior: vscode.DecorationRangeBehavior.ClosedClosed,
  };
}
