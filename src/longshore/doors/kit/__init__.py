"""What every door needs: the HTTP server, requests and replies."""
