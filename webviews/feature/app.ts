import "@vscode-elements/elements/dist/vscode-button/index.js";
import "@vscode-elements/elements/dist/vscode-checkbox/index.js";
import "@vscode-elements/elements/dist/vscode-textarea/index.js";
import "@vscode-elements/elements/dist/vscode-textfield/index.js";
import { css, html, LitElement, nothing } from "lit";
import type { z } from "zod";
import { count, percent, plain, short, signed, withInterval } from "../../drawing/format.ts";
import { FeaturePage } from "../../server/protocol/feature-pages.ts";
import {
  effectInWords,
  type FeatureDetail,
  type FeatureExample,
  type FeatureExplanation,
  type FeatureRow,
} from "../../server/protocol/features.ts";
import { ablationFigure, ablationVerdict, figureSheet } from "../common/ablation-figure.ts";
import { alertOf, failureOf } from "../common/failure.ts";
import { connect } from "../common/host.ts";
import { keepScroll } from "../common/scroll.ts";
import { shared } from "../common/styles.ts";
import { heatSheet, heatText } from "./example.ts";
import { histogram } from "./histogram.ts";

type Opened = z.output<typeof FeaturePage.asks.open.result>;
type Progress = z.output<typeof FeaturePage.tells.progress>;

/** The page of one feature: examples, effects, explanation, people's notes, and experiments with it. */
export class FeatureApp extends LitElement {
  static override properties = {
    opened: { state: true },
    tried: { state: true },
    progress: { state: true },
    numbers: { state: true },
    failure: { state: true },
  };
  static override styles = [shared, heatSheet, figureSheet, sheet()];

  declare opened: Opened | undefined;
  declare tried: FeatureExample | undefined;
  declare progress: Progress;
  declare numbers: boolean;
  declare failure: string;
  readonly #host = connect(FeaturePage);

  constructor() {
    super();
    this.progress = null;
    this.numbers = this.#host.state.numbers;
    this.failure = "";
    this.#host.on("changed", () => void this.#open());
    this.#host.on("moved", () => void this.#move());
    this.#host.on("progress", (progress) => {
      this.progress = progress;
    });
    void this.#open().then(async () => {
      await this.updateComplete;
      const { id, scroll: leftAt } = this.#host.state;
      keepScroll(id === "" || id === this.#id ? leftAt : 0, (scroll) =>
        this.#host.keep({ ...this.#host.state, id: this.#id, scroll }),
      );
    });
  }

  override render() {
    if (this.opened === undefined) return alertOf(this.failure);
    const { detail, ablatedBy } = this.opened;
    return html`${this.#navigation(this.opened)}<main>
      <h1>${detail.row.id} <span class="dim title">run ${this.opened?.runName ?? ""} · ${detail.explanations[0]?.text ?? ""}</span></h1>
      ${this.#facts(detail)}
      ${detail.annotatedEarlier ? html`<p class="dim">What people wrote here was written before the run was made again; its dictionary may differ.</p>` : nothing}
      ${this.#tools(detail, ablatedBy)}
      ${alertOf(this.failure)}
      ${this.progress === null ? nothing : html`<p class="dim" role="status"><progress max=${this.progress.total} value=${this.progress.done}></progress> ${this.progress.message}</p>`}
      <div class="columns">
        <div>${this.#examples(detail)} ${this.#tryOut(detail)}</div>
        <div>${this.#effects(detail)} ${this.#written(detail)}</div>
      </div>
    </main>`;
  }

  /** Id of the feature that the page shows; empty before it is known. */
  get #id(): string {
    return this.opened?.detail.row.id ?? "";
  }

  #navigation({ neighbours: { at, total, previous, next }, isPreview }: Opened) {
    const go = (id: string | null) => () => {
      if (id !== null) void this.#ask(this.#host.ask("go", { id }));
    };
    const step = (label: string, id: string | null, keys: string) =>
      html`<button class="link" ?disabled=${id === null} title=${id === null ? `No ${label} feature in the list` : `${id} (${keys})`} @click=${go(id)}>${label === "next" ? "Next ›" : "‹ Previous"}</button>`;
    return html`<nav class="small" aria-label="Features of the list">
      ${step("previous", previous, "Shift+Alt+F9")}
      <span class="dim">${at === null ? "not in the list" : `${count(at + 1)} of ${count(total)}`}</span>
      ${step("next", next, "Alt+F9")}
      ${isPreview ? html`<button class="link keep" title="A preview: the next feature takes its place" @click=${() => this.#ask(this.#host.ask("keepOpen", {}))}>Keep Open</button>` : nothing}
    </nav>`;
  }

  #facts({ row, explanations, baseTwin }: FeatureDetail) {
    const facts = [
      ...explanations.map(
        (explanation, at) => html`${at > 0 ? html`“${explanation.text}” ` : nothing}${explanationFact(explanation)}`,
      ),
      row.probeWeight === null ? undefined : `probe weight ${signed(row.probeWeight)}`,
      row.contribution === null ? undefined : `mean contribution ${signed(row.contribution)}`,
      `active on ${percent(row.density)} of tokens`,
      row.twin === null
        ? undefined
        : html`most alike in the other size ${this.#feature(row.twin.id)} (cosine ${plain(row.twin.cosine)})`,
      baseTwin === null
        ? undefined
        : html`in the base model ${this.#feature(baseTwin.id)} (cosine ${plain(baseTwin.cosine)})`,
    ].filter((fact) => fact !== undefined);
    return html`<div class="small dim">${facts.map((fact, at) => html`${at > 0 ? " · " : nothing}${fact}`)}</div>`;
  }

  #feature(id: string) {
    return html`<button class="link" @click=${() => this.#ask(this.#host.ask("openFeature", { id }))}>${id}</button>`;
  }

  #tools({ row, explanations }: FeatureDetail, ablatedBy: number | null) {
    const ask = (asked: () => Promise<unknown>) => () => this.#ask(asked());
    const ablate = (factor: number | null) => ask(async () => await this.#host.ask("ablate", { factor }));
    return html`<div class="tools">
      ${
        ablatedBy === null
          ? html`<vscode-button @click=${ablate(0)}>Ablate</vscode-button><vscode-button secondary @click=${ablate(2)}>Steer × 2</vscode-button>`
          : html`<vscode-button @click=${ablate(null)}>Restore</vscode-button><span class="chip">${ablatedBy === 0 ? "ablated" : `steered × ${short(ablatedBy)}`}</span>`
      }
      <vscode-button secondary @click=${ask(async () => await this.#host.ask("compare", { factor: ablatedBy ?? 0 }))}>Compare Completions</vscode-button>
      <vscode-button secondary @click=${ask(async () => await this.#host.ask("explain", {}))}>${explanations.length === 0 ? "Explain…" : "Explain Again…"}</vscode-button>
      <vscode-button secondary @click=${() => this.#annotate({ pinned: !row.pinned })}>${row.pinned ? "★ Pinned" : "☆ Pin"}</vscode-button>
    </div>`;
  }

  #examples({ row, examples, activeTokens, tokens }: FeatureDetail) {
    if (examples.length === 0) return html`<p class="dim">No examples are kept of this feature.</p>`;
    return html`<h2>Examples</h2>
      <div class="tools"><span class="small dim">Active on ${count(activeTokens)} of ${count(tokens)} tokens.</span>
        <vscode-checkbox label="Show activations as numbers" ?checked=${this.numbers} @change=${this.#toggleNumbers}></vscode-checkbox></div>
      ${examples.map(
        ({ group, examples: own }) =>
          html`<h3 class="k">${groups[group]}</h3>${own.map((one) =>
            heatText(one, row.maxActivation, {
              sign: signOf(row),
              numbers: this.numbers,
              isSilent: group === "silent",
              openSource: () => this.#openSource(one),
            }),
          )}`,
      )}`;
  }

  #tryOut({ row }: FeatureDetail) {
    return html`<h2>Try your own text</h2>
      <vscode-textarea .label=${"Your own text"} rows="3" maxlength="20000" .value=${this.#host.state.text} @input=${this.#keepText}></vscode-textarea>
      <div class="tools"><vscode-button secondary @click=${this.#try}>Read Text</vscode-button>
        ${this.tried === undefined ? nothing : html`<span class="dim" role="status">strongest ${plain(Math.max(0, ...this.tried.activations))} of ${plain(row.maxActivation)}</span>`}
      </div>
      ${this.tried === undefined ? nothing : html`<div class="tried">${heatText(this.tried, row.maxActivation, { sign: signOf(row), numbers: this.numbers })}</div>`}`;
  }

  #effects({ row, promotes, suppresses, ablations }: FeatureDetail) {
    const tokens = (list: FeatureDetail["promotes"]) =>
      list.length === 0
        ? html`<div>–</div>`
        : html`<ul class="tokens">${list.map(
            ({ token, logit }) =>
              html`<li><span class="token">${token.trim() === "" ? JSON.stringify(token) : token.trim()}</span> <span class="small dim">${signed(logit)}</span></li>`,
          )}</ul>`;
    const prompts = ablations[0]?.prompts;
    return html`<h2>Numbers and effects</h2>
      <h3 class="k">activations by strength</h3>
      ${histogram(row, signOf(row))}
      <h3 class="k">promotes, in logits</h3>${tokens(promotes)}
      <h3 class="k">suppresses</h3>${tokens(suppresses)}
      <h3 class="k">ablation: change of ${effectInWords(ablations[0])}${prompts === undefined ? nothing : ` over ${count(prompts)} prompts`}</h3>
      ${ablations.length === 0 ? html`<div class="dim">not measured</div>` : html`${ablationFigure(ablations)}<p class="small">${ablationVerdict(ablations)}</p>`}
      <button class="link small" @click=${() => this.#ask(this.#host.ask("measure", { factor: 0 }))}>${ablations.length === 0 ? "Measure" : "Measure again"} with controls</button>`;
  }

  #written({ row, note }: FeatureDetail) {
    const without = (label: string) => () => this.#annotate({ labels: row.labels.filter((other) => other !== label) });
    return html`<h2>Yours</h2><h3 class="k">labels</h3>
      <div class="labels">${row.labels.map((label) => html`<span class="chip">${label} <button class="link" aria-label=${`Remove the label ${label}`} @click=${without(label)}>×</button></span>`)}
        <vscode-textfield class="label" .label=${"New label"} placeholder="Add a label, Enter" maxlength="100" @keydown=${this.#addLabel}></vscode-textfield></div>
      <h3 class="k">note</h3>
      <vscode-textarea class="note" .label=${"Note"} rows="3" maxlength="10000" .value=${note} placeholder="Kept in the run's folder" @change=${this.#saveNote}></vscode-textarea>`;
  }

  #toggleNumbers(): void {
    this.numbers = !this.numbers;
    this.#host.keep({ ...this.#host.state, numbers: this.numbers });
  }

  async #open(): Promise<void> {
    await this.#ask(
      this.#host.ask("open", {}).then((opened) => {
        this.opened = opened;
      }),
    );
  }

  /** Shows the feature to which the tab has moved, from its top. */
  async #move(): Promise<void> {
    this.tried = undefined;
    await this.#open();
    this.#host.keep({ ...this.#host.state, id: this.#id, scroll: 0 });
    window.scrollTo(0, 0);
  }

  #openSource({ source, tokens }: FeatureExample): void {
    void this.#ask(this.#host.ask("openSource", { source, text: tokens.join("").slice(0, 20_000) }));
  }

  #keepText(event: Event): void {
    this.#host.keep({ ...this.#host.state, text: textOf(event).slice(0, 20_000) });
  }

  async #try(): Promise<void> {
    await this.#ask(
      this.#host.ask("tryText", { text: this.#host.state.text }).then((tried) => {
        this.tried = tried;
      }),
    );
  }

  #addLabel(event: KeyboardEvent): void {
    const label = textOf(event).trim();
    const labels = this.opened?.detail.row.labels ?? [];
    if (event.key !== "Enter" || label === "" || labels.includes(label)) return;
    if (event.target instanceof HTMLElement && "value" in event.target) event.target.value = "";
    void this.#annotate({ labels: [...labels, label] });
  }

  #saveNote(event: Event): void {
    void this.#annotate({ note: textOf(event) });
  }

  async #annotate(change: {
    readonly note?: string;
    readonly labels?: string[];
    readonly pinned?: boolean;
  }): Promise<void> {
    const { opened } = this;
    if (opened === undefined) return;
    await this.#ask(
      this.#host.ask("annotate", { id: opened.detail.row.id, ...change }).then((row: FeatureRow) => {
        this.opened = { ...opened, detail: { ...opened.detail, row, note: change.note ?? opened.detail.note } };
      }),
    );
  }

  async #ask(asked: Promise<unknown>): Promise<void> {
    this.failure = await failureOf(asked);
  }
}

customElements.define("lfp-feature", FeatureApp);

const groups: Readonly<Record<FeatureDetail["examples"][number]["group"], string>> = {
  top: "strongest",
  q4: "strongest quarter",
  q3: "third quarter",
  q2: "second quarter",
  q1: "weakest quarter",
  silent: "similar words on which it is silent (framed); it may be active elsewhere in the text",
};

/** Features that lower the reward are shaded in the colour of negative values. */
function signOf({ contribution, probeWeight }: FeatureRow): "positive" | "negative" {
  return (contribution ?? probeWeight ?? 0) < 0 ? "negative" : "positive";
}

function explanationFact({ explainer, score, relevance }: FeatureExplanation): string {
  const parts = [
    explainer === "offline" ? "explained offline" : `explained by ${explainer}`,
    score === null
      ? undefined
      : `score ${withInterval(score.value, score.low, score.high)} by ${score.method} on ${score.windows} other texts (0.50 is a guess)`,
    relevance === null
      ? undefined
      : relevance.relevant
        ? `relevant: ${relevance.polarity}`
        : "not relevant to the task",
  ];
  return parts.filter((part) => part !== undefined).join(" · ");
}

function textOf({ target }: Event): string {
  return target instanceof HTMLElement && "value" in target ? String(target.value) : "";
}

function sheet() {
  return css`
    nav { display: flex; gap: 10px; align-items: baseline; margin-bottom: 6px; }
    nav .link:disabled { color: var(--vscode-disabledForeground, var(--lfp-dim)); cursor: default; text-decoration: none; }
    .keep { margin-left: auto; }
    .title { font-weight: 400; }
    .columns { display: grid; grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); gap: 28px; align-items: start; max-width: 1240px; }
    @media (max-width: 720px) { .columns { grid-template-columns: minmax(0, 1fr); } }
    .columns h2:first-child { margin-top: 6px; }
    .k { color: var(--lfp-dim); font-size: 12px; font-weight: 400; margin: 10px 0 2px; }
    .tokens { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 0; padding: 0; }
    p { margin: 2px 0; }
    .token { font-family: var(--lfp-mono); font-size: 12px; }
    .labels { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
    .label { width: 150px; }
    vscode-textarea { width: 100%; max-width: 520px; }
    .tried { border-left: 2px solid var(--lfp-line); padding-left: 10px; }
    progress { width: 160px; vertical-align: middle; accent-color: var(--vscode-progressBar-background, var(--vscode-focusBorder)); }
  `;
}
