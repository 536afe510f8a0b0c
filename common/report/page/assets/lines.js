// Values over time as steps, with marks on the moments at which something was lost.

const LINES = { left: 104, right: 24, top: 12, bottom: 44, height: 270 };
const CROSS = "M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5";
// The height of the highest bar, where losses are counted.
const BARS = 45;

function extent(plot, view) {
  if (plot.range && view.whole) return plot.range;
  let [low, high] = [Infinity, -Infinity];
  for (const { x, y } of plot.series) {
    for (let at = 0; at < x.length; at++) {
      // What holds at the left edge began before it.
      const seen = x[at] <= view.to && (x[at + 1] ?? Infinity) >= view.from;
      if (seen && y[at] !== null) [low, high] = [Math.min(low, y[at]), Math.max(high, y[at])];
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

function steps(series, view, x, y) {
  let path = "";
  let height = null;
  for (let at = 0; at < series.x.length; at++) {
    const next = series.x[at + 1] ?? view.max;
    if (next < view.from || series.y[at] === null) continue;
    if (series.x[at] > view.to) break;
    const level = y(series.y[at]).toFixed(1);
    const start = x(Math.max(series.x[at], view.from)).toFixed(1);
    path += height === null ? `M${start} ${level}` : `H${start}V${level}`;
    height = level;
  }
  return height === null ? "" : `${path}H${x(view.to).toFixed(1)}`;
}

function drawLines(plot, view, width) {
  const place = {
    left: LINES.left, right: width - LINES.right, top: LINES.top, bottom: LINES.height - LINES.bottom,
  };
  const [low, high] = extent(plot, view);
  const air = (high - low || Math.abs(high) || 1) * 0.06;
  const x = linear(view.from, view.to, place.left, place.right);
  const floor = place.bottom - (plot.counted ? BARS + 4 : 0);
  const y = linear(low - air, high + air, floor, place.top);
  const picture = svg("g");
  const { step, values } = ticks(low - air, high + air, 5);
  const axis = svg("g", { class: "axis" });
  for (const value of values) {
    axis.append(
      svg("line", { class: "grid", x1: place.left, x2: place.right, y1: y(value), y2: y(value) }),
      svg("text", { x: place.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value, step)),
    );
  }
  const middle = (place.top + place.bottom) / 2;
  axis.append(svg("text", {
    class: "label", "text-anchor": "middle", transform: `translate(14 ${middle}) rotate(-90)`,
  }, plot.y));
  picture.append(axis, timeAxis(view, x, place));
  if (low < 0 && high > 0) {
    picture.append(svg("line", { class: "zero", x1: place.left, x2: place.right, y1: y(0), y2: y(0) }));
  }
  for (const series of plot.series) {
    picture.append(svg("path", { class: `line ${series.style}`, d: steps(series, view, x, y) }));
  }
  const seen = plot.marks.filter((mark) => mark.x >= view.from && mark.x <= view.to && mark.y !== null);
  const most = Math.max(...seen.map((mark) => mark.n));
  for (const mark of seen) {
    const [style, path, level] = plot.counted
      ? ["lost counted", `M0 0V-${(BARS * mark.n / most).toFixed(1)}`, place.bottom]
      : ["lost", CROSS, y(mark.y)];
    picture.append(svg("path", {
      class: style, d: path, transform: `translate(${x(mark.x).toFixed(1)} ${level.toFixed(1)})`,
    }, svg("title", {}, mark.text)));
  }
  return { picture, place, height: LINES.height };
}

function legendOfLines(plot) {
  const found = plot.series.map((series) => [`line ${series.style}`, "M0 7H26", series.name]);
  if (plot.marks.length) {
    const count = plot.marks.reduce((sum, mark) => sum + mark.n, 0);
    const path = plot.counted ? "M7 14V6M13 14V2M19 14V9" : "M9 3L17 11M9 11L17 3";
    const style = plot.counted ? "lost counted" : "lost";
    found.push([style, path, `lost (${count.toLocaleString("en-US")})`]);
  }
  return found;
}
