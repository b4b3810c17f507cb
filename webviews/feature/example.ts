import { css, html, nothing, type TemplateResult } from "lit";
import { short } from "../../drawing/format.ts";
import type { FeatureExample } from "../../server/protocol/features.ts";

/** How an example is drawn. */
interface ExampleLook {
  readonly sign: "positive" | "negative";
  /** Whether activations stand behind tokens as numbers. */
  readonly numbers: boolean;
  readonly isSilent?: boolean;
  /** Opens the text that the example was cut from. */
  readonly openSource?: () => void;
}

/**
 * A stretch of text with each token shaded by its activation, in three steps up to the feature's largest; the strongest
 * step has a line under it, so that colour is not the only cue; with `numbers` the activation follows the token. Line
 * breaks are shown as a sign, so that an example stays on one line. In a silent example the word that it was chosen for
 * has a frame: the feature is not active there, but may be elsewhere in the stretch.
 */
export function heatText(
  { tokens, activations, source, peak }: FeatureExample,
  largest: number,
  { sign, numbers, isSilent = false, openSource }: ExampleLook,
): TemplateResult {
  const link =
    openSource === undefined || source === ""
      ? nothing
      : html` <button class="link source" title=${`Open ${source}`} aria-label=${`Open the source, ${source}`} @click=${openSource}>↗</button>`;
  return html`<p class="example" title=${source}>${tokens.map((token, at) => {
    const activation = activations[at] ?? 0;
    const step = activation <= 0 || largest <= 0 ? 0 : Math.min(3, Math.ceil((3 * activation) / largest));
    const shown = token.replaceAll("\n", "↵");
    // The space before a word belongs to its token, but shading it would only distract.
    const [space = ""] = /^\s*/.exec(shown) ?? [];
    const word = shown.slice(space.length);
    if (isSilent && at === peak)
      return html`${space}<span class="t silent" title="${word}: not active">${word === "" ? "␣" : word}</span>`;
    if (step === 0) return shown;
    const title = `${word}: ${short(activation)}`;
    return html`${space}<span class="t ${sign} s${step}" title=${title}>${word === "" ? "␣" : word}</span>${numbers ? html`<sub>${short(activation)}</sub>` : nothing}`;
  })}${link}</p>`;
}

export const heatSheet = css`
  .example { font-family: var(--lfp-mono); font-size: 12px; line-height: 1.7; margin: 0 0 4px; white-space: pre-wrap; overflow-wrap: anywhere; }
  .example sub { color: var(--lfp-dim); font-size: 10px; line-height: 1; vertical-align: baseline; margin-left: 1px; }
  .source { font-size: 11px; }
  .t { border-radius: 2px; unicode-bidi: isolate; }
  .silent { outline: 1px dotted var(--lfp-dim); outline-offset: 1px; }
  .t.positive { --tint: var(--pos); }
  .t.negative { --tint: var(--neg); }
  .s1 { background: rgba(var(--tint), 0.16); }
  .s2 { background: rgba(var(--tint), 0.3); }
  .s3 { background: rgba(var(--tint), 0.42); border-bottom: 2px solid rgb(var(--tint)); }
  .s3.negative { border-bottom-style: dashed; }
`;
