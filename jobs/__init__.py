"""One thin script for each thing a person runs: compose a configuration, call the library once."""
