(function () {
  "use strict";
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const themes = read("themes");
  const config = read("plot-config");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const theme = () => themes[dark.matches ? "dark" : "light"];
  const plots = [];

  for (const source of document.querySelectorAll("script.figure")) {
    const place = document.getElementById(source.dataset.for);
    const options = Object.assign({}, config, {
      toImageButtonOptions: { format: "svg", filename: place.dataset.name },
    });
    try {
      const spec = JSON.parse(source.textContent);
      spec.layout.template = theme();
      Plotly.newPlot(place, spec.data, spec.layout, options);
      plots.push(place);
    } catch (error) {
      place.textContent = "This figure could not be drawn; its data are in the table below.";
    }
  }

  const repaint = (template) => plots.forEach((plot) => Plotly.relayout(plot, { template }));
  dark.addEventListener("change", () => repaint(theme()));
  // Paper is white, whatever the screen is.
  window.addEventListener("beforeprint", () => repaint(themes.light));
  window.addEventListener("afterprint", () => repaint(theme()));
})();
