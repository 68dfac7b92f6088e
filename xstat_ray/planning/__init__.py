"""What a run will do and cost, worked out before it starts from public figures alone."""
