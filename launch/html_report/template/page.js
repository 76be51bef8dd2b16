"use strict";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const themes = read("themes");
const sound = read("sound");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const theme = () => themes[dark.matches ? "dark" : "light"];
const unused = ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"];
const plots = [...document.querySelectorAll(".plot")];

function play(key) {
  const audio = document.getElementById("audio");
  const heard = key in sound;
  document.getElementById("player").hidden = false;
  document.getElementById("playing").textContent = heard ? key : `${key}: this page has no sound of it`;
  audio.hidden = !heard;
  if (heard) {
    audio.src = sound[key];
    audio.play().catch((error) => {
      // Another click, which loads another recording, ends this one; that is no fault.
      if (error.name !== "AbortError") document.getElementById("playing").textContent = `${key}: ${error.message}`;
    });
  } else {
    audio.pause();
  }
}

async function drawAll() {
  for (const place of plots) {
    const { data, layout } = read(`data-${place.id}`);
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: unused };
    const font = place.clientWidth < 450 ? { size: 10 } : {};
    await Plotly.newPlot(place, data, { ...layout, font, template: theme() }, config);
    place.on("plotly_click", ({ points }) => {
      const key = points[0].customdata?.[0];
      if (place.id.startsWith("space-") && key) play(key);
    });
  }
  dark.addEventListener("change", () => plots.forEach((place) => Plotly.relayout(place, { template: theme() })));
  document.body.dataset.drawn = plots.length;
}

drawAll();
