(() => {
  "use strict";
  const root = document.documentElement;
  const config = {
    responsive: true, displaylogo: false, displayModeBar: false, showSendToCloud: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d"],
  };
  const paper = { 3: 286, 2: 438, 1: 340 };
  const plots = [];
  const names = [...document.querySelectorAll(".cases summary")].map((row) => row.textContent);
  const named = (data) => Array.isArray(data) ? data.map(named)
    : /^#\d+$/.test(data) ? names[data.slice(1)].replace(/&/g, "&amp;").replace(/</g, "&lt;") : data;
  const shared = document.getElementById("shared")?.textContent;
  const whole = (figure) => {
    if (!figure.hover) return figure;
    const { layout, marks, hues, lines } = JSON.parse(shared);
    layout.template.data.scatter[0].hovertemplate = figure.hover;
    for (const trace of figure.data) {
      const { marker, line, error_x, error_y } = trace;
      if (marker) trace.marker = { ...marks[marker.of], ...marker };
      if (line) trace.line = { ...lines[line.of], ...line };
      for (const bar of [error_x, error_y]) if (bar) bar.color ??= hues[marker.of];
    }
    return { data: figure.data, layout: { ...layout, ...figure.layout } };
  };
  const draw = (source) => {
    const target = document.getElementById(source.dataset.fig);
    const figure = whole(JSON.parse(source.textContent));
    for (const trace of figure.data) if (trace.customdata) trace.customdata = named(trace.customdata);
    plots.push(target);
    return Plotly.newPlot(target, figure.data, figure.layout, config);
  };
  const relayout = (change) => plots.map((plot) => Plotly.relayout(plot, change(plot)));
  addEventListener("beforeprint", () => relayout((plot) => ({ width: paper[plot.dataset.columns], autosize: false })));
  addEventListener("afterprint", () => relayout(() => ({ width: null, autosize: true })));
  Promise.all([...document.querySelectorAll("script[data-fig]")].map(draw)).then(() => { root.dataset.ready = ""; });
})();
