"""Published statistics for people: a map in one file, files for other tools, and figures."""
