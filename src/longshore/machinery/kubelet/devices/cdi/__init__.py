"""The Container Device Interface: what names of devices mean on this node (CNCF TAG Runtime, CDI SPEC.md)."""
