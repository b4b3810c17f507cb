import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { count } from "../../drawing/format.ts";
import { AblationPage, type AblationStatus, type AblationView } from "../../server/protocol/ablation-page.ts";
import { effectInWords } from "../../server/protocol/features.ts";
import { ablationFigure, ablationVerdict, figureSheet } from "../common/ablation-figure.ts";
import { alertOf, failureOf } from "../common/failure.ts";
import { connect } from "../common/host.ts";
import { keepScroll } from "../common/scroll.ts";
import { shared } from "../common/styles.ts";
import { featureRow, rowSheet } from "./row.ts";

/** Delay after the last move of a slider before the file is changed (debounce). */
const slideDelayMs = 120;

/** The active ablation set: whether it acts, its features with a slider each, and what it does to the reward. */
export class AblationApp extends LitElement {
  static override properties = {
    view: { state: true },
    failure: { state: true },
    isMeasuring: { state: true },
    moved: { state: true },
  };
  static override styles = [shared, figureSheet, rowSheet, sheet()];

  declare view: AblationView | undefined;
  declare failure: string;
  declare isMeasuring: boolean;
  /** Factors that sliders show and the file does not have yet, by feature. */
  declare moved: ReadonlyMap<string, number>;
  readonly #host = connect(AblationPage);
  readonly #timers = new Map<string, number>();

  constructor() {
    super();
    this.failure = "";
    this.isMeasuring = false;
    this.moved = new Map();
    this.#host.on("changed", () => void this.#open());
    void this.#open().then(async () => {
      await this.updateComplete;
      keepScroll(this.#host.state.scroll, (scroll) => this.#host.keep({ scroll }));
    });
  }

  override render() {
    const { view } = this;
    if (view === undefined) return alertOf(this.failure);
    return html`<main>
      <h1 class="unseen">Ablation set</h1>
      ${view.status === "none" ? this.#none(view) : this.#set(view)}
      ${alertOf(this.failure)}
    </main>`;
  }

  #none({ hasFolder }: AblationView) {
    return html`<p>No ablation set is active. A set removes features from the model, or scales them, in colours, hovers and completions.</p>
      <div class="tools">${this.#button("Ablate a Feature…", "add")}
      ${hasFolder ? this.#button("Choose a Set…", "choose") : nothing}</div>`;
  }

  #set(view: AblationView) {
    const { status, features, more, run } = view;
    const isOn = status !== "off";
    return html`<header>
        <p class="status ${status}" role="status">${statusWords[status](view)}</p>
        <div class="tools">
          ${status === "otherRun" && run?.isAtHand === true ? this.#button(`Look Through ${run.name}`, "openRun") : nothing}
          ${status === "unbound" && view.looked !== null ? this.#button(`Apply to ${view.looked}`, "bind") : nothing}
          ${status === "acts" || status === "off" ? this.#switch(isOn) : nothing}
        </div>
      </header>
      ${
        features.length === 0
          ? html`<p class="dim">${status === "broken" ? "" : "The set has no features yet."}</p>`
          : html`<ul class="features" aria-label="Features of the set">${repeat(
              features,
              ({ id }) => id,
              (feature) =>
                featureRow(
                  { ...feature, factor: this.moved.get(feature.id) ?? feature.factor },
                  {
                    slide: (factor) => this.#slide(feature.id, factor),
                    turn: (on) => this.#ask(this.#host.ask("switch", { id: feature.id, on })),
                    remove: () => this.#ask(this.#host.ask("remove", { id: feature.id })),
                    open: () => this.#ask(this.#host.ask("openFeature", { id: feature.id })),
                  },
                ),
            )}</ul>`
      }
      ${more === 0 ? nothing : html`<p class="small dim">${count(more)} more in the file.</p>`}
      ${this.#tools(view)} ${this.#effects(view)}`;
  }

  #switch(isOn: boolean) {
    const change = (): void => void this.#ask(this.#host.ask("switchAll", { on: !isOn }));
    return html`<label class="whole"><input type="checkbox" role="switch" .checked=${isOn} @change=${change} /> Apply the set</label>`;
  }

  #tools({ status, features, run }: AblationView) {
    const isBroken = status === "broken";
    const canMeasure = features.length > 0 && run?.isAtHand === true;
    return html`<div class="tools">
      ${isBroken ? nothing : this.#button("Add Feature…", "add")}
      ${features.length === 0 ? nothing : this.#button("Restore All", "restoreAll")}
      ${this.#button("Open File", "openFile")} ${this.#button("Choose…", "choose", "Choose another ablation set")}
      ${canMeasure ? html`<button class="plain" ?disabled=${this.isMeasuring} @click=${this.#measure}>${this.isMeasuring ? "Measuring…" : "Measure the Set"}</button>` : nothing}
    </div>`;
  }

  #effects({ measured }: AblationView) {
    if (measured === null) return nothing;
    const { effects, isCurrent } = measured;
    const prompts = effects[0]?.prompts;
    return html`<h2>Change of ${effectInWords(effects[0])}${prompts === undefined ? nothing : ` over ${count(prompts)} prompts`}</h2>
      ${ablationFigure(effects, "set")}<p class="small">${ablationVerdict(effects, "set")}</p>
      ${isCurrent ? nothing : html`<p class="small dim" role="note">Measured before the set was changed.</p>`}`;
  }

  #button(label: string, name: "add" | "choose" | "openFile" | "openRun" | "bind" | "restoreAll", title?: string) {
    return html`<button class="plain" title=${title ?? nothing} @click=${() => this.#ask(this.#host.ask(name, {}))}>${label}</button>`;
  }

  /** Shows a factor at once, and writes it when the slider rests. */
  #slide(id: string, factor: number): void {
    this.moved = new Map([...this.moved, [id, factor]]);
    window.clearTimeout(this.#timers.get(id));
    const write = async (): Promise<void> => {
      await this.#ask(this.#host.ask("scale", { id, factor }).then(() => this.#open()));
      // A later move of the same slider is still to be written.
      if (this.moved.get(id) === factor) this.moved = new Map([...this.moved].filter(([other]) => other !== id));
    };
    this.#timers.set(
      id,
      window.setTimeout(() => void write(), slideDelayMs),
    );
  }

  async #measure(): Promise<void> {
    this.isMeasuring = true;
    await this.#ask(this.#host.ask("measure", {}));
    this.isMeasuring = false;
  }

  async #open(): Promise<void> {
    await this.#ask(
      this.#host.ask("open", {}).then((view) => {
        this.view = view;
      }),
    );
  }

  async #ask(asked: Promise<unknown>): Promise<void> {
    this.failure = await failureOf(asked);
  }
}

customElements.define("lfp-ablation", AblationApp);

/** Whether the set acts, and on what. */
const statusWords: { readonly [K in AblationStatus]: (view: AblationView) => string | TemplateResult } = {
  none: () => "",
  acts: ({ run }) => html`Acts on colours, hovers and completions through <b>${run?.name ?? ""}</b>.`,
  off: ({ run }) => html`Switched off. It belongs to <b>${run?.name ?? ""}</b>.`,
  otherRun: ({ run, looked }) =>
    html`Not applied: it belongs to <b>${run?.name ?? ""}</b>, and ${looked === null ? "no run is looked through" : html`the lens looks through <b>${looked}</b>`}.${run?.isAtHand === true ? "" : " No run of this workspace has those dictionaries."}`,
  unbound: () => "Not applied: the file does not say which run its features belong to.",
  broken: ({ problem }) => problem ?? "",
};

function sheet() {
  return css`
    .unseen { position: absolute; clip-path: inset(50%); }
    h2 { font-size: 12px; }
    p { margin: 2px 0 6px; }
    .tools { gap: 6px; margin: 6px 0; }
    .plain {
      appearance: none; border: 1px solid var(--vscode-button-border, transparent); border-radius: 2px; padding: 3px 8px; font: inherit; font-size: 12px; cursor: pointer;
      background: var(--vscode-button-secondaryBackground); color: var(--vscode-button-secondaryForeground);
    }
    .plain:hover { background: var(--vscode-button-secondaryHoverBackground); }
    .plain:disabled { opacity: 0.6; cursor: default; }
    .plain:focus-visible, input:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 1px; }
    .status { overflow-wrap: anywhere; }
    .otherRun, .unbound, .broken { border-left: 3px solid var(--vscode-editorWarning-foreground, var(--lfp-line)); padding-left: 7px; }
    .whole { display: inline-flex; gap: 6px; align-items: center; }
    .features { list-style: none; margin: 0; padding: 0; }
    input { accent-color: var(--vscode-focusBorder); }
  `;
}
