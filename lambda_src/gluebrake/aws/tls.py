"""Loads the CA certificates once for all connections.

urllib3 would read the CA file for each connection, which takes most of the CPU time of an invocation with a few
calls. Instead, all connections share one SSL context. Each server's certificate and host name are verified as
without this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from ssl import SSLContext
from typing import Any, Final

from botocore import httpsession

_FILES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""The environment variables that name another CA file, in the order in which botocore reads them."""

_new_context = httpsession.create_urllib3_context
_path_of = httpsession.get_cert_path


def share_certificates(environ: Mapping[str, str]) -> None:
    """Make all clients that are created from now on share one SSL context."""
    verify = next((environ[name] for name in _FILES if environ.get(name)), True)
    httpsession.create_urllib3_context = cache(partial(_context, verify))
    httpsession.get_cert_path = partial(_path_to_load, verify)


def _context(verify: Any) -> SSLContext:
    context: SSLContext = _new_context()
    context.load_verify_locations(_path_of(verify))
    return context


def _path_to_load(shared: Any, verify: Any) -> Any:
    """Return the CA file that a connection must load, or None if the shared context has loaded it."""
    return None if verify == shared else _path_of(verify)
