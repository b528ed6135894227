"use strict";
// Plots over time and boxes per shot, drawn by uPlot; a click shows that frame.

(() => {
  const FONT = "11px system-ui, sans-serif";
  const charts = [];

  const axis = (extra) => ({
    stroke: () => color("soft"), font: FONT,
    grid: { stroke: () => color("grid"), width: 1 }, ticks: { stroke: () => color("line"), width: 1, size: 4 }, ...extra,
  });

  // Shows the frame under a click; a drag, which zooms, is no click.
  function onClick(u, frameAt) {
    let down = 0;
    u.over.addEventListener("mousedown", (event) => { down = event.clientX; });
    u.over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - down) > 3) return;
      const left = event.clientX - u.over.getBoundingClientRect().left;
      const frame = frameAt(u.posToVal(left, "x"));
      if (frame !== undefined) { viewer.stop(); viewer.show(frame); }
    });
  }

  function fit(holder, u, height) {
    new ResizeObserver(() => u.setSize({ width: holder.clientWidth, height })).observe(holder);
    charts.push(u);
  }

  function heading(title, unit) {
    return element("h3", { textContent: title }, element("small", { textContent: unit }));
  }

  function drawCuts(u) {
    const pen = u.ctx;
    pen.save();
    pen.beginPath();
    pen.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    pen.clip();
    pen.strokeStyle = color("cut");
    pen.lineWidth = devicePixelRatio || 1;
    pen.setLineDash([3 * pen.lineWidth, 3 * pen.lineWidth]);
    for (const cut of data.cuts) {
      const x = u.valToPos(cut - 0.5, "x", true);
      pen.beginPath();
      pen.moveTo(x, u.bbox.top);
      pen.lineTo(x, u.bbox.top + u.bbox.height);
      pen.stroke();
    }
    pen.restore();
  }

  // No line runs over a cut. Gaps are [from, to] in pixels of the canvas; uPlot wants them in order and apart.
  function gaps(u, series, first, last, nulls) {
    const x = (frame) => Math.round(u.valToPos(frame, "x", true));
    const cuts = data.cuts.filter((cut) => u.data[0][first] < cut && cut <= u.data[0][last]);
    const all = nulls.concat(cuts.map((cut) => [x(cut - data.step), x(cut)])).sort((a, b) => a[0] - b[0]);
    const apart = [];
    for (const [from, to] of all) {
      const before = apart[apart.length - 1];
      if (before && from <= before[1]) before[1] = Math.max(before[1], to);
      else apart.push([from, to]);
    }
    return apart;
  }

  function yRange(kind, low, high) {
    if (kind === "unit") return [0, 1.08];
    if (kind === "zero") return [0, high > 0 ? high * 1.1 : 1];
    const pad = Math.max((high - low) * 0.12, Math.abs(high) * 0.01, 0.01);
    return [low - pad, high + pad];
  }

  function overTime(plot) {
    const frames = data.frames.index.filter((_, row) => row % data.step === 0);
    const holder = element("div", { className: "plot" }, heading(plot.title, [plot.unit, plot.note].filter(Boolean).join(", ")));
    holder.dataset.key = plot.key;
    byId("plots").append(holder);
    const playhead = element("div", { className: "playhead" });
    const place = (u) => { playhead.style.left = `${u.valToPos(viewer.current(), "x")}px`; };
    const last = frames.length - 1;
    const few = frames.length < 120;
    const options = {
      width: holder.clientWidth, height: 132, padding: [8, 8, 0, 0],
      legend: { live: true, markers: { width: 0, fill: (u, i) => u.series[i].stroke(u, i) } },
      cursor: { sync: { key: "time", scales: ["x", null] }, points: { size: 6 }, drag: { x: true, y: false, dist: 4 }, y: false },
      scales: {
        x: { time: false, range: (u, low, high) => (last > 0 ? [low, high] : [low - 1, high + 1]) },
        y: { range: (u, low, high) => yRange(plot.scale, low ?? 0, high ?? 1) },
      },
      axes: [axis({ size: 26 }), axis({ size: 52, space: 26 })],
      series: [
        { label: "frame" },
        ...plot.lines.map((line) => ({
          label: line.label, width: 1.5, stroke: () => color(line.role), spanGaps: false, gaps,
          points: { show: plot.dots || few, size: plot.dots ? 4 : 3.5, fill: () => color(line.role) },
          paths: plot.dots ? () => null : undefined,
          value: (u, value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(3))),
        })),
      ],
      hooks: { ready: [(u) => { u.over.append(playhead); place(u); }], drawClear: [drawCuts], setScale: [place], setSize: [place] },
    };
    const u = new uPlot(options, [frames, ...plot.lines.map((line) => line.values)], holder);
    onClick(u, (value) => Math.round(value));
    fit(holder, u, 132);
    viewer.onShow(() => place(u));
  }

  // A box from the first to the third quartile with the median across, whiskers to the least and the most value.
  function drawBoxes(u, chart) {
    const pen = u.ctx, ratio = devicePixelRatio || 1;
    const slot = u.valToPos(1, "x", true) - u.valToPos(0, "x", true);
    const width = Math.max(Math.min(slot * 0.3, 34 * ratio), 2);
    chart.shots.forEach((shot, number) => {
      [["input", -0.6], ["output", 0.6]].forEach(([role, offset]) => {
        const x = u.valToPos(number, "x", true) + offset * width;
        const [least, q1, median, q3, most] = shot[role].map((value) => u.valToPos(value, "y", true));
        pen.strokeStyle = color(role);
        pen.lineWidth = ratio;
        pen.beginPath();
        pen.moveTo(x, least);
        pen.lineTo(x, most);
        pen.stroke();
        pen.fillStyle = color("card");
        pen.fillRect(x - width / 2, q3, width, q1 - q3);
        pen.globalAlpha = 0.25;
        pen.fillStyle = color(role);
        pen.fillRect(x - width / 2, q3, width, q1 - q3);
        pen.globalAlpha = 1;
        pen.strokeRect(x - width / 2, q3, width, q1 - q3);
        pen.lineWidth = 2.5 * ratio;
        pen.beginPath();
        pen.moveTo(x - width / 2, median);
        pen.lineTo(x + width / 2, median);
        pen.stroke();
      });
    });
  }

  function perShot(chart) {
    const holder = element("div", {}, heading(chart.title, `${chart.unit}, input and output: quartiles, least, most`));
    holder.dataset.key = chart.key;
    byId("boxes").append(holder);
    const most = chart.shots.map((shot) => Math.max(shot.input[4], shot.output[4]));
    const options = {
      width: holder.clientWidth, height: 170, padding: [8, 8, 0, 0], legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: [-0.7, chart.shots.length - 0.3] }, y: { range: [0, Math.max(...most) * 1.08 || 1] } },
      axes: [
        axis({
          size: 26, incrs: [1, 2, 5, 10, 20, 50, 100],
          values: (u, ticks) => ticks.map((tick) => (Number.isInteger(tick) && chart.shots[tick] ? `shot ${chart.shots[tick].shot}` : "")),
          grid: { show: false },
        }),
        axis({ size: 52, space: 26 }),
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(u) => drawBoxes(u, chart)] },
    };
    const u = new uPlot(options, [chart.shots.map((_, number) => number), most], holder);
    onClick(u, (value) => chart.shots[Math.round(value)]?.first);
    fit(holder, u, 170);
  }

  data.plots.forEach(overTime);
  data.boxes.forEach(perShot);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((u) => u.redraw(false)));
})();
