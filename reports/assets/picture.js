(() => {
  "use strict";
  const width = 640;
  const words = (element) => (element?.innerHTML ?? "").replaceAll("<sup>", "^").replace(/<[^>]*>/g, "")
    .replace(/&nbsp;|\s+/g, " ").trim();
  const block = (text, size, y, style) => {
    const lines = text.split(" ").reduce((all, word) => {
      const longer = `${all.at(-1)} ${word}`.trim();
      return longer.length * size > 2 * width - 64 && all.at(-1) ? [...all, word] : [...all.slice(0, -1), longer];
    }, [""]);
    const spans = lines.map((line) => `<tspan x="16" y="${(y += size * 1.4).toFixed(1)}">${line}</tspan>`).join("");
    return { y, svg: `<text font-size="${size}" ${style}>${spans}</text>` };
  };
  const keyed = ({ data, layout }) => {
    const told = (layout.annotations ?? []).map((note) => note.text);
    const unknown = data.filter(({ name }) => name && !told.some((label) => label.startsWith(name.split(",")[0])));
    const room = unknown.reduce((sum, { name }) => sum + 46 + 6 * name.length, 0);
    return {
      data: data.map((trace) => ({ ...trace, showlegend: unknown.includes(trace) })),
      layout: {
        ...layout, width, height: layout.height + 20 * Math.ceil(room / 540), autosize: false,
        showlegend: room > 0, legend: { orientation: "h", y: 1.03, yanchor: "bottom" },
      },
    };
  };
  const picture = async (plot) => {
    const figure = keyed(plot);
    const { height, font } = figure.layout;
    const drawn = await Plotly.toImage(figure, { format: "svg", width, height, imageDataOnly: true });
    const id = plot.id.replace("fig-", "");
    const section = plot.closest("section");
    const finding = words(new Option(plot.ariaLabel));
    const quiet = `fill="${font.color}"`;
    const head = block(finding, finding.length > 140 ? 13 : 16, 8, 'fill="#16191d" font-weight="700"');
    const unit = block(words(plot.parentNode.querySelector(".unit")), 11.5, head.y + 3, quiet);
    const run = `${words(document.querySelector("title"))} (moe-harness, ${words(document.querySelector(".brand>.mute"))})`;
    const foot = block(run, 10, height, quiet);
    const top = Math.ceil(unit.y + 12);
    const tall = Math.ceil(top + foot.y + 12);
    const svg = drawn
      .replace(/<[^>]*>/g, (tag) => tag.replace(/\d+\.\d{3,}/g, (number) => +(+number).toFixed(2)))
      .replace(/^<svg[^>]*>/, () => `<svg ${drawn.match(/xmlns="[^"]+"/)[0]} role="img" width="${width}" height="${tall}" viewBox="0 ${-top} ${width} ${tall}" font-family="${font.family}"><title>${finding}</title><desc>${words(section.querySelector("h2"))} ${words(section.querySelector(".cap"))}</desc><rect y="${-top}" width="100%" height="100%" fill="#fdfdfb"/><g transform="translate(0 ${-top})">${head.svg}${unit.svg}</g>`)
      .replace(/<\/svg>$/, () => `${foot.svg}</svg>`)
      .replaceAll(drawn.match(/"defs-(\w+)"/)[1], id)
      .replace(/ trace\w{6}(?=["\s])/g, "")
      .replaceAll("stroke-dasharray: 0.1px", "stroke-linecap: round; $&")
      .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");
    const href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    Object.assign(document.createElement("a"), { download: `${id}.svg`, href }).click();
  };
  for (const plot of document.querySelectorAll(".plot")) {
    const button = Object.assign(document.createElement("button"), { className: "save noprint", type: "button", textContent: "SVG" });
    button.ariaLabel = `SVG of ${plot.parentNode.querySelector("h3").textContent}`;
    button.onclick = () => picture(plot);
    plot.before(button);
  }
})();
