"""Secrets of type kubernetes.io/service-account-token get what they are for."""
