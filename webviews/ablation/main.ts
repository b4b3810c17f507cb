import "../common/no-eval.ts";
import "./app.ts";

// Views stand on the side bar's ground, with less room than tabs have.
document.body.dataset["view"] = "";
document.body.append(document.createElement("lfp-ablation"));
