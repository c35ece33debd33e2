"""The loops that make objects so: deployments, replica sets, endpoints and their kin."""

from longshore.machinery.controllers.run_all import ControllerConfig, build, run_controllers

__all__ = ["ControllerConfig", "build", "run_controllers"]
