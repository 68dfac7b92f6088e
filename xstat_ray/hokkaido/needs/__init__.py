"""Where transport is missing in eastern Hokkaido, answered from published statistics alone."""
