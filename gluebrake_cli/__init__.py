"""The operator's command, `gluebrake`. It reads messages and requests by the functions' own modules."""
