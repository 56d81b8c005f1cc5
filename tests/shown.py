"""Reading back what the parts of the screen show."""

from __future__ import annotations

import base64
import io
import re

from PIL import Image


def picture_in(html: str) -> Image.Image:
    """The first picture inside a piece of HTML."""
    data = re.search(r"src='data:image/\w+;base64,([^']+)'", html)[1]
    return Image.open(io.BytesIO(base64.b64decode(data)))
