"""The page as one HTML file: sections, plotly.js, styles, themes and sound, all inside it.

The page may not reach the network: a content security policy in it says so, whatever the browser would do.
Cost: plotly.js is 4.8 MB of the page.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from launch.html_report.look import themes
from launch.html_report.section import Section

_TEMPLATES = Path(__file__).parent / "template"


def render(title: str, summary: Sequence[str], sections: Sequence[Section], sound: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        title: its title.
        summary: a line for each run.
        sections: what it shows.
        sound: data URI of each recording that can be heard, by its key.

    Returns:
        HTML, which needs nothing else.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        summary=summary,
        sections=sections,
        specifications={plot.id: as_json(plot.specification()) for one in sections for plot in one.plots},
        sound=as_json(dict(sound)),
        themes=as_json(themes()),
        plotly=Markup(get_plotlyjs()),
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "page.js").read_text(encoding="utf-8")),
    )


def as_json(value: Any) -> Markup:
    r"""Return JSON that may stand in a script element, whatever names are in it.

    >>> as_json({"</script>": 1})
    Markup('{"\\u003c/script>": 1}')
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # Only "<" can end a script element or open a comment in it; in JSON it stands in strings alone.
    return Markup(text.replace("<", "\\u003c"))
