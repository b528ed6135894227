"""Training: imports the networks and is imported by none of them. Needs the packages of requirements-train.txt."""
