"""Notice silent nodes, mark and taint them, and move their pods."""
