"""Throughput of the parts and of the whole, each timed in turn with its alternatives."""
