"""The driver that runs real containers: Debian's conmon and runc, driven directly."""

from longshore.machinery.runtime.oci.destroy import destroy_all, leftovers
from longshore.machinery.runtime.oci.run import OciRuntime

__all__ = ["OciRuntime", "destroy_all", "leftovers"]
