"""`python -m gluebrake_cli` runs the same command as `gluebrake`."""

from gluebrake_cli.app import run

if __name__ == "__main__":
    run()
