"""Reads a page of `accent report` back: its JSON, its text, and what a browser makes of it."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

READ_BACK = """
<script>
(async () => {
  while (document.body.dataset.drawn === undefined) await new Promise((done) => setTimeout(done, 20));
  const kept = ["type", "name", "x", "y", "z"];
  const drawn = {};
  const note = (place) => place._fullData.forEach((trace, number) => {
    if (trace.visible === true) drawn[place.id][number] = Object.fromEntries(kept.map((key) => [key, trace[key]]));
  });
  for (const place of document.querySelectorAll(".plot")) {
    drawn[place.id] = Array(place.data.length).fill(null);
    note(place);
    for (const button of place.layout.updatemenus?.[0].buttons ?? []) {
      await Plotly[button.method](place, ...button.args);
      note(place);
    }
  }
  const out = document.createElement("script");
  out.type = "application/json";
  out.id = "read-back";
  out.textContent = JSON.stringify({
    plots: drawn,
    wider: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    background: getComputedStyle(document.body).backgroundColor,
  }).replaceAll("<", "\\\\u003c");
  document.body.append(out);
})();
</script>
"""
"""Asks plotly.js, after it has drawn and after each button was pressed, for the numbers it draws."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.links: list[str] = []
        self.text = ""
        self._script: str | None = None
        self._silent = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.links += [value for name in ("src", "href", "action") if (value := named.get(name))]
        if tag == "script":
            self._script = named.get("id") or ""
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._script, self._silent = None, False

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        if not self._silent:
            self.text += data


class Page:
    """A page as a program sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.html = path.read_text(encoding="utf-8")
        parsed = _Page()
        parsed.feed(self.html)
        self.text, self.links = parsed.text, parsed.links
        self.json: dict[str, Any] = {name: json.loads(text) for name, text in parsed.scripts.items() if name}

    def plots(self) -> list[str]:
        """Names of all plots, in order."""
        return [name.removeprefix("data-") for name in self.json if name.startswith("data-")]

    def traces(self, plot: str) -> dict[str, Any]:
        """The traces of a plot by their names."""
        return {trace["name"]: trace for trace in self.json[f"data-{plot}"]["data"]}


def in_browser(page: Page, folder: Path, width: int = 1400, dark: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Draw a page in headless Chromium; return what plotly.js says it draws, and what the console says."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    copy = folder / "read_back.html"
    copy.write_text(page.html.replace("</body>", READ_BACK + "</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder / 'browser'}", "--enable-logging=stderr", f"--window-size={width},1000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=10000", "--dump-dom",
            copy.as_uri(),
        ],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    copy.write_text(done.stdout, encoding="utf-8")
    return Page(copy).json["read-back"], [line for line in done.stderr.splitlines() if "CONSOLE" in line]
