"""Running the protocol: an executor (this process, or Ray) and a driver that submits everything to it."""
