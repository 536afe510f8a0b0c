// Puts every picture in its place, and lets the reader choose light or dark.

const KINDS = {
  lines: [drawLines, legendOfLines],
  lanes: [drawLanes, legendOfLanes],
};

// The hatching and the arrow are drawn once, and used by all.
function patterns() {
  const hatch = svg("pattern", {
    id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
  }, svg("rect", { class: "hatch-ground", width: 6, height: 6 }),
  svg("line", { class: "hatch-line", x1: 1.5, x2: 1.5, y1: 0, y2: 6 }));
  const arrow = svg("marker", {
    id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse",
  }, svg("path", { class: "arrow", d: "M0 0L8 4L0 8Z" }));
  return svg("svg", { class: "patterns", width: 0, height: 0, "aria-hidden": "true" }, svg("defs", {}, hatch, arrow));
}

function legend(entries) {
  const list = html("ul", { class: "legend" });
  for (const [style, path, words] of entries) {
    const swatch = svg("svg", { width: 28, height: 14, "aria-hidden": "true" }, svg("path", { class: style, d: path }));
    list.append(html("li", {}, swatch, words));
  }
  return list;
}

function put(chart, plot) {
  const [draw, entries] = KINDS[plot.kind];
  const view = viewOf(plot);
  let place = { left: 0, right: 1 };
  const redraw = () => {
    const width = Math.max(chart.clientWidth, 300);
    const drawn = draw(plot, view, width);
    place = drawn.place;
    const shade = svg("rect", {
      class: "selection", x: 0, width: 0, y: place.top, height: place.bottom - place.top,
    });
    const words = `${plot.title}. ${plot.sentence}`;
    chart.replaceChildren(svg("svg", {
      viewBox: `0 0 ${width} ${drawn.height}`, role: "img", "aria-label": words,
    }, drawn.picture, shade));
    chart.dataset.from = Math.round(view.from);
    chart.dataset.to = Math.round(view.to);
  };
  const head = html("div", { class: "tools" }, legend(entries(plot)), buttons(view));
  chart.before(head);
  view.redraws.push(redraw);
  interact(chart, view, () => place);
  new ResizeObserver(redraw).observe(chart);
}

function theme() {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = html("button", { type: "button", class: "theme" });
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
  return button;
}

const { plots } = JSON.parse(document.getElementById("data").textContent);
plots.forEach((plot, number) => { plot.number = number; });
document.body.prepend(patterns(), theme());
const charts = [...document.querySelectorAll("[data-plot]")];
// First all views, then the buttons: a view spans every picture of its group.
for (const chart of charts) viewOf(plots[chart.dataset.plot]);
for (const view of views.values()) if (!plots.some((plot) => plot.view && views.get(plot.group) === view)) {
  [view.from, view.to, view.first] = [view.min, view.max, [view.min, view.max]];
}
for (const chart of charts) put(chart, plots[chart.dataset.plot]);
