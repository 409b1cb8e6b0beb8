"""The commands, a file each: options, and what to do with them. Nothing heavy is imported before one runs."""
