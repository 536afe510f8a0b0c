// Numbers, times and places: how a value becomes a pixel, and a word.

const SVG = "http://www.w3.org/2000/svg";

// One element of SVG; text is only ever set as text.
function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function linear(from, to, low, high) {
  const slope = (high - low) / (to - from || 1);
  return (value) => low + (value - from) * slope;
}

// About `count` round values between two; steps are 1, 2 or 5 times a power of ten.
function ticks(from, to, count) {
  const raw = (to - from) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((each) => each * power >= raw * 0.999) || 10);
  const found = [];
  for (let at = Math.ceil(from / step); at * step <= to + step * 1e-9; at++) found.push(at * step || 0);
  return { step, values: found };
}

function decimals(step) {
  return Math.max(0, Math.min(9, Math.ceil(-Math.log10(step) - 1e-9)));
}

function number(value, step) {
  const digits = decimals(step);
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// The unit in which a stretch of time (ns) is read.
function unit(span) {
  for (const [name, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
    if (span >= size) return { name, size };
  }
  return { name: "ns", size: 1 };
}
