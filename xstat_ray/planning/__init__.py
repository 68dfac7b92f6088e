"""Works out before a run what it will do and cost, from public figures alone."""
