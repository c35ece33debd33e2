"""Images on this machine: read from archives, unpacked once, shared by every node."""

from longshore.machinery.runtime.images.build import ImageConfig, build_image
from longshore.machinery.runtime.images.reference import normalise
from longshore.machinery.runtime.images.store import ImageStore, StoredImage

__all__ = ["ImageConfig", "ImageStore", "StoredImage", "build_image", "normalise"]
