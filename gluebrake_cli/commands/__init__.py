"""The subcommands of `gluebrake`, one module each."""
