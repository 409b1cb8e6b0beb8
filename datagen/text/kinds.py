"""Which kinds of files there are: how each is read, or what would make it readable. The one table of them.

A kind is told by the extension, and `sniff` corrects it by the first bytes: names lie, and some files have none. It
says how a file is read, and stands in the document's metadata. Which markup or code a text turns out to hold is another
question, which `syntax` answers from the text alone.
"""

from __future__ import annotations

import os
from typing import Literal

from datagen import extras

How = Literal["jsonl", "json", "parquet", "text", "hf", "folder", "pdf", "docx", "epub", "html", "notebook", "foreign"]
Compression = Literal["gzip", "zstd"]

DATA: dict[str, How] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
EXTRACTED: dict[str, How] = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".epub": "epub",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".ipynb": "notebook",
}
NEEDS: dict[str, tuple[str, ...]] = {  # the modules of the extra `documents` that read a kind
    "pdf": ("pypdfium2",),
    "docx": ("mammoth", "selectolax"),
    "epub": ("selectolax",),
    "html": ("selectolax",),
    "notebook": (),
}
COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PROSE = {
    "text": "txt text",
    "markdown": "md markdown mdown mkd mdx rmd qmd",
    "latex": "tex latex ltx",
    "bibtex": "bib",
    "restructuredtext": "rst rest",
    "asciidoc": "adoc asciidoc asc",
    "org": "org",
    "textile": "textile",
    "wiki": "wiki mediawiki",
    "troff": "man me ms",
    "texinfo": "texi texinfo",
    "subtitles": "srt vtt sbv",
    "csv": "csv",
    "tsv": "tsv tab",
    "log": "log",
    "diff": "diff patch",
}
_CODE = {
    "ada": "adb ads",
    "assembly": "asm s",
    "awk": "awk",
    "batch": "bat cmd",
    "c": "c h",
    "clojure": "clj cljs cljc edn",
    "cmake": "cmake",
    "config": "ini cfg conf properties",
    "cpp": "cc cpp cxx c++ hh hpp hxx inl",
    "csharp": "cs",
    "cuda": "cu cuh",
    "d": "d",
    "dart": "dart",
    "elixir": "ex exs",
    "elm": "elm",
    "erlang": "erl hrl",
    "fortran": "f f77 f90 f95 f03 f08 for",
    "fsharp": "fs fsi fsx",
    "go": "go",
    "gradle": "gradle",
    "graphql": "graphql gql",
    "groovy": "groovy",
    "haskell": "hs lhs",
    "java": "java",
    "javascript": "js mjs cjs jsx",
    "julia": "jl",
    "kotlin": "kt kts",
    "lisp": "lisp lsp cl el",
    "lua": "lua",
    "makefile": "mk",
    "matlab": "m",
    "nim": "nim",
    "nix": "nix",
    "objective-c": "mm",
    "ocaml": "ml mli",
    "pascal": "pas pp",
    "perl": "pl pm pod",
    "php": "php",
    "powershell": "ps1 psm1",
    "prolog": "pro",
    "protobuf": "proto",
    "python": "py pyi pyx",
    "r": "r",
    "racket": "rkt",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "scala": "scala sc",
    "scheme": "scm ss",
    "shell": "sh bash zsh fish ksh",
    "solidity": "sol",
    "sql": "sql",
    "svelte": "svelte",
    "swift": "swift",
    "tcl": "tcl",
    "terraform": "tf hcl",
    "toml": "toml",
    "typescript": "ts tsx mts cts",
    "verilog": "v sv svh",
    "vhdl": "vhd vhdl",
    "vim": "vim",
    "visual-basic": "vb bas",
    "vue": "vue",
    "yaml": "yaml yml",
    "zig": "zig",
}
TEXTS: dict[str, str] = {
    f".{end}": kind for kinds in (_PROSE, _CODE) for kind, ends in kinds.items() for end in ends.split()
}
CODE = frozenset(_CODE)
NAMED = {"makefile": "makefile", "gnumakefile": "makefile", "dockerfile": "dockerfile", "gemfile": "ruby"}
PLAIN = frozenset({"text", "markdown"})  # kinds that were always read: their rows are as they always were

_OFFICE = "soffice --headless --convert-to docx {}"
_CALC = "soffice --headless --convert-to csv {}"
_CALIBRE = "ebook-convert {} {stem}.epub"
_SCAN = "img2pdf {} -o {stem}.pdf && ocrmypdf {stem}.pdf {stem}.ocr.pdf"
_UNPACK = "unpack it into a folder"
UNREADABLE: dict[str, str] = {  # what helps, with the file's name in the place of {}
    f".{end}": what
    for what, ends in (
        (_OFFICE, "doc dot docm dotx odt ott rtf wpd pages wps sxw"),
        ("soffice --headless --convert-to pdf {}", "ppt pptx pps ppsx odp key"),
        (_CALC, "xls xlsx xlsm ods numbers"),
        (_CALIBRE, "mobi azw azw3 azw4 kf8 prc fb2 lit lrf pdb chm"),
        ("ddjvu -format=pdf {} {stem}.pdf && ocrmypdf {stem}.pdf {stem}.ocr.pdf", "djvu djv"),
        ("ps2pdf {} {stem}.pdf", "ps eps"),
        ("dvipdfmx {}", "dvi"),
        (_SCAN, "png jpg jpeg gif tif tiff bmp webp heic heif avif jp2"),
        (_UNPACK, "zip tar tgz tbz tbz2 txz bz2 xz 7z rar zipx cbz cbr jar war"),
        ("save its messages as text", "eml mbox msg pst"),
        ("save the page as HTML", "mht mhtml warc"),
    )
    for end in ends.split()
}
JUNK = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
LOCKS = _words(
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lockb poetry.lock pdm.lock uv.lock "
    "pipfile.lock cargo.lock gemfile.lock composer.lock go.sum flake.lock pubspec.lock podfile.lock "
    "packages.lock.json mix.lock deno.lock gradle.lockfile"
)
VENDORED = _words(
    "node_modules bower_components vendor vendored third_party thirdparty third-party site-packages dist-packages "
    "__pycache__ venv env virtualenv dist build target out _build bin obj pods deriveddata coverage htmlcov"
)
KNOWN = (
    f"{', '.join(DATA)}, text such as .txt and .md, source code, .pdf, .docx, .epub, .html and .ipynb, "
    f"all but .parquet also as {' or '.join(COMPRESSIONS)}"
)


def ending(name: str) -> tuple[str, Compression | None]:
    """A file's extension in lower case, with its dot ("" if it has none), and the compression that comes behind it."""
    stem, extension = os.path.splitext(os.path.basename(name).lower())
    compression = COMPRESSIONS.get(extension)
    return (os.path.splitext(stem)[1] if compression else extension), compression


def of_name(name: str) -> str | None:
    """What kind of document a file of this name is: "python", "latex", "pdf"; None where the name does not say."""
    extension, compression = ending(name)
    base = os.path.basename(name).lower()
    stem = os.path.splitext(base)[0] if compression else base
    return TEXTS.get(extension) or EXTRACTED.get(extension) or NAMED.get(stem)


def how(name: str) -> How | None:
    """How a file of this name is read; None where it is of no kind that is. A packed parquet file is not."""
    extension, compression = ending(name)
    found = "text" if extension in TEXTS else DATA.get(extension) or EXTRACTED.get(extension)
    return None if found == "parquet" and compression else found


def missing(how: str) -> list[str]:
    """The modules that reading a kind needs, of the extra `documents`, and that are not installed."""
    return [module for module in NEEDS.get(how, ()) if not extras.installed(module)]


def is_junk(name: str) -> bool:
    """Whether a file is of no interest to anybody: what systems and editors leave behind, and generated code."""
    base = os.path.basename(name).lower()
    left = base in JUNK or base in LOCKS or base.startswith("~$") or base.endswith(("~", ".lock", ".swp", ".tmp"))
    return left or base.endswith((".min.js", ".min.mjs", ".min.css", ".map", ".bundle.js"))


def help_for(name: str, extension: str = "") -> str | None:
    """What makes a file of a known, unreadable kind readable, as a command with its name; None where nothing is known.

    extension: what it is, where that is not what its name says.
    """
    extension = extension or ending(name)[0] or os.path.splitext(name.lower())[1]
    needed = missing(EXTRACTED.get(extension, ""))
    if needed:
        return "pip install 'longrlvr-data[documents]'"
    template = UNREADABLE.get(extension)
    if template is None:
        return None
    import shlex

    stem = os.path.splitext(os.path.basename(name))[0]
    return template.replace("{stem}", shlex.quote(stem)).replace("{}", shlex.quote(os.path.basename(name)))
