"""The cut botocore data changes nothing that the functions send, receive or raise."""

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

from gluebrake.stages import STAGES, Stage, operations
from infra import artifact, config
from tests.infra.conftest import POLICIES

FULL: Final = Path(botocore.__file__).parent / "data"
REQUIRED: Final = "the functions of every stack"
PACKAGES: Final = {
    REQUIRED: operations(stage.name for stage in STAGES.values() if not stage.is_optional),
    "sweep": operations(["sweep"]),
}
"""The operations that the functions of each package call."""

SERVICES: Final = [(package, service) for package, called in PACKAGES.items() for service in called]
CALLS: Final = [
    (package, service, name) for package, service in SERVICES for name in PACKAGES[package][service]
]
UNMODELLED_CODES: Final = (
    "AccessDeniedException",
    "ExpiredTokenException",
    "ThrottlingException",
    "UnknownFutureException",
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
# A global endpoint needs a signing library that does not ship.
_EXCLUDED_MEMBERS: Final = frozenset({"EndpointId"})


class Exchange(NamedTuple):
    """A request, and the result of its response."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    result: Any


class Raw(BytesIO):
    """The body of a response."""

    def stream(self) -> Iterator[bytes]:
        """Yield the whole body."""
        yield self.read()


@pytest.fixture(scope="module")
def cut() -> Mapping[str, Path]:
    """Return the directory of botocore's data in each deployment package."""
    built = artifact.build(config.load({"target": "local", "gluebrake": {"policies": POLICIES}}.get))
    assert built.sweep
    directories = {REQUIRED: built.directory, "sweep": built.sweep}
    return {package: directory / "botocore" / "data" for package, directory in directories.items()}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_shipped_data_is_cut_from_the_tested_botocore(cut: Mapping[str, Path], package: str) -> None:
    """Both sides of the comparison are the same release, and a package has only its functions' operations."""
    shipped = (cut[package].parent / "__init__.py").read_text()
    assert f"__version__ = '{botocore.__version__}'" in shipped
    assert {path.name for path in cut[package].iterdir() if path.is_dir()} == PACKAGES[package].keys()
    for service, names in PACKAGES[package].items():
        assert sorted(_model(service, cut[package]).operation_names) == sorted(names)


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_each_stage_can_call_its_operations(cut: Mapping[str, Path], stage: Stage) -> None:
    """The shipped clients have a method for each operation that a stage declares, and a call succeeds."""
    data = cut[stage.name if stage.is_optional else REQUIRED]
    for service, names in stage.operations.items():
        for operation in names:
            model = _model(service, data).operation_model(operation)
            exchange = _exchange(data, model, status=200, body=_answer(model, {}))
            assert exchange.result["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_policies_make_the_other_functions_model_no_larger(cut: Mapping[str, Path]) -> None:
    """STOP and CONFIRM load no shape of the operations that only SWEEP calls."""
    required, sweep = (_model("glue", cut[package]) for package in (REQUIRED, "sweep"))
    assert "BatchGetJobs" not in required.operation_names
    assert len(required.shape_names) < len(sweep.shape_names) / 2


@pytest.mark.parametrize(("package", "service", "operation"), CALLS)
def test_requests_and_responses_are_the_same(
    cut: Mapping[str, Path], package: str, service: str, operation: str
) -> None:
    """With every parameter and every response field, both send the same bytes and return the same values."""
    model = _model(service, FULL).operation_model(operation)
    body = _answer(model, _sample(model.output_shape, wire=True))
    full, shipped = (_exchange(data, model, status=200, body=body) for data in (FULL, cut[package]))
    assert shipped == full
    assert full.result.keys() > {"ResponseMetadata"}


@pytest.mark.parametrize(("package", "service", "operation"), CALLS)
def test_errors_are_the_same(cut: Mapping[str, Path], package: str, service: str, operation: str) -> None:
    """Both raise every modelled error of a service alike, and some errors that its model does not have."""
    full_model = _model(service, FULL)
    model = full_model.operation_model(operation)
    known = {_code(shape): _sample(shape, wire=True) for shape in full_model.error_shapes}
    assert known
    for code in (*UNMODELLED_CODES, *known):
        body = _error(model, code, {"message": "No.", **known.get(code, {})})
        full, shipped = (_exchange(data, model, status=400, body=body) for data in (FULL, cut[package]))
        assert shipped == full
        assert full.result[1]["Error"]["Code"] == code


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("package", "service"), SERVICES)
def test_clients_send_to_the_same_hosts(
    cut: Mapping[str, Path], package: str, service: str, region: str
) -> None:
    """In every partition, and in an unknown Region, both send to the same URL."""
    model = _model(service, FULL).operation_model(PACKAGES[package][service][0])
    full, shipped = (
        _exchange(data, model, status=200, body=_answer(model, {}), region=region)._replace(result=None)
        for data in (FULL, cut[package])
    )
    assert shipped == full
    assert region in full.url


@pytest.mark.parametrize("package", PACKAGES)
def test_every_region_has_the_same_endpoints(cut: Mapping[str, Path], package: str) -> None:
    """The shipped data has every endpoint and variant of each called service, in all Regions."""
    full, shipped = (EndpointResolver(_json(data / "endpoints.json")) for data in (FULL, cut[package]))
    regions = [region for name in full.get_available_partitions() for region in _regions(full, name)]
    assert len(regions) > 30
    for service in PACKAGES[package]:
        assert _endpoints(shipped, service, regions) == _endpoints(full, service, regions)


def _regions(resolver: EndpointResolver, partition: str) -> list[str]:
    return [
        *resolver.get_available_endpoints("ec2", partition),
        *resolver.get_available_endpoints("sqs", partition),
    ]


def _endpoints(resolver: EndpointResolver, service: str, regions: list[str]) -> list[Any]:
    available = [
        resolver.get_available_endpoints(service, name) for name in resolver.get_available_partitions()
    ]
    variants = [(dual, fips) for dual in (False, True) for fips in (False, True)]
    return [
        available,
        [_endpoint(resolver, service, region, *variant) for region in regions for variant in variants],
    ]


def _endpoint(resolver: EndpointResolver, service: str, region: str, dual: bool, fips: bool) -> Any:  # noqa: FBT001
    try:
        return resolver.construct_endpoint(service, region, use_dualstack_endpoint=dual, use_fips_endpoint=fips)
    except EndpointVariantError as error:
        return str(error)


def _answer(model: OperationModel, fields: Mapping[str, Any]) -> bytes:
    """Return a response's body. SNS has the query protocol, with XML. The other services have JSON."""
    if not _has_xml(model):
        return json.dumps(fields).encode()
    return _xml({f"{model.name}Response": {f"{model.name}Result": fields}})


def _error(model: OperationModel, code: str, fields: Mapping[str, Any]) -> bytes:
    if not _has_xml(model):
        return json.dumps({**fields, "__type": f"com.amazonaws#{code}"}).encode()
    return _xml({"ErrorResponse": {"Error": {"Code": code, **fields}}})


def _has_xml(model: OperationModel) -> bool:
    return str(model.service_model.metadata["protocol"]) == "query"


def _xml(elements: Mapping[str, Any]) -> bytes:
    return b"".join(
        b"<%b>%b</%b>"
        % (name.encode(), _xml(value) if isinstance(value, dict) else value.encode(), name.encode())
        for name, value in elements.items()
    )


def _exchange(
    data: Path, model: OperationModel, *, status: int, body: bytes, region: str = "eu-west-1"
) -> Exchange:
    """Call the operation with every parameter, and return the request and the result."""
    sent: list[Any] = []

    def respond(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, status, {"x-amzn-requestid": "1"}, Raw(body))  # type: ignore[arg-type]

    client = _client(data, model.service_model.service_name, region)
    client.meta.events.register("before-send", respond)
    result = _result(client, model)
    client.meta.events.unregister("before-send", respond)
    (request,) = sent
    return Exchange(request.method, request.url, _comparable(request.headers), _bytes(request.body), result)


@cache
def _client(data: Path, service: str, region: str) -> Any:
    session = Session()
    session.register_component("data_loader", _loader(data))
    return session.create_client(
        service,
        region,
        aws_access_key_id="fake",
        aws_secret_access_key="fake",  # noqa: S106 - not a secret
        config=Config(retries={"total_max_attempts": 1}),
    )


def _result(client: Any, model: OperationModel) -> Any:
    method = next(name for name, api in client.meta.method_to_api_mapping.items() if api == model.name)
    try:
        return getattr(client, method)(**_sample(model.input_shape))
    except ClientError as error:
        return type(error).__name__, error.response


def _comparable(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    """Remove what differs between any two requests. Of the signature, the scope without its date remains."""
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in headers.items()}
    scope, _, _ = texts["Authorization"].partition(", Signature=")
    unique = {"X-Amz-Date", "amz-sdk-invocation-id"}
    kept = {name: value for name, value in texts.items() if name not in unique}
    return {**kept, "Authorization": re.sub(r"/\d{8}/", "/date/", scope)}


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _sample(shape: Shape | None, *, wire: bool = False, ancestors: tuple[str, ...] = ()) -> Any:
    """Return a sample value with every member, except a shape's own recursion. `wire`: as in JSON."""
    if shape is None:
        return {}
    ancestors = (*ancestors, shape.name)
    match shape.type_name:
        case "structure":
            return {
                name: _sample(member, wire=wire, ancestors=ancestors)
                for name, member in _members(shape).items()
                if name not in _EXCLUDED_MEMBERS and member.name not in ancestors
            }
        case "list":
            return [_sample(shape.member, wire=wire, ancestors=ancestors)]  # type: ignore[attr-defined]
        case "map":
            key, value = shape.key, shape.value  # type: ignore[attr-defined]
            return {_sample(key): _sample(value, wire=wire, ancestors=ancestors)}
        case "string" | "integer" | "long" as type_name:
            return _scalar(type_name, shape)
        case "blob" if wire:
            return base64.b64encode(_VALUES["blob"]).decode()
        case "timestamp" if wire:
            return _MOMENT.timestamp()
        case type_name:
            return _VALUES[type_name]


def _code(shape: Shape) -> str:
    assert isinstance(shape, StructureShape)
    return str(shape.error_code)


def _members(shape: Shape) -> Mapping[str, Shape]:
    assert isinstance(shape, StructureShape)
    return shape.members


def _scalar(type_name: str, shape: Shape) -> str | int:
    minimum = int(shape.metadata.get("min", 1))
    if type_name == "string":
        return next(iter(shape.metadata.get("enum", ())), "x" * max(minimum, 1))
    return minimum


def _model(service: str, data: Path) -> ServiceModel:
    return ServiceModel(_loader(data).load_service_model(service, "service-2"), service)


def _loader(data: Path) -> Loader:
    return Loader(extra_search_paths=[str(data)], include_default_search_paths=False)


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())
