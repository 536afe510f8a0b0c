// Which stretch of time a group of pictures shows, and how a reader moves it.

class View {
  constructor(min, max, from, to) {
    Object.assign(this, { min, max, from, to, first: [from, to], redraws: [] });
  }

  show(from, to) {
    const least = Math.min(20, this.max - this.min);
    const width = Math.min(Math.max(to - from, least), this.max - this.min);
    const start = Math.min(Math.max(from, this.min), this.max - width);
    [this.from, this.to] = [start, start + width];
    for (const redraw of this.redraws) redraw();
  }

  zoom(factor, around = (this.from + this.to) / 2) {
    this.show(around - (around - this.from) * factor, around + (this.to - around) * factor);
  }

  move(share) {
    const way = (this.to - this.from) * share;
    this.show(this.from + way, this.to + way);
  }

  get whole() {
    return this.from <= this.min && this.to >= this.max;
  }
}

const views = new Map();

// Pictures of one group share a view; it spans all of them.
function viewOf(plot) {
  const min = plot.start ?? 0;
  const [from, to] = plot.view ?? [min, plot.end];
  const view = views.get(plot.group);
  if (!view) {
    views.set(plot.group, new View(Math.min(min, from), Math.max(plot.end, to), from, to));
  } else {
    view.min = Math.min(view.min, min);
    view.max = Math.max(view.max, plot.end);
  }
  return views.get(plot.group);
}

const ACTIONS = [
  ["+", "Zoom in", (view) => view.zoom(0.5), ["+", "="]],
  ["−", "Zoom out", (view) => view.zoom(2), ["-", "_"]],
  ["◂", "Earlier", (view) => view.move(-0.25), ["ArrowLeft"]],
  ["▸", "Later", (view) => view.move(0.25), ["ArrowRight"]],
  ["↺", "As it was at first", (view) => view.show(...view.first), ["0", "Home"]],
  ["all", "Everything", (view) => view.show(view.min, view.max), ["End"]],
];

function buttons(view) {
  const row = html("div", { class: "buttons" });
  for (const [sign, about, act] of ACTIONS) {
    if (sign === "all" && view.first[0] <= view.min && view.first[1] >= view.max) continue;
    const button = html("button", { type: "button", title: about, "aria-label": about }, sign);
    button.addEventListener("click", () => act(view));
    row.append(button);
  }
  return row;
}

// `frame` tells where the picture lies: left and right in pixels of its own width.
function interact(chart, view, frame) {
  const timeAt = (event) => {
    const box = chart.getBoundingClientRect();
    const { left, right } = frame();
    const share = (event.clientX - box.left - left) / (right - left);
    return view.from + Math.min(1, Math.max(0, share)) * (view.to - view.from);
  };
  chart.addEventListener("keydown", (event) => {
    const action = ACTIONS.find((each) => each[3].includes(event.key));
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action[2](view);
  });
  // A page must scroll past a picture: the wheel zooms the one that was chosen.
  chart.addEventListener("wheel", (event) => {
    if (document.activeElement !== chart && !event.ctrlKey) return;
    event.preventDefault();
    view.zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
  }, { passive: false });
  let start = null;
  chart.addEventListener("pointerdown", (event) => {
    if (event.button === 0) start = { x: event.clientX, time: timeAt(event) };
  });
  chart.addEventListener("pointermove", (event) => {
    if (!start) return;
    const box = chart.getBoundingClientRect();
    const shade = chart.querySelector(".selection");
    const [a, b] = [start.x, event.clientX].sort((one, two) => one - two);
    shade?.setAttribute("x", a - box.left);
    shade?.setAttribute("width", b - a);
  });
  const end = (event) => {
    if (!start) return;
    const [a, b] = [start.time, timeAt(event)].sort((one, two) => one - two);
    const far = Math.abs(event.clientX - start.x) > 6;
    start = null;
    if (far) view.show(a, b);
  };
  chart.addEventListener("pointerup", end);
  chart.addEventListener("pointerleave", end);
  chart.addEventListener("dblclick", () => view.show(...view.first));
}

// The axis of time below a picture, with its unit; `place` is {left, right, top, bottom}.
function timeAxis(view, x, place) {
  const width = view.to - view.from;
  const { name, size } = unit(width / 2);
  const { step, values } = ticks(view.from / size, view.to / size, (place.right - place.left) / 90);
  // Late in a run only the last digits differ: they are what an axis shows.
  const late = values.length && view.from > 20 * width;
  const base = late ? values[0] : 0;
  const axis = svg("g", { class: "axis" });
  for (const value of values) {
    const at = x(value * size);
    axis.append(
      svg("line", { class: "grid", x1: at, x2: at, y1: place.top, y2: place.bottom }),
      svg("text", { x: at, y: place.bottom + 17, "text-anchor": "middle" }, number(value - base, step)),
    );
  }
  const middle = (place.left + place.right) / 2;
  axis.append(svg("text", { class: "label", x: middle, y: place.bottom + 36, "text-anchor": "middle" },
    late ? `${name} after ${number(base * size / 1e6, step * size / 1e6)} ms` : `time since the start, ${name}`));
  return axis;
}
