import "../common/no-eval.ts";
import "./app.ts";

document.body.append(document.createElement("lfp-compare"));
