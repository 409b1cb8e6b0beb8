"""A small document of each kind. `STORY` is what stands in each, sentence by sentence, between what is set aside."""

from datagen.text.syntax import Kind

STORY = (
    "The harbour was built in the summer of 1911 by men who had never seen the sea.",
    "Nobody knew at first whether its walls would hold, since the stones were soft.",
    "They held for forty years, and then one wall fell in a single night.",
)
A, B, C = STORY
A1, A2 = A[: A.index(" summer")], A[A.index("summer") :]
EMPHASISED, BOLD = "\\emph{harbour}", "\\textbf{\\textit{forty}}"
C1, C2 = C[: C.index(" and")], C[C.index("and") :]
B1, B2 = B[: B.index(" walls")], B[B.index("walls") :]

SPECIMENS: dict[Kind, str] = {
    "python": f'''"""{A1}
{A2}
"""

import os
from pathlib import Path

LIMIT = 3  # it was more


def build(place: Path) -> None:
    """Build it.

    {B1}
    {B2}

    >>> build(Path("here"))
    Done
    """
    name = "# no comment"
    # {C[:40]}
    # {C[40:]}
    os.mkdir(place / name)


class Wall:
    pass
''',
    "c": f"""/* {A1}
 * {A2}
 */
#include <stdio.h>

// {B1}
// {B2}
int main(void) {{
  const char *address = "http://example.org/*";
  /* {C[:40]}
     {C[40:]} */
  printf("%s", address);
  return 0;
}}
""",
    "hash": f"""#!/bin/sh
# {A1}
# {A2}
set -e
export NAME="# of stones"
if [ -n "$NAME" ]; then
  # {B1}
  # {B2}
  echo "$NAME" # once
fi
stones=4
# {C}
walls="$stones"
""",
    "dash": f"""-- {A1}
-- {A2}
SELECT name, '-- none' FROM walls
WHERE year = 1911;

-- {B1}
-- {B2}
CREATE TABLE stones (id INTEGER);
-- {C}
DROP TABLE stones;
""",
    "subtitles": f"""1
00:00:01,000 --> 00:00:04,000
{A1}

2
00:00:04,500 --> 00:00:07,250
{A2}

3
00:00:08,000 --> 00:00:10,000
<i>{B1}</i>
{B2}

4
00:00:11,000 --> 00:00:12,000
{{\\an8}}{C}
""",
    "latex": f"""% a letter
\\documentclass[a4paper]{{article}}
\\usepackage{{graphicx}}
\\begin{{document}}
\\section{{The harbour}}\\label{{sec:harbour}}
{A1.replace("harbour", EMPHASISED)}  % in which year?
{A2[:-1]}~\\cite[p.~4]{{miller}}.
\\begin{{equation}}
  E = mc^2
\\end{{equation}}
\\begin{{itemize}}
\\item {B1} {{\\em {B2.split()[0]}}} {" ".join(B2.split()[1:])}
\\end{{itemize}}
{C.replace("forty", BOLD)}\\footnote{{In fact it was more.}}
\\end{{document}}
""",
    "rst": f"""The harbour
===========

.. _harbour:

{A1.replace("harbour", "*harbour*")}
{A2.replace("men", ":ref:`men <people>`")}

.. code-block:: python

   import os

.. note::

   {B1}
   {B2.replace("stones", "``stones``")}

See it::

    a = 1

{C.replace("forty years", "`forty years <https://example.org>`_")}
""",
    "openiti": f"""######OpenITI#

#META# Title: The harbour
#META#Header#End#

### | Its beginning
# {A1}
~~{A2}
# [1.2]
# a verse of the sea %~% and of the night
### | Its middle
# {B1}
~~{B2} PageV01P012
# {C1}
~~{C2}
""",
    "asciidoc": f"""= The harbour
:toc: left
:year: 1911

[[walls,Walls]]
== Its walls

[NOTE]
====
[#built]#{A1.replace("harbour", "*harbour*")}
{A2}#
====

.A listing
[source,c]
----
int main(void); // Nobody read it, since nobody had to read what he had written himself.
----

. {B1}
{B2.replace("walls", "<<walls,walls>>")} (see <<stones>>)

include::stones.adoc[]

|===
|The stones were many and the walls were high in those days of the year. |4
|===

__They__ held for `forty` years,(((years, of walls))) and then one xref:wall.adoc#one[wall] fell
in a single night.footnote:[In the morning.]

// The end of it all was written by somebody else in another year than this.
""",
    "table": f"""id,year,what,by whom
1,1911,{A},Miller
2,1912,"{B1}
{B2} ([note](http://example.org/a))",Miller
3,1951,"{C}","The miller"
4,1952,None,
5,1953,,
6,1954,"One said ""no"" twice","Miller, they say"
""",
    "org": f"""#+TITLE: The harbour
* Its beginning
:PROPERTIES:
:ID: 4
:END:
{A1.replace("harbour", "/harbour/")}
{A2.replace("men", "[[https://example.org][men]]")}
#+begin_src python
import os
#+end_src
** Its middle
{B1}
{B2.replace("stones", "=stones=")}

{C}
""",
    "html": f"""<!DOCTYPE html>
<html><head><title>The harbour</title></head>
<body>
<p>{A1.replace("harbour", "<em>harbour</em>")}
{A2.replace("men", '<a href="https://example.org">men</a>')}</p>
<pre>import os</pre>
<div>{B1}&nbsp;{B2}</div>
<ul><li>{C}</li></ul>
</body></html>
""",
    "markdown": f"""# The harbour

{A1.replace("harbour", "**harbour**")}
{A2.replace("men", "[men](https://example.org/a_(b))")}

```python
import os
```

> {B1}
> {B2.replace("stones", "`stones`")}

## Its end

![a wall](wall.png)
{C.replace("forty", "*forty*")}

| a | b |
| - | - |
""",
}
