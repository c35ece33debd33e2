"""Container logs stay small: rename, go on in a new file, pack, and in the end remove."""
