"""Volumes, claims and classes of attributes outlive their users."""
