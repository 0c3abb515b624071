"""Push images to a registry, by the OCI distribution API."""

from deployer.registry.client import Registry, Repository
from deployer.registry.credentials import Credentials, find_credentials
from deployer.registry.name import RegistryName, check_tag, parse_registry

__all__ = ["Credentials", "Registry", "RegistryName", "Repository", "check_tag", "find_credentials", "parse_registry"]
