"""AWS on this machine: an emulator, the deployment into it, and a demonstration. No account, no Docker."""
