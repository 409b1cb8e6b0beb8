"""The HTTP library that the installed openai speaks through: httpx up to openai 2, httpx2 from 3 on.

Both may be installed, so that what can be imported does not tell.
"""

from typing import TYPE_CHECKING

import openai

if TYPE_CHECKING or int(openai.__version__.split(".")[0]) >= 3:
    import httpx2 as httpx
else:
    import httpx

__all__ = ["httpx"]
