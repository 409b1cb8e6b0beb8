"""`python -m datagen` is `longrlvr-data`."""

import signal


def main() -> None:
    """Run the command line. Before a command begins its work there is nothing to clear up: Ctrl-C ends it in silence,
    without the traceback of whichever import it came in.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as it is where a shell started this in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from datagen.cli import app

    app()


if __name__ == "__main__":
    main()
