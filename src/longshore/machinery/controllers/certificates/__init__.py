"""Requests for certificates: approved where the rules allow it, signed, and tidied away."""
