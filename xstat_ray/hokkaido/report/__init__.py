"""Reports of published statistics: a map in one file, files for other tools, and figures."""
