"""What is cut from botocore changes nothing that the functions send, read or raise."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import botocore
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointVariantError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape
from botocore.regions import EndpointResolver
from botocore.session import Session

from infra import artifact, config
from infra.artifact import OPERATIONS

WHOLE: Final = Path(botocore.__file__).parent / "data"
CALLS: Final = [(service, operation) for service, operations in OPERATIONS.items() for operation in operations]
UNHEARD_OF: Final = (
    "AccessDeniedException",
    "ExpiredTokenException",
    "ThrottlingException",
    "UnheardOfException",
)
REGIONS: Final = ("eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "eu-nowhere-9")

_MOMENT: Final = datetime(2026, 11, 24, 3, tzinfo=UTC)
_VALUES: Final[Mapping[str, Any]] = {
    "blob": b"\x00\xff",
    "boolean": True,
    "double": 1.5,
    "float": 1.5,
    "timestamp": _MOMENT,
}
# A global endpoint would be signed by a library that does not ship.
_LEFT_OUT: Final = frozenset({"EndpointId"})


class Exchange(NamedTuple):
    """What went out, and what came of the answer."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    result: Any


class Raw(BytesIO):
    """The body of an answer."""

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()


@pytest.fixture(scope="module")
def cut() -> Path:
    """Return what botocore knows in the functions' code as it ships."""
    return artifact.build(config.load({"target": "local"}.get)).directory / "botocore" / "data"


def test_what_ships_is_cut_from_the_botocore_that_is_tested(cut: Path) -> None:
    """The comparison is with the same release, and something is cut."""
    shipped = (cut.parent / "__init__.py").read_text()
    assert f"__version__ = '{botocore.__version__}'" in shipped
    for service, operations in OPERATIONS.items():
        assert sorted(_model(service, cut).operation_names) == sorted(operations)


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_requests_and_answers_are_the_same(cut: Path, service: str, operation: str) -> None:
    """With every parameter and every field of the answer, both send the same bytes and read the same values."""
    model = _model(service, WHOLE).operation_model(operation)
    answer = json.dumps(_sample(model.output_shape, wire=True)).encode() if model.output_shape else b"{}"
    whole, shipped = (_exchange(data, model, status=200, body=answer) for data in (WHOLE, cut))
    assert shipped == whole
    assert whole.result.keys() > {"ResponseMetadata"}


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_refusals_are_the_same(cut: Path, service: str, operation: str) -> None:
    """Every error that a service has, and some that its model does not know, is raised and read the same."""
    whole_model = _model(service, WHOLE)
    model = whole_model.operation_model(operation)
    known = {_code(shape): _sample(shape, wire=True) for shape in whole_model.error_shapes}
    assert known
    for code in (*UNHEARD_OF, *known):
        fields = {"message": "No.", **known.get(code, {}), "__type": f"com.amazonaws#{code}"}
        body = json.dumps(fields).encode()
        whole, shipped = (_exchange(data, model, status=400, body=body) for data in (WHOLE, cut))
        assert shipped == whole
        assert whole.result[1]["Error"]["Code"] == code


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", OPERATIONS)
def test_clients_speak_to_the_same_hosts(cut: Path, service: str, region: str) -> None:
    """In every partition, and in a Region that is not known yet, the request goes to the same place."""
    model = _model(service, WHOLE).operation_model(OPERATIONS[service][0])
    whole, shipped = (
        _exchange(data, model, status=200, body=b"{}", region=region)._replace(result=None)
        for data in (WHOLE, cut)
    )
    assert shipped == whole
    assert region in whole.url


def test_every_region_has_the_same_endpoints(cut: Path) -> None:
    """Of each service that is called, all endpoints of all Regions and their variants are kept."""
    whole, shipped = (EndpointResolver(_json(data / "endpoints.json")) for data in (WHOLE, cut))
    regions = [region for name in whole.get_available_partitions() for region in _regions(whole, name)]
    assert len(regions) > 30
    for service in OPERATIONS:
        assert _endpoints(shipped, service, regions) == _endpoints(whole, service, regions)


def _regions(resolver: EndpointResolver, partition: str) -> list[str]:
    return [
        *resolver.get_available_endpoints("ec2", partition),
        *resolver.get_available_endpoints("sqs", partition),
    ]


def _endpoints(resolver: EndpointResolver, service: str, regions: list[str]) -> list[Any]:
    listed = [resolver.get_available_endpoints(service, name) for name in resolver.get_available_partitions()]
    variants = [(dual, fips) for dual in (False, True) for fips in (False, True)]
    return [
        listed,
        [_endpoint(resolver, service, region, *variant) for region in regions for variant in variants],
    ]


def _endpoint(resolver: EndpointResolver, service: str, region: str, dual: bool, fips: bool) -> Any:  # noqa: FBT001
    try:
        return resolver.construct_endpoint(service, region, use_dualstack_endpoint=dual, use_fips_endpoint=fips)
    except EndpointVariantError as error:
        return str(error)


def _exchange(
    data: Path, model: OperationModel, *, status: int, body: bytes, region: str = "eu-west-1"
) -> Exchange:
    """Call the operation with every parameter, have it answered, and tell both."""
    sent: list[Any] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, status, {"x-amzn-requestid": "1"}, Raw(body))  # type: ignore[arg-type]

    client = _client(data, model.service_model.service_name, region)
    client.meta.events.register("before-send", answer)
    result = _result(client, model)
    client.meta.events.unregister("before-send", answer)
    (request,) = sent
    return Exchange(request.method, request.url, _timeless(request.headers), _bytes(request.body), result)


@cache
def _client(data: Path, service: str, region: str) -> Any:
    session = Session()
    session.register_component("data_loader", _loader(data))
    return session.create_client(
        service,
        region,
        aws_access_key_id="fake",
        aws_secret_access_key="fake",  # noqa: S106 - made up
        config=Config(retries={"total_max_attempts": 1}),
    )


def _result(client: Any, model: OperationModel) -> Any:
    method = next(name for name, api in client.meta.method_to_api_mapping.items() if api == model.name)
    try:
        return getattr(client, method)(**_sample(model.input_shape))
    except ClientError as error:
        return type(error).__name__, error.response


def _timeless(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    """Leave out what no two requests share; of the signature the scope stays, without its date."""
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
    scope, _, _ = texts["Authorization"].partition(", Signature=")
    unique = {"X-Amz-Date", "amz-sdk-invocation-id"}
    kept = {name: value for name, value in texts.items() if name not in unique}
    return {**kept, "Authorization": re.sub(r"/\d{8}/", "/date/", scope)}


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _sample(shape: Shape | None, *, wire: bool = False, inside: tuple[str, ...] = ()) -> Any:
    """Make up a value with every member; `wire` is how JSON carries it. A shape inside itself is left empty."""
    if shape is None:
        return {}
    inside = (*inside, shape.name)
    match shape.type_name:
        case "structure":
            return {
                name: _sample(member, wire=wire, inside=inside)
                for name, member in _members(shape).items()
                if name not in _LEFT_OUT and member.name not in inside
            }
        case "list":
            return [_sample(shape.member, wire=wire, inside=inside)]  # type: ignore[attr-defined]
        case "map":
            key, value = shape.key, shape.value  # type: ignore[attr-defined]
            return {_sample(key): _sample(value, wire=wire, inside=inside)}
        case "string" | "integer" | "long" as kind:
            return _plain(kind, shape)
        case "blob" if wire:
            return base64.b64encode(_VALUES["blob"]).decode()
        case "timestamp" if wire:
            return _MOMENT.timestamp()
        case other:
            return _VALUES[other]


def _code(shape: Shape) -> str:
    assert isinstance(shape, StructureShape)
    return str(shape.error_code)


def _members(shape: Shape) -> Mapping[str, Shape]:
    assert isinstance(shape, StructureShape)
    return shape.members


def _plain(kind: str, shape: Shape) -> str | int:
    least = int(shape.metadata.get("min", 1))
    if kind == "string":
        return next(iter(shape.metadata.get("enum", ())), "x" * max(least, 1))
    return least


def _model(service: str, data: Path) -> ServiceModel:
    return ServiceModel(_loader(data).load_service_model(service, "service-2"), service)


def _loader(data: Path) -> Loader:
    return Loader(extra_search_paths=[str(data)], include_default_search_paths=False)


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())
