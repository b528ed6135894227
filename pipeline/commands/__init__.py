"""One file per command: its docstring, `add_arguments(parser)` and `run(arguments) -> exit status`."""
