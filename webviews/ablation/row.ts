/** A feature of the active ablation set: what it is active on, its switch, and its factor by slider and as a number. */
import { css, html, type TemplateResult } from "lit";
import { live } from "lit/directives/live.js";
import { short, signed } from "../../drawing/format.ts";
import type { ListedFeature } from "../../server/protocol/ablation-page.ts";

/** What a row's controls do. */
export interface RowActions {
  readonly slide: (factor: number) => void;
  readonly turn: (on: boolean) => void;
  readonly remove: () => void;
  readonly open: () => void;
}

/** Ends and step of the slider; the number beside it takes any factor that a set may have. */
const slider = { min: 0, max: 2, step: 0.05 } as const;
const limit = 100;

export function featureRow(
  { id, factor, on, explanation, contribution }: ListedFeature,
  act: RowActions,
): TemplateResult {
  const slid = (event: Event): void => {
    const value = numberOf(event);
    if (value !== undefined) act.slide(value);
  };
  return html`<li class="feature ${on ? "" : "off"}">
    <div class="head">
      <input type="checkbox" aria-label=${`Apply ${id}`} .checked=${live(on)} @change=${() => act.turn(!on)} />
      <button class="link" @click=${act.open}>${id}</button>
      <span class="small dim">${contribution === null ? "" : html`<span title="Its mean contribution to the implicit reward">${signed(contribution)}</span>`}</span>
      <button class="link remove" aria-label=${`Remove ${id} from the set`} title="Remove from the set" @click=${act.remove}>×</button>
    </div>
    <div class="small dim meaning">${explanation ?? "not explained"}</div>
    <div class="scale">
      <input type="range" min=${slider.min} max=${slider.max} step=${slider.step} ?disabled=${!on}
        aria-label=${`Factor of ${id}`} aria-valuetext=${factorInWords(factor)}
        .value=${live(String(factor))} @input=${slid} />
      <input type="number" class="number" min=${-limit} max=${limit} step="0.1" ?disabled=${!on} aria-label=${`Factor of ${id} as a number`}
        .value=${live(String(factor))} @change=${slid} />
      <span class="small dim words" aria-hidden="true">${factorInWords(factor)}</span>
    </div>
  </li>`;
}

/** What a factor does: `ablated`, `as it is`, `× 0.5`. */
export function factorInWords(factor: number): string {
  if (factor === 0) return "ablated";
  return factor === 1 ? "as it is" : `× ${short(factor)}`;
}

/** The number of an input, within what a set may have; undefined while none stands there. */
function numberOf({ target }: Event): number | undefined {
  if (!(target instanceof HTMLInputElement) || !Number.isFinite(target.valueAsNumber)) return undefined;
  return Math.max(-limit, Math.min(limit, target.valueAsNumber));
}

export const rowSheet = css`
  .feature { padding: 6px 0; border-bottom: 1px solid var(--lfp-line); }
  .head { display: flex; gap: 6px; align-items: center; }
  .head input { margin: 0; }
  .remove { margin-left: auto; padding: 0 6px; font-size: 15px; line-height: 1; color: var(--vscode-foreground); }
  .meaning { overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
  .off .meaning, .off .words { text-decoration: line-through; }
  .scale { display: grid; grid-template-columns: minmax(60px, 1fr) 56px 64px; gap: 8px; align-items: center; }
  .scale input[type="range"] { min-width: 0; margin: 0; }
  .number {
    box-sizing: border-box; width: 100%; font: inherit; font-size: 12px; padding: 1px 3px; border-radius: 2px;
    color: var(--vscode-input-foreground); background: var(--vscode-input-background); border: 1px solid var(--vscode-input-border, var(--lfp-line));
  }
`;
