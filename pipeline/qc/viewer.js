"use strict";
// The viewer: two pictures of one frame with a divider, the scrubber, the lanes of decisions and the thumbnails.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const viewer = (() => {
  const strip = data.strip.frames; // [frame number, before, after or null], ascending
  const numbers = strip.map((frame) => frame[0]);
  const indices = data.frames.index;
  const rowOf = new Map(indices.map((index, row) => [index, row]));
  const listeners = [];
  let place = -1; // in the strip
  let wanted = 0; // grows with each request, so that a slow picture never replaces a newer one
  let timer = null;

  const ranges = Object.entries(data.decisions).map(([name, list]) => ({ name, list }));
  const decisionsAt = (frame) =>
    ranges.filter(({ list }) => list.some(([first, last]) => first <= frame && frame <= last)).map(({ name }) => name);

  function nearest(frame) {
    let best = 0;
    for (let i = 0; i < numbers.length; i++) {
      if (Math.abs(numbers[i] - frame) < Math.abs(numbers[best] - frame)) best = i;
    }
    return best;
  }

  async function picture(address) {
    const image = new Image();
    image.alt = "";
    image.draggable = false;
    image.src = address;
    await image.decode().catch(() => undefined);
    return image;
  }

  async function showPlace(next, asked = null) { // asked: the frame that was asked for, where it may not be embedded
    if (!strip.length) return;
    place = Math.max(0, Math.min(strip.length - 1, next));
    const request = ++wanted;
    const [frame, before, after] = strip[place];
    byId("scrub").value = String(rowOf.get(frame) ?? 0);
    const row = rowOf.get(frame);
    const time = row === undefined ? "" : `  ·  ${data.frames.time[row].toFixed(3)} s`;
    const instead = asked === null || asked === frame ? "" : `  ·  the nearest one embedded to frame ${asked}`;
    byId("where").textContent = `frame ${frame}${time}${instead}`;
    for (const listener of listeners) listener(frame, row);
    const images = await Promise.all([picture(before), after === null ? null : picture(after)]);
    if (request !== wanted) return; // both pictures change together, or not at all
    byId("before").replaceChildren(images[0]);
    byId("after").replaceChildren(...(images[1] ? [images[1]] : []));
    byId("after").classList.toggle("missing", after === null);
    byId("stage").dataset.frame = String(frame);
  }

  const show = (frame) => showPlace(nearest(frame), frame);
  const step = (by) => { stop(); return showPlace(place + by); };

  function setDivider(percent) {
    const value = Math.max(0, Math.min(100, percent));
    byId("after").style.clipPath = `inset(0 0 0 ${value}%)`;
    byId("divider").style.left = `${value}%`;
    byId("divider").setAttribute("aria-valuenow", value.toFixed(0));
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
    byId("play").textContent = "▶ play";
  }

  function play() {
    if (timer !== null) return stop();
    byId("play").textContent = "❚❚ stop";
    const [above, below = "1"] = data.rate.split("/");
    const usual = (Number(below) / Number(above) || 0.04) * 1000;
    let due = performance.now();
    const advance = async () => {
      await showPlace((place + 1) % strip.length);
      if (timer === null) return;
      const gap = (numbers[place + 1] ?? numbers[place] + data.strip.step) - numbers[place];
      due = Math.max(due + gap * usual, performance.now());
      timer = setTimeout(advance, due - performance.now());
    };
    timer = setTimeout(advance, 0);
  }

  function facts(frame, row) {
    const entries = [["frame", frame]];
    if (row !== undefined) {
      entries.push(["shot", data.frames.shot[row]], ["faces seen", data.frames.seen[row]]);
      entries.push(["done", decisionsAt(frame).map((name) => name.replaceAll("_", " ")).join(", ") || "–"]);
      for (const plot of data.plots) {
        const values = plot.lines.map((line) => line.values[Math.floor(row / data.step)] ?? null);
        if (values.every((value) => value === null)) continue;
        const text = values.map((value) => (value === null ? "–" : String(Number(value.toPrecision(3)))));
        const joined = text.join(plot.lines[0].role === "input" ? " → " : " / ");
        entries.push([plot.title.split(/ \(| to /)[0], `${joined}${["px", "°"].includes(plot.unit) ? " " + plot.unit : ""}`]);
      }
    }
    byId("frame-facts").replaceChildren(
      ...entries.flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", { textContent: value })])
    );
  }

  // Lanes: shots on top, one row per decision below; the playhead over all of them.
  const ROW = 7, GAP = 2;
  function drawLanes(current) {
    const canvas = byId("lanes"), width = canvas.clientWidth, ratio = devicePixelRatio || 1;
    const rows = ranges.length + 1, height = rows * (ROW + GAP) + 4;
    if (!width || !indices.length) return;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const first = indices[0], span = indices[indices.length - 1] + 1 - first;
    const x = (frame) => ((frame - first) / span) * width;
    const bounds = [first, ...data.cuts, first + span];
    bounds.slice(1).forEach((end, shot) => {
      pen.fillStyle = color(shot % 2 ? "grid" : "line");
      pen.fillRect(x(bounds[shot]), 2, x(end) - x(bounds[shot]), ROW);
    });
    ranges.forEach(({ name, list }, row) => {
      const top = 2 + (row + 1) * (ROW + GAP);
      pen.fillStyle = color("grid");
      pen.fillRect(0, top, width, ROW);
      pen.fillStyle = color(name) || color("soft");
      for (const [a, b] of list) pen.fillRect(x(a), top, Math.max(x(b + 1) - x(a), 1.5), ROW);
    });
    pen.fillStyle = color("cut");
    for (const cut of data.cuts) pen.fillRect(x(cut) - 0.75, 0, 1.5, height);
    pen.fillStyle = color("ink");
    pen.fillRect(x(current + 0.5) - 0.75, 0, 1.5, height);
  }

  function thumbnail(frame, lines, failed, both) {
    const [, before, after] = strip[nearest(frame)];
    const pictures = both ? [before, after] : [after ?? before];
    const images = pictures.filter(Boolean).map((src) => element("img", { src, alt: "" }));
    const text = element("span", {}, element("b", { textContent: `${frame}` }));
    for (const line of lines) text.append(element("br"), line);
    const button = element("button", { type: "button", className: `thumb${failed ? " failed" : ""}` }, ...images, text);
    button.dataset.frame = String(frame);
    return button;
  }

  function begin() {
    const stage = byId("stage"), { width, height } = data.strip;
    if (!strip.length) return;
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.maxWidth = `min(${Math.round((560 * width) / height)}px, ${((58 * width) / height).toFixed(1)}vh)`;
    byId("scrub").max = String(Math.max(indices.length - 1, 0));
    byId("strip-note").textContent =
      (data.strip.step > 1 ? `One frame in ${data.strip.step} is embedded, and all that are to be looked at first. ` : "") +
      "← → step · space plays · 1 input · 2 output · 3 both · d difference";
    for (const mark of document.querySelectorAll(".legend i[data-decision]")) {
      mark.style.background = `var(--${mark.dataset.decision})`;
    }
    byId("worst-section").hidden = !data.worst.length;
    byId("worst").append(...data.worst.map(({ frame, deviation, metric, failed }) => {
      const names = failed.length ? failed : [metric];
      const shown = names.slice(0, 2).map((name) => name.replaceAll("_", " "));
      if (names.length > 2) shown.push(`and ${names.length - 2} more`);
      if (deviation >= 0.1) shown.push(`${deviation} × the usual spread`);
      return thumbnail(frame, shown, failed.length > 0, false);
    }));
    byId("contact").append(...data.contact.map((frame) => thumbnail(frame, [], false, true)));

    const drag = (event) => {
      const box = stage.getBoundingClientRect();
      setDivider(((event.clientX - box.left) / box.width) * 100);
    };
    stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); drag(event); });
    stage.addEventListener("pointermove", (event) => { if (event.buttons & 1) drag(event); });
    byId("divider").addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
      if (!by) return;
      setDivider(Number(byId("divider").getAttribute("aria-valuenow")) + by);
      event.stopPropagation();
      event.preventDefault();
    });
    byId("previous").addEventListener("click", () => step(-1));
    byId("next").addEventListener("click", () => step(1));
    byId("play").addEventListener("click", play);
    byId("scrub").addEventListener("input", (event) => { stop(); show(indices[Number(event.target.value)]); });
    const seek = (event) => {
      if (event.type === "pointermove" && !(event.buttons & 1)) return;
      const box = byId("lanes").getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
      const span = indices[indices.length - 1] + 1 - indices[0];
      stop();
      show(Math.floor(indices[0] + share * span));
    };
    byId("lanes").addEventListener("pointerdown", seek);
    byId("lanes").addEventListener("pointermove", seek);
    byId("difference").addEventListener("change", (event) => stage.classList.toggle("difference", event.target.checked));
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-frame]");
      if (button) { stop(); show(Number(button.dataset.frame)); }
    });
    const keys = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => step(-Infinity), End: () => step(Infinity),
      " ": play, 1: () => setDivider(100), 2: () => setDivider(0), 3: () => setDivider(50), d: () => byId("difference").click(),
    };
    document.addEventListener("keydown", (event) => {
      const onButton = event.key === " " && event.target.closest("button, summary, input");
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey || onButton) return;
      event.preventDefault();
      keys[event.key]();
    });
    listeners.push(facts, drawLanes, (frame) => {
      for (const thumb of document.querySelectorAll(".thumb")) {
        thumb.classList.toggle("shown", thumb.dataset.frame === String(frame));
      }
    });
    const redraw = () => drawLanes(numbers[place] ?? 0);
    new ResizeObserver(redraw).observe(byId("lanes").parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    setDivider(50);
    stop();
    show(data.worst.length && data.worst[0].failed.length ? data.worst[0].frame : numbers[0]);
  }

  return { begin, show, stop, onShow: (listener) => listeners.push(listener), current: () => numbers[place] ?? 0 };
})();

viewer.begin();
