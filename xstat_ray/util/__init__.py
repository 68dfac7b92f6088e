"""Small parts without knowledge of the protocol: files, memory, threads, secrets that refuse to travel."""
