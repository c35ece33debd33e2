"""What nobody needs any more: images, and containers of pods that have ended."""
