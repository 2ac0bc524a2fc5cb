"""`python -m visionality.cli`: how the supervisor starts its processes."""

from visionality.cli.main import main

main()
