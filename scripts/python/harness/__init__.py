"""What scripts/torture and scripts/bench stand on: services, faults, workers, and the archive read from
outside. Nothing here uses the program's own code."""
