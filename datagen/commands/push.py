"""`push`: an export for the Hub, uploaded to it."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from datagen.commands.options import Json, Verbose


def push(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="What `export --to hf` wrote.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The dataset's name on the Hub.")],
    private: Annotated[
        bool,
        typer.Option(
            "--private/--public",
            help="Who may see a repository that is made: its owner (the default), or all.",
        ),
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Upload. Without it, what would be uploaded is shown.")] = False,
    revision: Annotated[str, typer.Option(metavar="BRANCH", help="The branch, which is made if need be.")] = "main",
    token_env: Annotated[
        Optional[str],
        typer.Option(
            metavar="NAME",
            help="The environment variable that holds the token. Default: HF_TOKEN, or what `hf auth login` keeps.",
        ),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Upload an export to the Hugging Face Hub, in one commit. Without --yes, only show what would be uploaded.

    \b
    Examples:
      longrlvr-data push exports/hf my-name/my-dataset
      longrlvr-data push exports/hf my-name/my-dataset --yes
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    as_json, really, _ = given.pop("json"), given.pop("yes"), given.pop("verbose")
    raise guard.guarded(lambda _: _push(given, really, as_json), verbose)


def _push(given: dict[str, Any], really: bool, as_json: bool) -> int:
    import shlex
    import sys

    from datagen import extras
    from datagen.commands import guard
    from datagen.console import print_json, put

    extras.require("push", "hf", "huggingface_hub")
    from huggingface_hub.utils import disable_progress_bars

    from datagen.export.hub import push as hub

    what = hub.Push(**given)
    hub.check_name(what.repository)
    sizes = hub.files(what.folder)
    if not sys.stderr.isatty():
        disable_progress_bars()
    done = hub.push(what, sizes) if really else None
    total = sum(sizes.values())
    if as_json:
        print_json(
            {"folder": what.folder, "repository": what.repository, "private": what.private, "revision": what.revision}
            | {"files": [{"path": name, "bytes": size} for name, size in sizes.items()], "bytes": total}
            | {"removed": done and done.removed, "commit": done and done.commit, "url": done and done.url}
        )
        return guard.COMPLETE
    for name, size in sizes.items():
        put(f"{size:>14,}  {name}")
    seen = "private" if what.private else "PUBLIC: anybody can read it"
    put(f"{total:>14,}  bytes in {len(sizes)} files")
    if done:
        for name in done.removed:
            put(f"removed: {name}, of an earlier export")
        put(f"{done.url}: commit {done.commit} on {what.revision} ({seen})")
        return guard.COMPLETE
    put(f"Nothing was uploaded. These files would go to {what.repository}, branch {what.revision} ({seen}):")
    put(shlex.join(["longrlvr-data", "push", what.folder, what.repository, *_options(given), "--yes"]))
    return guard.COMPLETE


def _options(given: dict[str, Any]) -> list[str]:
    """The options as they were given, as far as they are not the default."""
    return [
        *([] if given["private"] else ["--public"]),
        *([] if given["revision"] == "main" else ["--revision", given["revision"]]),
        *(["--token-env", given["token_env"]] if given["token_env"] else []),
    ]
