"""The operator's command, `gluebrake`. It parses messages and requests with the functions' own modules."""
