"""Loads the certificates of authorities once for all connections.

urllib3 reads their file again for each connection, which takes most of the CPU time of an invocation with a few
calls. A context that has them is shared instead. Each server's certificate and host name are checked as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from ssl import SSLContext
from typing import Any, Final

from botocore import httpsession

_FILES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""The variables that name another file, in the order in which botocore reads them."""

_new_context = httpsession.create_urllib3_context
_path_of = httpsession.get_cert_path


def share_certificates(environ: Mapping[str, str]) -> None:
    """Let the clients that are made from now on share one context."""
    verify = next((environ[name] for name in _FILES if environ.get(name)), True)
    httpsession.create_urllib3_context = cache(partial(_context, verify))
    httpsession.get_cert_path = partial(_path_to_load, verify)


def _context(verify: Any) -> SSLContext:
    context: SSLContext = _new_context()
    context.load_verify_locations(_path_of(verify))
    return context


def _path_to_load(shared: Any, verify: Any) -> Any:
    """Return the file that a connection still has to load: none if the context has it."""
    return None if verify == shared else _path_of(verify)
