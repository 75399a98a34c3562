"""AWS on this machine: an emulator, Gluebrake deployed into it, and a demo. No AWS account, no Docker."""
