/**
 * Stops zod from compiling schemas with `new Function`, which the pages' policy forbids and reports. Import it before
 * any schema.
 */
import * as z from "zod";

z.config({ jitless: true });
