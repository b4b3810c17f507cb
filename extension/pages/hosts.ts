/** The host's side of every page; loaded with the first page that is shown. */
import type { Extension } from "../context.ts";
import { compareHost } from "./compare.ts";
import { curvesHost } from "./curves.ts";
import { featureHost } from "./feature.ts";
import { featuresHost } from "./features.ts";
import type { PageHosts } from "./panels.ts";
import { reportHost } from "./report.ts";

/** The host parts of all pages, by the page's name. */
export function pageHosts(extension: Extension): PageHosts {
  return {
    curves: curvesHost(extension),
    report: reportHost(extension),
    compare: compareHost(extension),
    features: featuresHost(extension),
    feature: featureHost(extension),
  };
}
