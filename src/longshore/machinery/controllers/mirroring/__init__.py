"""Endpoints that people keep for Services without a selector, as EndpointSlices."""
