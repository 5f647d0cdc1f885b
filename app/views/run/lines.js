// Live line charts: redrawn in place, so that nothing flickers and nothing accumulates.

const SPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 48, right: 14, top: 8, bottom: 32 };

function mark(kind, attributes, text) {
  const made = document.createElementNS(SPACE, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function ticks(low, high, most, whole) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  if (whole) step = Math.max(1, Math.ceil(step));
  const found = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high + step * 1e-6; number++) found.push(number * step);
  return found;
}

function words(value, percent) {
  if (percent) return (100 * value).toFixed(Math.abs(value) < 0.1 && value !== 0 ? 1 : 0) + " %";
  return String(Number(value.toPrecision(3)));
}

function extent(data) {
  const xs = [], ys = [];
  for (const { points } of data.series) for (const [x, y] of points) { xs.push(x); ys.push(y); }
  if (!xs.length) return null;
  const reduce = (values, pick) => values.reduce((a, b) => pick(a, b));
  let [left, right] = [Math.min(data.x_from, reduce(xs, Math.min)), Math.max(data.x_to, reduce(xs, Math.max))];
  let [low, high] = [reduce(ys, Math.min), reduce(ys, Math.max)];
  if (data.percent) [low, high] = [Math.max(0, low - 0.02), Math.min(1, high + 0.02)];
  else [low, high] = [Math.max(0, low - (high - low) * 0.08), high + (high - low) * 0.05];
  if (high - low < 1e-9) [low, high] = [low - 0.05, high + 0.05];
  if (right - left < 1e-9) right = left + 1;
  return { left, right, low, high };
}

function path(points, x, y) {
  return points.map(([at, value], place) => (place ? "L" : "M") + x(at).toFixed(1) + " " + y(value).toFixed(1)).join("");
}

function axes(svg, data, box, x, y, width) {
  for (const value of ticks(box.low, box.high, 4, false)) {
    svg.append(mark("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value), stroke: data.line }));
    const place = { x: MARGIN.left - 7, y: y(value) + 4, "text-anchor": "end", fill: data.soft };
    svg.append(mark("text", place, words(value, data.percent)));
  }
  const floor = data.height - MARGIN.bottom;
  for (const value of ticks(box.left, box.right, Math.min(8, width / 80), true)) {
    svg.append(mark("text", { x: x(value), y: floor + 15, "text-anchor": "middle", fill: data.soft }, words(value)));
  }
  const middle = (MARGIN.left + width - MARGIN.right) / 2;
  svg.append(mark("text", { x: middle, y: data.height - 3, "text-anchor": "middle", fill: data.ink }, data.x_title));
}

function draw(root) {
  const data = root.facts, svg = root.querySelector("svg");
  const width = Math.max(220, root.clientWidth || 220);
  const box = extent(data);
  svg.setAttribute("viewBox", `0 0 ${width} ${data.height}`);
  svg.setAttribute("height", data.height);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", data.alt);
  root.scale = null;
  svg.replaceChildren();
  if (!box) {
    const place = { x: width / 2, y: data.height / 2, "text-anchor": "middle", fill: data.soft };
    svg.append(mark("text", place, data.empty));
    return;
  }
  const x = (at) => MARGIN.left + ((at - box.left) / (box.right - box.left)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) =>
    data.height - MARGIN.bottom - ((value - box.low) / (box.high - box.low)) * (data.height - MARGIN.top - MARGIN.bottom);
  axes(svg, data, box, x, y, width);
  if (data.band.points.length > 1) {
    const over = data.band.points.map(([at, , high]) => [at, high]);
    const under = data.band.points.map(([at, low]) => [at, low]).reverse();
    svg.append(mark("path", { d: path([...over, ...under], x, y) + "Z", fill: data.band.colour, opacity: 0.28 }));
  }
  for (const line of data.series) {
    const style = { fill: "none", stroke: line.colour, "stroke-width": line.width, opacity: line.opacity };
    svg.append(mark("path", { d: path(line.points, x, y), "stroke-linejoin": "round", ...style }));
    const last = line.points.at(-1);
    if (last && line.width > 1) svg.append(mark("circle", { cx: x(last[0]), cy: y(last[1]), r: 3, fill: line.colour }));
  }
  for (const { at, title } of data.rules) {
    const from = { x1: x(at), x2: x(at), y1: MARGIN.top, y2: data.height - MARGIN.bottom };
    svg.append(mark("line", { ...from, stroke: data.soft, "stroke-dasharray": "3 3" }));
    const late = x(at) > width - 110;
    const place = { x: x(at) + (late ? -5 : 5), y: MARGIN.top + 9, "text-anchor": late ? "end" : "start" };
    svg.append(mark("text", { ...place, fill: data.soft }, title));
  }
  root.scale = { x, box, width };
}

function legend(root) {
  const drawn = root.facts.series.filter((line) => line.points.length);
  const entries = drawn.map((line) => ({ ...line, kind: line.width < 2 ? "thin" : "" }));
  if (root.facts.band.points.length > 1) entries.push({ ...root.facts.band, kind: "band", opacity: 0.5 });
  const made = entries.map(({ name, colour, kind, opacity }) => {
    const item = document.createElement("span"), swatch = document.createElement("span");
    swatch.className = "mark " + kind;
    swatch.style.background = colour;
    swatch.style.opacity = opacity;
    item.append(swatch, name);
    return item;
  });
  root.querySelector(".legend").replaceChildren(...made);
}

function nearest(points, at) {
  let low = 0, high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < at) low = middle;
    else high = middle;
  }
  return Math.abs(points[low][0] - at) < Math.abs(points[high][0] - at) ? points[low] : points[high];
}

function tell(root, event) {
  const tip = root.querySelector(".tip");
  tip.hidden = !root.scale;
  if (!root.scale) return;
  const { box, width } = root.scale;
  const place = event.clientX - root.getBoundingClientRect().left;
  const share = (place - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
  const at = box.left + Math.min(1, Math.max(0, share)) * (box.right - box.left);
  const lines = root.facts.series.filter((line) => line.points.length);
  const said = lines.map((line) => [line.name, nearest(line.points, at)]);
  tip.textContent = said.map(([name, [x, y]]) => `${name}: ${words(y, root.facts.percent)} (at ${words(x)})`).join("\n");
  tip.style.left = place > width / 2 ? "" : place + 14 + "px";
  tip.style.right = place > width / 2 ? width - place + 14 + "px" : "";
}

export default function (component) {
  const root = component.parentElement.querySelector(".lines");
  root.facts = component.data;
  legend(root);
  draw(root);
  if (!root.watching) {
    root.watching = new ResizeObserver(() => draw(root));
    root.watching.observe(root);
    root.onpointermove = (event) => tell(root, event);
    root.onpointerleave = () => (root.querySelector(".tip").hidden = true);
  }
}
