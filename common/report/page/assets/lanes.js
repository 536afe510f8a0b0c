// A lane for each process: when it waits, when it is inside, and what it did there.

const LANES = { left: 104, right: 24, top: 10, bottom: 44 };

function rectangle(style, from, to, top, height) {
  return svg("rect", { class: style, x: from.toFixed(2), y: top, height, width: Math.max(to - from, 1).toFixed(2) });
}

// Shares of equal spans of time, one above the other.
function drawShares(lane, plot, x, top, height) {
  const span = plot.end / lane.inside.length;
  const area = (floor, ceiling, style) => {
    let there = "";
    let back = "";
    for (let at = 0; at < lane.inside.length; at++) {
      const [a, b] = [x(at * span).toFixed(1), x((at + 1) * span).toFixed(1)];
      const level = (share) => (top + height * (1 - Math.min(share, 1))).toFixed(1);
      there += `${at ? "L" : "M"}${a} ${level(ceiling(at))}H${b}`;
      back = `L${b} ${level(floor(at))}H${a}${back}`;
    }
    return svg("path", { class: style, d: `${there}${back}Z` });
  };
  return [
    area(() => 0, (at) => lane.inside[at], "inside"),
    area((at) => lane.inside[at], (at) => lane.inside[at] + lane.wait[at], "wait"),
  ];
}

function drawBar(bar, view, x, top, height) {
  if (bar.left < view.from || bar.asked > view.to) return null;
  const group = svg("g", { class: `bar${bar.witness ? " witness" : ""}${bar.inner ? " inner" : ""}` });
  const [asked, entered, left] = [bar.asked, bar.entered, bar.left].map(x);
  const shrink = bar.inner ? height * 0.3 : 0;
  if (bar.entered > bar.asked) group.append(rectangle("wait", asked, entered, top, height));
  group.append(rectangle("inside", entered, left, top + shrink, height - 2 * shrink));
  if (bar.text) group.append(svg("title", {}, bar.text));
  return group;
}

// Words fit into 6.4 pixels a letter; a witness's stand below its bar where they do not, unless
// those of an earlier one, which end at `taken`, stand there.
function drawLabel(bar, view, x, place, top, height, taken) {
  const words = bar.label.join(" · ");
  const from = Math.max(x(bar.entered), place.left);
  const to = Math.min(x(bar.left), place.right);
  if (bar.left < view.from || bar.entered > view.to) return null;
  const fits = to - from > words.length * 6.4 + 8;
  if (!fits && !bar.witness) return null;
  const half = words.length * 3.3;
  const middle = Math.min(Math.max((from + to) / 2, place.left + half), place.right - half);
  const y = fits && !bar.inner ? top + height / 2 + 4 : top + height + 14;
  const style = fits && !bar.inner ? "in" : "below";
  if (style === "below") {
    if (middle - half < taken.end + 8) return null;
    taken.end = middle + half;
  }
  return svg("text", { class: `words ${style}`, x: middle, y, "text-anchor": "middle" }, words);
}

function drawLink(link, x, centre, place) {
  const [a, b] = [link.from, link.to].map(([name, time]) => [x(time), centre.get(name)]);
  const bend = Math.max(18, Math.abs(b[0] - a[0]) * 0.4);
  const path = `M${a[0]} ${a[1]}C${a[0] + bend} ${a[1]} ${b[0] + bend} ${b[1]} ${b[0]} ${b[1]}`;
  const right = (a[0] + b[0]) / 2 + bend * 0.75 + 6;
  const room = right + link.text.length * 6.6 < place.right;
  return [
    svg("path", { class: "link", d: path, "marker-end": "url(#arrow)" }),
    svg("text", {
      class: "words link-words", x: room ? right : (a[0] + b[0]) / 2 - 8, y: (a[1] + b[1]) / 2 + 4,
      "text-anchor": room ? "start" : "end",
    }, link.text),
  ];
}

function drawLanes(plot, view, width) {
  const told = plot.lanes.some((lane) => lane.bars?.some((bar) => bar.label));
  const [row, height] = told ? [52, 24] : [Math.max(14, Math.min(30, 360 / plot.lanes.length)), 0];
  const place = {
    left: LANES.left, right: width - LANES.right, top: LANES.top,
    bottom: LANES.top + row * plot.lanes.length,
  };
  const x = linear(view.from, view.to, place.left, place.right);
  const outer = svg("g");
  outer.append(timeAxis(view, x, place));
  const picture = svg("g", { class: told ? "told" : null, "clip-path": `url(#clip-${plot.number})` });
  const words = svg("g");
  const centre = new Map();
  plot.lanes.forEach((lane, at) => {
    const top = place.top + at * row + (told ? 8 : 2);
    const tall = height || row - 5;
    centre.set(lane.name, top + tall / 2);
    const short = lane.name.length > 14 ? `${lane.name.slice(0, 13)}…` : lane.name;
    outer.append(
      svg("text", { class: "lane", x: place.left - 8, y: top + tall / 2 + 4, "text-anchor": "end" },
        short, svg("title", {}, lane.name)),
      svg("line", { class: "rule", x1: place.left, x2: place.right, y1: place.top + (at + 1) * row, y2: place.top + (at + 1) * row }),
    );
    if (lane.inside) picture.append(...drawShares(lane, plot, x, top, tall));
    // Those that bear witness lie on top.
    const bars = [...lane.bars ?? []].sort((a, b) => Boolean(a.witness) - Boolean(b.witness));
    const taken = { end: -Infinity };
    for (const each of bars) {
      const bar = Array.isArray(each) ? { asked: each[0], entered: each[1], left: each[2] } : each;
      const drawn = drawBar(bar, view, x, top, tall);
      if (drawn) picture.append(drawn);
      const label = drawn && bar.label && drawLabel(bar, view, x, place, top, tall, taken);
      if (label) words.append(label);
    }
  });
  for (const link of plot.links ?? []) picture.append(...drawLink(link, x, centre, place));
  outer.append(
    svg("clipPath", { id: `clip-${plot.number}` }, svg("rect", {
      x: place.left, y: 0, width: place.right - place.left, height: place.bottom,
    })),
    picture, words,
  );
  return { picture: outer, place, height: place.bottom + LANES.bottom };
}

function legendOfLanes(plot) {
  const found = [["wait", "M0 2H26V12H0Z", "waits"], ["inside", "M0 2H26V12H0Z", "inside"]];
  if (plot.links) found.push(["inside witness", "M1 2H25V12H1Z", "bears witness"]);
  return found;
}
