"""Container images without Docker: layers, digests, archives."""

from deployer.images.build import BuiltImage, build_images

__all__ = ["BuiltImage", "build_images"]
