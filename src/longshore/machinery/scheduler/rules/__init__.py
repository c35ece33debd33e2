"""The rules of placement: a module for each, under the name of the upstream plug-in."""
