r"""Text of strangers on a terminal: control characters are shown, not obeyed.

A name may hold an escape sequence that moves the cursor, hides a line or sets the title; or marks that turn the
direction of what follows.  Cost: a microsecond a line.
"""

import re

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    r"""Return a text with its control characters written out, in the way of JSON; line breaks and tabs stay.

    >>> shown("red \x1b[31mname")
    'red \\u001b[31mname'
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
