"""The command line: `diffus COMMAND ...`. Each command has a file of its own."""

import sys

EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 0, 2 for a user's mistake, told in one sentence, or 130 if it was stopped."""
    try:
        # Within: importing torch takes seconds, in which a person may stop it too.
        from DiffUSLib.cli.commands import run

        return run(arguments)
    except KeyboardInterrupt:
        print("diffus: stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
