"""All connections share the certificates of authorities, and every server is verified as before."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from botocore import httpsession
from botocore.exceptions import SSLError
from botocore.session import Session

from gluebrake.aws import tls
from gluebrake.aws.tls import share_certificates
from tests.support.fakes.aws_server import FakeAws

VARIABLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables that name certificates, and what another test shares."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(httpsession, "create_urllib3_context", tls._new_context)  # noqa: SLF001 - botocore's own
    monkeypatch.setattr(httpsession, "get_cert_path", tls._path_of)  # noqa: SLF001 - botocore's own


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record each file of certificates that a context loads."""
    files: list[Any] = []

    class Recording(ssl.SSLContext):
        def load_verify_locations(self, cafile: Any = None, *arguments: Any, **options: Any) -> None:
            files.append(cafile)
            super().load_verify_locations(cafile, *arguments, **options)

    monkeypatch.setattr(httpsession, "SSLContext", Recording)
    return files


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make an authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a file with the authority's certificate."""
    path: Path = tmp_path_factory.mktemp("tls") / "authorities.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return str(path)


def _tls(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    return context


@pytest.fixture
def aws(authority: trustme.CA) -> Iterator[FakeAws]:
    """Run a fake AWS behind TLS."""
    with FakeAws(tls=_tls(authority)) as aws:
        yield aws


def _client(aws: FakeAws, service: str) -> Any:
    return Session().create_client(service, **aws.client_options)


def _call(aws: FakeAws) -> None:
    for service in ("glue", "sqs", "glue"):
        client = _client(aws, service)
        _ = (
            client.list_jobs()
            if service == "glue"
            else client.get_queue_attributes(QueueUrl=aws.sqs.add_queue("q").url)
        )


@pytest.mark.parametrize("variable", VARIABLES)
def test_certificates_are_loaded_once_for_all_connections(
    aws: FakeAws, bundle: str, loaded: list[Any], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Three clients with a connection each read the file once."""
    monkeypatch.setenv(variable, bundle)
    share_certificates({variable: bundle})
    _call(aws)
    assert loaded == [bundle]


def test_without_sharing_each_connection_loads_them(
    aws: FakeAws, bundle: str, loaded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is what sharing saves. If it no longer holds, `gluebrake.aws.tls` is not needed."""
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    _call(aws)
    assert loaded == [bundle] * 3


def test_default_is_the_file_of_botocore(loaded: list[Any]) -> None:
    """Without a variable, the authorities are botocore's own."""
    share_certificates({})
    httpsession.create_urllib3_context()
    assert loaded == [httpsession.where()]
    paths = [httpsession.get_cert_path(verify) for verify in (True, "/other.pem", False)]  # type: ignore[arg-type]
    assert paths == [None, "/other.pem", False]


@pytest.mark.parametrize("environ", [{}, {"AWS_CA_BUNDLE": ""}])
def test_server_of_an_unknown_authority_is_refused(aws: FakeAws, environ: dict[str, str]) -> None:
    """The shared context verifies certificates."""
    share_certificates(environ)
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        _client(aws, "glue").list_jobs()


def test_server_with_another_name_is_refused(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shared context checks host names."""
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    share_certificates({"AWS_CA_BUNDLE": bundle})
    with (
        FakeAws(tls=_tls(authority, "glue.example.com")) as aws,
        pytest.raises(SSLError, match="doesn't match"),
    ):
        _client(aws, "glue").list_jobs()
