"""Small parts that know nothing of the protocol: files, memory, threads, secrets."""
