"""What botocore reads and generates for each new client, kept for the later clients of the process.

Without it, each new session lists 400 folders and decompresses the models of its services again. Each new
client generates a method for each operation again. They are the same for all clients of a service.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from botocore import client, loaders


def install() -> None:
    """Keep the names of the services, the content of data files, and the methods that botocore generates."""
    _keep_services(loaders.Loader)
    _keep_files(loaders.JSONFileLoader)
    _keep_methods(client.ClientCreator)


def _keep_services(loader_class: Any) -> None:
    list_services = loader_class.list_available_services
    kept: dict[tuple[str, ...], list[str]] = {}

    def list_available_services(loader: Any, type_name: str) -> list[str]:
        key = (type_name, *loader.search_paths)
        if key not in kept:
            kept[key] = list_services(loader, type_name)
        return kept[key].copy()

    loader_class.list_available_services = list_available_services


def _keep_files(loader_class: Any) -> None:
    load, loader = loader_class.load_file, loader_class()

    @lru_cache(maxsize=64)
    def existing(path: str) -> Any:
        if (content := load(loader, path)) is None:
            raise FileNotFoundError(path)
        return content

    def load_file(_loader: Any, path: str) -> Any:
        try:
            return existing(path)
        except FileNotFoundError:
            return None

    loader_class.load_file = load_file


def _keep_methods(creator_class: Any) -> None:
    create = creator_class._create_methods  # noqa: SLF001 - botocore has no public hook
    kept: dict[tuple[str, ...], dict[str, Any]] = {}

    def create_methods(creator: Any, model: Any) -> dict[str, Any]:
        # A deployment package has models with fewer operations.
        key = (model.service_name, model.api_version, *model.operation_names)
        if key not in kept:
            kept[key] = create(creator, model)
        return kept[key].copy()

    creator_class._create_methods = create_methods  # noqa: SLF001 - the same
