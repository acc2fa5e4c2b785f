// What the scripts of the pages have in common. It stands before them.
"use strict";

// ---------------------------------------------------------------- elements, without any HTML text
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value); else node.setAttribute(key, value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined));
  return node;
}

// ------------------------------------------------------------------------------------------ units
const STEPS = {
  mg: [[1e9, "t"], [1e6, "kg"], [1e3, "g"], [1, "mg"]],
  J: [[1e9, "GJ"], [1e6, "MJ"], [1e3, "kJ"], [1, "J"]],
  mL: [[1e6, "m³"], [1e3, "L"], [1, "mL"]],
  ng: [[1e15, "t"], [1e12, "kg"], [1e9, "g"], [1e6, "mg"], [1e3, "µg"], [1, "ng"]],
  "kg·m": [[1e6, "tkm"], [1, "kg·m"]], s: [[3600, "h"], [60, "min"], [1, "s"]],
  B: [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]], mm: [[1e3, "m"], [1, "mm"]],
};
function scale(unit, largest) {
  const nano = unit.startsWith("ng");
  const steps = STEPS[nano ? "ng" : unit] || [[1, unit]];
  const step = steps.find(([per]) => Math.abs(largest) >= per) || steps[steps.length - 1];
  return { per: step[0], name: step[1] + (nano ? unit.slice(2).replace("CO2", "CO₂") : "") };
}
function number(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.001) return value.toExponential(1);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// ----------------------------------------------------------------------------------------- charts
const dark = matchMedia("(prefers-color-scheme: dark)");
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
