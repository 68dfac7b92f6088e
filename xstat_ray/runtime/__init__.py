"""Running the protocol: a driver, and the executor to which it submits everything."""
