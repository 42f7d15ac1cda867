// A training's examination in words: each check with its own, and what is missing.

import { make } from "./dom.js";

const TITLES = {
  base: "On the base data", audit: "On the audit sample", cameras: "Camera by camera", calibration: "Calibration",
  cost: "Cost", labels: "Labels of rules", parity: "Exports",
};
const SIGNS = { true: ["passed", "good"], false: ["failed", "bad"], null: ["not decided", "warn"] };

/** → elements that say what a gate said; none for a version that was never examined. */
export function gateWords(gate) {
  if (!gate) return [];
  const head = gate.passed ? [passedWords(gate), "good"] : ["Refused.", "bad"];
  return [
    make("p", { className: head[1] }, head[0]),
    ...missingWords(gate),
    make("ul", { className: "checks-list" }, ...gate.checks.map(checkItem)),
  ];
}

/** A check that has nothing to go by refuses nobody, and is not passed either. */
const passedWords = ({ checks }) => (checks.every(({ passed }) => passed) ? "Passed every check." : "Passed: no check speaks against it.");

function missingWords({ passed, missing }) {
  if (!missing?.length) return [];
  if (passed) return [make("p", { className: "soft" }, `Judged by fewer labels than are asked for: ${missing.join(", ")}.`)];
  return [make("p", { className: "wrong" }, `Labels are missing: ${missing.join(", ")}.`)];
}

/** Words name cameras: who does not see all of them gets none. */
function checkItem({ name, passed, words }) {
  const [sign, kind] = SIGNS[String(passed)];
  return make("li", {},
    make("span", { className: `chip ${kind}` }, sign),
    make("span", {}, make("strong", {}, TITLES[name] ?? name), words ? `: ${words}` : ""));
}
