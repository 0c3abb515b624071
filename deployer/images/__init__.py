"""Container images without Docker: layers, digests, archives."""

from deployer.images.build import BuiltImage, build_images, make_images, save_references

__all__ = ["BuiltImage", "build_images", "make_images", "save_references"]
