"""Who stands behind a Service: EndpointSlices, and Endpoints for older clients."""
