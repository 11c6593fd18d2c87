(() => {
  "use strict";
  const root = document.documentElement;
  const config = {
    responsive: true, displaylogo: false, displayModeBar: false, showSendToCloud: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d"],
  };
  const paper = { 3: 286, 2: 438, 1: 340 };
  const plots = [];
  const drawn = [...document.querySelectorAll(".cases tbody td:first-child")].map((name) => name.firstChild?.data ?? "");
  const whole = (figure, shared) => {
    if (!figure.hover) return figure;
    const { layout, marks, hues, lines } = structuredClone(shared);
    layout.template.data.scatter[0].hovertemplate = figure.hover;
    for (const trace of figure.data) {
      const { marker, line, error_x, error_y } = trace;
      if (marker) trace.marker = { ...marks[marker.of], ...marker };
      if (line) trace.line = { ...lines[line.of], ...line };
      for (const bar of [error_x, error_y]) if (bar) bar.color ??= hues[marker.of];
    }
    return { data: figure.data, layout: { ...layout, ...figure.layout } };
  };
  const draw = (id, figure, names) => {
    const named = (told) => Array.isArray(told) ? told.map(named)
      : /^#\d+$/.test(told) ? names[told.slice(1)].replace(/&/g, "&amp;").replace(/</g, "&lt;") : told;
    for (const trace of figure.data) if (trace.customdata) trace.customdata = named(trace.customdata);
    plots.push(document.getElementById(id));
    return Plotly.newPlot(id, figure.data, figure.layout, config);
  };
  const relayout = (change) => plots.map((plot) => Plotly.relayout(plot, change(plot)));
  addEventListener("beforeprint", () => relayout((plot) => ({ width: paper[plot.dataset.columns], autosize: false })));
  addEventListener("afterprint", () => relayout(() => ({ width: null, autosize: true })));
  data.then(({ shared, figures = {}, table }) => {
    const names = [...drawn, ...(table?.rest ?? []).map((row) => row[4])];
    const plain = [...document.querySelectorAll("script[data-fig]")].map((one) => [one.dataset.fig, JSON.parse(one.textContent)]);
    return Promise.all([...plain, ...Object.entries(figures)].map(([id, figure]) => draw(id, whole(figure, shared), names)));
  }).then(() => { root.dataset.ready = ""; });
})();
