"""The verbs of the command line, one module per group. Nothing heavy is imported before a verb is called."""
