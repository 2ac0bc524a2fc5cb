"""A simulated model provider for first steps, tests and benchmarks. Nothing in it is a real model."""
