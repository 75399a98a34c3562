"""The handler under its name in version 0.1, `gluebrake.stop.handler`.

An update of the stack replaces the function's code before its configuration. Between the two steps, Lambda
calls the new code by the old name.
"""

from gluebrake.handlers.stop import handler

__all__ = ["handler"]
