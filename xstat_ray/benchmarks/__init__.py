"""Throughput of the parts and of the whole, each measured in turn with what one would otherwise use."""
