"""The handler's name in version 0.1, `gluebrake.confirm.handler`.

An update of the stack replaces the function's code before its configuration. Until the second step is done,
Lambda calls the new code by the old name.
"""

from gluebrake.handlers.confirm import handler

__all__ = ["handler"]
